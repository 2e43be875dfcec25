"""A body that trickles in holds a thread for a bounded time.

gunicorn's threads wait for a body as long as its client likes, and one read goes on until all that was asked for is
there, so a time limit on the socket counts nothing: a byte now and then keeps it young. Here one guard a process closes
a late connection for reading; what read ends at once, is short of its length, and the answer can still be sent.
Heads are not covered: the application is called behind them (a proxy in front waits for them, docs/api.md).
"""

import contextlib
import heapq
import itertools
import os
import socket
import threading
import time
from typing import Any, Final

from django.conf import settings

SLOWEST: Final = 8 * 1024
"""Bytes a second that a body may come at, once its first seconds are over."""
LONGEST: Final = 600.0
"""Seconds for any body: 25 MiB in them are 44 kB a second; what is slower comes in pieces."""


def allowed(length: int) -> float:
    """Seconds that a body of ``length`` bytes may take."""
    return min(settings.VOUCH_BODY_SECONDS + length / SLOWEST, LONGEST)


class _Guard:
    """Closes connections for reading when their time is over; one thread, begun with the first body of a process."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._due: list[tuple[float, int, Watched]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def take(self, body: "Watched", seconds: float) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), body))
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="body-guard", daemon=True)
                self._thread.start()
            self._changed.notify()

    def of_this_process(self) -> bool:
        return self._process == os.getpid()

    def _watch(self) -> None:
        while True:
            with self._changed:
                while self._due and self._due[0][2].over:
                    heapq.heappop(self._due)
                left = self._due[0][0] - time.monotonic() if self._due else None
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                late = heapq.heappop(self._due)[2]
            late.close_reading()


class Watched:
    """``wsgi.input`` that knows when all of it was read."""

    def __init__(self, body: Any, length: int, connection: socket.socket) -> None:
        self._body, self._left, self._connection = body, length, connection
        self._lock = threading.Lock()
        self.over = False

    def read(self, size: int | None = None) -> bytes:
        return self._counted(self._body.read(size))

    def readline(self, size: int | None = None) -> bytes:
        return self._counted(self._body.readline(size))

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left <= 0 or not data:
            self.end()
        return data

    def end(self) -> None:
        with self._lock:
            self.over = True

    def close_reading(self) -> None:
        # Under the lock: a connection whose body is over may belong to the next request by now.
        with self._lock:
            if not self.over:
                self.over = True
                with contextlib.suppress(OSError):  # it is gone already
                    # The plain method: a TLS socket's own would forget its keys, and the answer is still to be sent.
                    socket.socket.shutdown(self._connection, socket.SHUT_RD)


_guard = _Guard()


def watch(environ: dict[str, Any]) -> Watched | None:
    """Puts the body of this request under the guard; ``end`` what comes back when the request was answered.

    None where there is no body, or no connection of gunicorn's to close.
    """
    global _guard
    connection, length = environ.get("gunicorn.socket"), environ.get("CONTENT_LENGTH") or ""
    if connection is None or not length.isdigit() or int(length) == 0:
        return None
    if not _guard.of_this_process():  # this process was forked from one that had a guard
        _guard = _Guard()
    body = environ["wsgi.input"] = Watched(environ["wsgi.input"], int(length), connection)
    _guard.take(body, allowed(int(length)))
    return body
