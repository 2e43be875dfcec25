"""A WebSocket (RFC 6455): texts in, binary sound out, with JSON events about it between. One text at a time.

The web process is WSGI, so a socket holds one of its threads: sockets are few, and an idle one is closed. Messages in:
``{"type": "speak", "voice": …, "text": …, …}`` with the fields of ``POST speech``, ``{"type": "cancel"}``. Events out:
``started``, ``label``, ``progress``, ``done``, ``error``; binary messages between ``started`` and ``done`` are the
file, in order. A browser is let in by its session and the Origin that it cannot forge, a program by its key.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import simple_websocket
from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from django.urls import path
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request

from cloning.relay import DONE, LABEL, PROGRESS, SOUND
from foundation.errors import NotAllowed, NotSignedIn, Refused, VouchError
from foundation.identity.actors import Actor
from vouch.api.cloning import SPEECH_PER_MINUTE, NewSpeech
from vouch.api.core import ApiView, checked
from vouch.api.core.authentication import KeyAuthentication, SessionAuthentication
from vouch.api.core.errors import InternalError, as_vouch_error, body, logger
from vouch.api.core.schema import refusals
from vouch.api.core.throttling import limit
from vouch.api.streams import begun
from vouch.api.streams.http import MAX_BODY, SpeechStreamView, wanted

HANDED_OVER: Final = "vouch.handed_over"
"""Set in the WSGI environment when the connection is no longer HTTP's (`vouch.wsgi`)."""
IDLE_SECONDS: Final = 60.0
"""How long a socket may say nothing between two texts."""
LONGEST_SECONDS: Final = 900.0
"""After so long a socket takes no further text: whoever it was let in for may have lost the right."""
PING_SECONDS: Final = 10
GOING_AWAY: Final = 1001


class UpgradeRequired(VouchError):
    """This address speaks WebSocket only."""

    code, status = "upgrade_required", 426
    advice = "Connect with a WebSocket client, or use POST voices/ID/speech/stream."


class WrongOrigin(NotAllowed):
    """A page of another site may not open this."""

    code = "wrong_origin"


class BadMessage(Refused):
    """A message is JSON with a type that is known here."""

    code = "bad_message"
    advice = 'Send {"type": "speak", "voice": …, "text": …, "language": …} or {"type": "cancel"}.'


class SpeechSocket(ApiView):
    http_method_names = ["get", "options"]  # HEAD opens nothing
    scopes: ClassVar[dict[str, str]] = {"GET": "speak"}
    per_minute: ClassVar[int | None] = 60

    @extend_schema(
        request=None,
        responses={
            101: OpenApiResponse(description="a WebSocket; what it says stands in docs/api.md"),
            **refusals(426),
        },
        summary="Have texts spoken over a WebSocket: text in, sound and events out",
    )
    def get(self, request: Request) -> HttpResponseBase:
        if request.headers.get("Upgrade", "").lower() != "websocket" or "gunicorn.socket" not in request.META:
            raise UpgradeRequired
        self._check_origin(request)
        with begun.place(str(self.person.pk)):
            line = _Line(request)
            try:
                self._talk(line)
            except (simple_websocket.ConnectionClosed, OSError):
                pass  # the client left
            finally:
                line.close()
                request.META[HANDED_OVER] = True
        return HttpResponse()

    def _check_origin(self, request: Request) -> None:
        origin = request.headers.get("Origin")
        if origin is None and not isinstance(request.successful_authenticator, SessionAuthentication):
            return
        if origin in settings.CSRF_TRUSTED_ORIGINS or urlsplit(origin or "").netloc == request.get_host():
            return
        raise WrongOrigin

    def _talk(self, line: "_Line") -> None:
        until = time.monotonic() + LONGEST_SECONDS
        while (message := line.next(IDLE_SECONDS)) is not None:
            try:
                if time.monotonic() > until:
                    break
                if message.get("type") == "cancel":
                    continue  # what it would have cancelled is over
                if message.pop("type", None) != "speak":
                    raise BadMessage
                limit(self.request, door=SpeechStreamView.__name__, per_minute=SPEECH_PER_MINUTE)
                self._speak(line, self._actor_now(), checked(NewSpeech, message))
            except (simple_websocket.ConnectionClosed, OSError):
                raise
            except Exception as error:  # noqa: BLE001 - as the API's one handler: whatever it is has a code
                line.event("error", **self._problem(error))
        line.close(GOING_AWAY)

    def _actor_now(self) -> Actor:
        """Whoever opened the socket, if they still may: keys are revoked. Raises NotSignedIn, MissingScope."""
        by_session = isinstance(self.request.successful_authenticator, SessionAuthentication)
        found = (SessionAuthentication() if by_session else KeyAuthentication()).authenticate(self.request)
        if found is None:
            raise NotSignedIn
        found[1].require_scope("speak")
        return found[1]

    def _speak(self, line: "_Line", actor: Actor, fields: dict[str, Any]) -> None:
        stream = begun.begin(actor=actor, voice_id=fields.pop("voice"), **wanted(fields))
        try:
            line.event("started", speech=str(stream.request_id), job=str(stream.job_id), **stream.facts)
            labelled = False
            for frame in stream.frames:
                if line.cancelled():
                    line.event("error", code="cancelled", detail="You cancelled it.", speech=str(stream.request_id))
                    return
                if labelled and frame.kind != LABEL:
                    labelled = False
                    line.event("label", seconds=stream.facts["label_seconds"])
                if frame.kind in (LABEL, SOUND):
                    labelled = labelled or frame.kind == LABEL
                    line.sound(frame.data)
                elif frame.kind == PROGRESS:
                    line.event("progress", **frame.facts())
                elif frame.kind == DONE:
                    line.event("done", speech=str(stream.request_id), **frame.facts())
        finally:
            stream.frames.close()

    def _problem(self, error: Exception) -> dict[str, Any]:
        known = as_vouch_error(error)
        if known is None:
            logger.error("socket.broke", exc_info=error)
            known = InternalError()
        return body(known, self.request_id)


class _Line:
    """The WebSocket, as JSON in and events and sound out. Raises ConnectionClosed and OSError when the client is gone
    or takes nothing for SLOW_SECONDS."""

    def __init__(self, request: Request) -> None:
        whole = _Whole(request.META["gunicorn.socket"])
        self._socket = simple_websocket.Server.accept(
            {**request.META, "gunicorn.socket": whole}, max_message_size=MAX_BODY, ping_interval=PING_SECONDS
        )

    def next(self, seconds: float) -> dict[str, Any] | None:
        """The next message, or None when none came in time. Raises BadMessage's event into the line, and goes on."""
        while (said := self._socket.receive(timeout=seconds)) is not None:
            try:
                return _message(said)
            except BadMessage as error:
                self.event("error", **body(error, ""))
        return None

    def cancelled(self) -> bool:
        """Whether the client asked to stop; any other message in the middle of a text is answered with an error."""
        while (said := self._socket.receive(timeout=0)) is not None:
            try:
                if _message(said).get("type") == "cancel":
                    return True
            except BadMessage:
                pass
            self.event("error", **body(BadMessage("One text at a time: wait for its end, or cancel it."), ""))
        return False

    def event(self, name: str, **fields: Any) -> None:
        """Sends an event."""
        self._socket.send(json.dumps({"event": name, **fields}, default=str))

    def sound(self, data: bytes) -> None:
        """Sends sound."""
        self._socket.send(data)

    def close(self, reason: int = 1000) -> None:
        """Says goodbye, if there is anybody."""
        with contextlib.suppress(simple_websocket.ConnectionClosed, OSError):
            self._socket.close(reason)


def _message(said: str | bytes) -> dict[str, Any]:
    try:
        message = json.loads(said)
    except (ValueError, RecursionError) as error:
        raise BadMessage from error
    if not isinstance(message, dict):
        raise BadMessage
    return message


class _Whole:
    """The connection as the library uses it, except that what is sent is sent whole, by one thread at a time, and for
    SLOW_SECONDS at most: the library's own thread answers pings beside ours, and a plain ``send`` may send a part."""

    def __init__(self, connection: Any) -> None:
        connection.settimeout(begun.SLOW_SECONDS)
        self._connection, self._lock = connection, threading.Lock()
        self.recv: Callable[[int], bytes] = connection.recv
        self.fileno: Callable[[], int] = connection.fileno

    def send(self, data: bytes) -> int:
        with self._lock:
            self._connection.sendall(data)
        return len(data)

    def close(self) -> None:
        """Left to the web server, which opened it."""


urlpatterns = [path("speech/socket", SpeechSocket.as_view())]
