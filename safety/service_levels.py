"""How soon a case should be decided, by kind and severity. A case past its time is shown as late; nothing happens by
itself, for a moderator who is late should still look."""

from datetime import datetime, timedelta
from typing import Final

from safety.states import CaseKind

_HOURS: Final[dict[str, tuple[int, int, int]]] = {
    # Hours for severity 1, 2 and 3. A person waits for each held text.
    CaseKind.HOLD: (24, 8, 1),
    # The recordings of a held ceremony are destroyed after 72 hours at most: an answer after that helps nobody.
    CaseKind.VOICE_MATCH: (24, 24, 8),
    CaseKind.REPORT: (72, 24, 4),
    CaseKind.TRACE: (72, 24, 8),
    CaseKind.LICENCE: (120, 72, 24),
    CaseKind.DRIFT: (120, 72, 24),
    # The action clock of a notice (`safety.notices`) starts when it arrives, whoever reads it when.
    CaseKind.NOTICE: (72, 48, 24),
}


def level(*, kind: str, severity: int) -> timedelta:
    """The time from opening to decision. ``severity`` 1 to 3."""
    return timedelta(hours=_HOURS[kind][severity - 1])


def due_at(*, kind: str, severity: int, opened_at: datetime) -> datetime:
    """The moment a case opened at ``opened_at`` should be decided by."""
    return opened_at + level(kind=kind, severity=severity)
