"""The life of a batch and of each of its lines."""

from enum import StrEnum
from typing import Final

from cloning.states import Table


class BatchState(StrEnum):
    RUNNING = "running"
    DONE = "done"  # no line can go on by itself; failed ones may be tried again
    CANCELLED = "cancelled"


class LineState(StrEnum):
    WAITING = "waiting"  # nobody asked the gate yet
    ACCEPTED = "accepted"  # the gate said yes; waits for the other lines of its narration
    ASKED = "asked"  # a request is with the workers
    HELD = "held"  # waits for a moderator, or for the owner of the voice
    DONE = "done"
    FAILED = "failed"  # something broke: may be tried again
    REFUSED = "refused"  # not a line that can be spoken, or the gate or a moderator said no: final
    CANCELLED = "cancelled"  # the requester or the end of a consent: final


BATCH: Final[Table] = {
    "running": frozenset({"done", "cancelled"}),
    "done": frozenset({"running"}),
    "cancelled": frozenset(),
}
LINE: Final[Table] = {
    "waiting": frozenset({"accepted", "asked", "held", "refused", "cancelled"}),
    "accepted": frozenset({"asked", "held", "refused", "cancelled"}),
    "asked": frozenset({"held", "done", "failed", "refused", "cancelled"}),
    "held": frozenset({"asked", "done", "failed", "refused", "cancelled"}),
    "failed": frozenset({"asked", "held", "done", "refused", "cancelled"}),
    "done": frozenset(),
    "refused": frozenset(),
    "cancelled": frozenset(),
}
OPEN_LINES: Final = (LineState.WAITING, LineState.ACCEPTED, LineState.ASKED, LineState.HELD)
"""A line in one of these may still become sound."""
WITH_REQUEST: Final = (LineState.ASKED, LineState.HELD, LineState.DONE, LineState.FAILED)
ENDED_BADLY: Final = (LineState.FAILED, LineState.REFUSED, LineState.CANCELLED)
