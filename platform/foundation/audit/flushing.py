"""Waiting until what was committed is on disk: threads that wait at the same time share one flush."""

import os
import threading
from collections.abc import Callable


class SharedFlush:
    """``wait`` returns when a flush that began after the call has ended, made by this thread or by another.

    One thread at a time flushes, for all that came before it began. If its flush fails that is its own error, and one
    of those who waited for it makes the next.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._changed = threading.Condition()
        self._begun, self._done, self._running = 0, 0, False
        # A child of a process that forked in the middle of a flush must not wait for a thread it does not have.
        os.register_at_fork(after_in_child=self._forget)

    def wait(self) -> None:
        """Raises what the flush raises, when it is this thread that makes it."""
        with self._changed:
            wanted = self._begun + 1
            while self._running and self._done < wanted:
                self._changed.wait()
            if self._done >= wanted:
                return
            self._begun += 1
            number, self._running = self._begun, True
        flushed = False
        try:
            self._flush()
            flushed = True
        finally:
            with self._changed:
                self._running = False
                if flushed:
                    self._done = number
                self._changed.notify_all()

    def _forget(self) -> None:
        self._changed = threading.Condition()
        self._begun, self._done, self._running = 0, 0, False
