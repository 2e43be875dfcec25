"""The life of each thing in this room: one table a model, and the one function that moves along them.

The database holds the same words in check constraints (`consent.models`).
"""

from enum import StrEnum
from typing import Any, Final, Protocol

from foundation.errors import Conflict


class IllegalTransition(Conflict):
    """This is not possible in the present state."""

    code = "illegal_transition"


class ChallengeState(StrEnum):
    OPEN = "open"
    ANSWERED = "answered"
    HELD = "held"
    PASSED = "passed"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"
    EXPIRED = "expired"


class RecordingState(StrEnum):
    AWAITING = "awaiting"
    RECEIVED = "received"
    EXAMINING = "examining"
    PASSED = "passed"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"


class ExaminationState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"


class ConsentState(StrEnum):
    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    RENEWED = "renewed"


class LicenceState(StrEnum):
    ACTIVE = "active"
    ENDED = "ended"


class OfferState(StrEnum):
    OPEN = "open"
    COUNTERED = "countered"
    SIGNED = "signed"
    DECLINED = "declined"
    LAPSED = "lapsed"


class ReviewState(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    LAPSED = "lapsed"


Table = dict[str, frozenset[str]]


def _table(states: type[StrEnum], **moves: str) -> Table:
    """``open="answered expired"`` reads: from open to answered or expired. A state without an entry is final."""
    return {state.value: frozenset(moves.get(state.value, "").split()) for state in states}


CHALLENGE: Final = _table(
    ChallengeState,
    open="answered expired",
    answered="held passed refused inconclusive",
    held="passed refused inconclusive",
)
RECORDING: Final = _table(
    RecordingState, awaiting="received", received="examining", examining="passed refused inconclusive"
)
# Running leads to running: a worker that died is followed by another one that starts over.
# Held waits for a moderator's decision, which ends it.
EXAMINATION: Final = _table(ExaminationState, queued="running", running="running held done failed", held="done failed")
CONSENT: Final = _table(ConsentState, active="withdrawn expired renewed")
LICENCE: Final = _table(LicenceState, active="ended")
OFFER: Final = _table(OfferState, open="countered signed declined lapsed")
REVIEW: Final = _table(ReviewState, open="approved refused lapsed")


class HasState(Protocol):
    state: Any


def move(thing: HasState, to: StrEnum, table: Table) -> None:
    """Sets ``thing.state`` when the table allows it; the caller holds the row's lock and saves.

    Raises IllegalTransition.
    """
    if to.value not in table[str(thing.state)]:
        raise IllegalTransition(f"From '{thing.state}' there is no way to '{to.value}'.", state=str(thing.state))
    thing.state = to.value
