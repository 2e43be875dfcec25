"""The one clock of the platform: ``now()``.

In rehearsal the clock can be moved forward, so that a demonstration need not wait 72 hours to show a deadline. The
offset lies in a small file every process of the host reads; without ``settings.REHEARSAL`` the file is never opened,
so production time cannot be moved by anything that writes there.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings

MAX_OFFSET = timedelta(days=32)
"""A rehearsal never needs more than a month, of whatever length; a larger value in the file is an error."""


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC) + rehearsal_offset()


def rehearsal_offset() -> timedelta:
    """How far the rehearsal clock was moved; zero outside a rehearsal. Raises ValueError for a damaged file."""
    if not settings.REHEARSAL:
        return timedelta(0)
    try:
        seconds = float(_offset_file().read_text())
    except FileNotFoundError:
        return timedelta(0)
    offset = timedelta(seconds=seconds)
    if not timedelta(0) <= offset <= MAX_OFFSET:
        raise ValueError(f"rehearsal clock offset out of range: {offset}")
    return offset


def move_forward(by: timedelta) -> timedelta:
    """Moves the rehearsal clock forward and returns the whole offset. Never backwards: deadlines only come nearer.

    Raises RuntimeError outside a rehearsal, ValueError for a negative step or a total above ``MAX_OFFSET``.
    """
    if not settings.REHEARSAL:
        raise RuntimeError("the clock moves only in a rehearsal")
    total = rehearsal_offset() + by
    if by < timedelta(0) or total > MAX_OFFSET:
        raise ValueError(f"the rehearsal clock may move 0 to {MAX_OFFSET.days} days forward")
    target = _offset_file()
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".new")
    draft.write_text(str(total.total_seconds()))
    os.replace(draft, target)
    return total


def _offset_file() -> Path:
    return Path(settings.VOUCH_VAR) / "rehearsal-clock"
