"""A clock that was set back must not bring a deadline back: the vault remembers the latest second it has seen.

The mark lies in ``VOUCH_VAR/marks`` and is raised by every use of the vault that depends on the time, and by beat's
round twice a minute; a clock set back behind it by more than the tolerance opens nothing until it is right again.
"""

import time
from datetime import datetime

from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault import marks
from foundation.vault.errors import ClockSetBack

TOLERANCE = 5
"""Seconds a clock may step back, as time daemons do and hosts differ."""

STEP = 5
"""Seconds between two writes of the mark."""


def present() -> datetime:
    """The present moment, as ``clock.now``. Raises ClockSetBack, StorageDown, StorageFull, Tampered."""
    # The machine's own time: a rehearsal's clock is moved on purpose, and moves back when the rehearsal ends.
    second, mark = int(time.time()), marks.read("clock")
    if second + TOLERANCE < mark:
        raise ClockSetBack(f"The clock is {mark - second} seconds behind what it has shown before.")
    if second >= mark + STEP:
        marks.raise_to("clock", second)
    return now()


def accept(*, reason: str, actor: Actor) -> None:
    """Takes the clock as it is for right, when it had been wrong before: an operator's act, and on record.

    Call it in a transaction.
    """
    second, mark = int(time.time()), marks.read("clock")
    log.record(
        kind="clock.accepted",
        subject="vault",
        actor=actor,
        data={"reason": reason, "seconds_back": mark - second},
    )
    marks.lower_to("clock", second)
