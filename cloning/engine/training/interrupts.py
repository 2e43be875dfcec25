"""Control-C and termination, for a training that would like to finish its step and write down where it is."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """The first SIGINT or SIGTERM is noted in the list; the next one has its usual effect. For the main thread."""
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        restore()

    def restore() -> None:
        for each, usual in before.items():
            signal.signal(each, usual)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, note)
    try:
        yield seen
    finally:
        restore()
