"""A stream that has begun: asked for, let in, and answered by a worker. What the doors do with it is theirs."""

from __future__ import annotations

import errno
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from django.http import StreamingHttpResponse
from rest_framework.request import Request

from cloning import listening, services
from cloning.relay import LABEL, SOUND, Frame
from cloning.states import JobState
from foundation.errors import NotAllowed, TooMany, Unavailable, VouchError
from foundation.identity.actors import Actor
from vouch.api.core.idempotency import Claim

PLACES: Final = 16
"""Streams and sockets of a process: half of its threads, so that the rest of the API stays reachable."""
PER_PERSON: Final = 4
SLOW_SECONDS: Final = 20.0
"""How long one write to a client may take."""

_lock = threading.Lock()
_taken: Counter[str] = Counter()


class WaitsForDecision(NotAllowed):
    """A person has to look at this text first; it will then be spoken whole."""

    code = "held"
    advice = "Look at /api/v1/speech/ID later, or say it in other words."


class TooManyOpen(TooMany):
    """You have as many streams open as one person may have."""

    code = "too_many_streams"
    advice = "Close one of them."


class StreamsBusy(Unavailable):
    """As many streams are open as this server holds."""

    code = "streams_busy"
    advice = "Try again, or ask for the whole recording: POST /api/v1/speech."


class Cut(ConnectionResetError):
    """The answer ends in the middle, without the end that its form asks for; ``code`` is the job's. The web server
    takes it for a lost connection and closes: nothing after the first byte can be a problem+json any more."""

    def __init__(self, error: VouchError) -> None:
        super().__init__(errno.ECONNRESET, error.code)
        self.code = error.code


@dataclass(frozen=True)
class Begun:
    """``facts`` of the stream: output, media_type, rate, label, label_language, label_seconds. ``frames``: the rest."""

    request_id: UUID
    job_id: UUID
    facts: dict[str, Any]
    frames: Generator[Frame]


def begin(*, actor: Actor, claim: Claim | None = None, **asked: Any) -> Begun:
    """Asks for speech (`cloning.services.request_speech`) and waits for its beginning, which is when the gate has said
    yes for the second time.

    Raises WaitsForDecision, and what that and `cloning.listening.follow` raise; then ``claim``'s key is free again.
    """
    claim = claim or Claim(None)
    try:
        return _begin(actor, claim, asked)
    except WaitsForDecision:
        raise  # it will be spoken whole, and the key leads to that
    except BaseException:
        claim.free()
        raise


def _begin(actor: Actor, claim: Claim, asked: dict[str, Any]) -> Begun:
    request = services.request_speech(actor=actor, streamed=True, **asked)
    claim.made(str(request.id))
    if request.job.state == JobState.HELD:
        raise WaitsForDecision("This text waits for a decision.", speech=str(request.id))
    frames = listening.follow(actor=actor, request_id=request.id)
    return Begun(request.id, request.job_id, next(frames).facts(), frames)


@contextmanager
def place(person: str) -> Iterator[None]:
    """One of the places of this process, for as long as a connection is open. Raises TooManyOpen, StreamsBusy."""
    take(person)
    try:
        yield
    finally:
        give_back(person)


def take(person: str) -> None:
    """Raises TooManyOpen, StreamsBusy."""
    with _lock:
        if _taken[person] >= PER_PERSON:
            raise TooManyOpen(f"At most {PER_PERSON} at once.", retry_after=5)
        if _taken.total() >= PLACES:
            raise StreamsBusy(retry_after=5)
        _taken[person] += 1


def give_back(person: str) -> None:
    """The place is free again."""
    with _lock:
        _taken[person] -= 1
        if not _taken[person]:
            del _taken[person]


class Pieces(Iterator[bytes]):
    """The bytes of a chunked answer. However it ends, the worker learns that nobody listens and the place is free."""

    def __init__(self, person: str, frames: Generator[Any], made: Iterator[bytes]) -> None:
        self._person, self._frames, self._made, self._closed = person, frames, made, False

    def __next__(self) -> bytes:
        try:
            return next(self._made)
        except VouchError as error:
            self.close()
            raise Cut(error) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Called by the web server at the end, whichever it was."""
        if self._closed:
            return
        self._closed = True
        self._frames.close()
        give_back(self._person)


def sound(frames: Iterator[Frame]) -> Iterator[bytes]:
    """The bytes of the file: its head with the label, then the speech."""
    for frame in frames:
        if frame.kind in (LABEL, SOUND):
            yield frame.data


def begin_answer(request: Request, *, actor: Actor, claim: Claim, **asked: Any) -> tuple[Begun, str]:
    """`begin` for an answer of HTTP: takes a place first. The place is `Pieces`' to give back, with the name returned.

    Raises as `begin` and `take`.
    """
    person = str(actor.person_id)
    try:
        take(person)
    except VouchError:
        claim.free()
        raise
    try:
        begun = begin(actor=actor, claim=claim, **asked)
    except BaseException:
        give_back(person)
        raise
    limit_writes(request)
    return begun, person


def answer(begun: Begun, person: str, made: Iterator[bytes], media_type: str) -> StreamingHttpResponse:
    """The chunked answer, with what a program may want to know in headers."""
    response = StreamingHttpResponse(Pieces(person, begun.frames, made), content_type=media_type)
    response["X-Vouch-Speech"] = str(begun.request_id)
    response["X-Vouch-Job"] = str(begun.job_id)
    response["X-Vouch-Output"] = begun.facts["output"]
    response["X-Vouch-Label"] = quote(begun.facts["label"])  # a header has no Chinese: percent-encoded UTF-8
    response["X-Vouch-Label-Seconds"] = f"{begun.facts['label_seconds']:.3f}"
    # no-transform: a proxy that compresses holds sound back; the other header says the same to nginx.
    response["Cache-Control"] = "no-store, no-transform"
    response["X-Accel-Buffering"] = "no"
    return response


def limit_writes(request: Request) -> None:
    """A client that takes nothing holds this thread for SLOW_SECONDS and no longer (gunicorn sets it back)."""
    connection = request.META.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(SLOW_SECONDS)
