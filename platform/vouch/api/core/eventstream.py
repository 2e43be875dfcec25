"""Server-sent events (WHATWG HTML, 9.2): one open answer that says what happens as it happens.

A stream holds a thread of the web server for as long as it is open, so there are bounds: so many at once in a process
(``VOUCH_EVENT_STREAMS``), so many of them one person's, and each is closed after five minutes. A browser then asks
again by itself with ``Last-Event-ID``; 204 tells it to stop.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponseBase, StreamingHttpResponse

from foundation.errors import TooMany, Unavailable

PER_PERSON: Final = 4
LONGEST_SECONDS: Final = 300.0
HEARTBEAT_SECONDS: Final = 10.0
"""Silence after which a comment is sent: it keeps proxies awake, and finds out who has left."""
RETRY_MS: Final = 3000
MEDIA_TYPE: Final = "text/event-stream"


class TooManyStreams(TooMany):
    """You have as many event streams open as one person may have."""

    code = "too_many_event_streams"
    advice = "Close one, or ask the address without /events every few seconds."


class StreamsBusy(Unavailable):
    """As many event streams are open as this server holds."""

    code = "event_streams_busy"
    advice = "Ask the address without /events every few seconds, or try again."


@dataclass(frozen=True, slots=True)
class Event:
    """``id`` is what the client sends back as Last-Event-ID. ``data`` is JSON-safe."""

    name: str
    data: Any
    id: str = ""

    def encoded(self) -> bytes:
        """Field lines and an empty line. JSON has no raw line ends, so one data line is enough."""
        head = f"id: {self.id}\n" if self.id else ""
        body = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))
        return f"{head}event: {self.name}\ndata: {body}\n\n".encode()


HEARTBEAT: Final = b": still here\n\n"
_lock = threading.Lock()
_open: Counter[str] = Counter()


class _Held(Iterator[bytes]):
    """The pieces of an answer, and a place among the open streams that is given back exactly once, however it ends."""

    def __init__(self, person: str, pieces: Iterator[bytes]) -> None:
        self._person, self._pieces, self._closed = person, pieces, False

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with _lock:
            if self._closed:
                return
            self._closed = True
            _open[self._person] -= 1
            if not _open[self._person]:
                del _open[self._person]


def streamed(person: str, pieces: Iterator[bytes]) -> HttpResponseBase:
    """The answer that hands the pieces out as they come. Raises TooManyStreams (429), StreamsBusy (503)."""
    with _lock:
        if _open[person] >= PER_PERSON:
            raise TooManyStreams(f"At most {PER_PERSON} at once.", retry_after=10)
        if _open.total() >= settings.VOUCH_EVENT_STREAMS:
            raise StreamsBusy(retry_after=10)
        _open[person] += 1
    response = StreamingHttpResponse(_Held(person, pieces), content_type=f"{MEDIA_TYPE}; charset=utf-8")
    # no-transform: a proxy that compresses holds events back; the other header says the same to nginx.
    response["Cache-Control"] = "no-store, no-transform"
    response["X-Accel-Buffering"] = "no"
    return response
