"""The life of a voice, its masks, a job, a stream, an output and a trace: a table each, and the one function that moves
along."""

from enum import StrEnum
from typing import Any, Final, Protocol

from cloning.errors import IllegalTransition


class VoiceState(StrEnum):
    TRAINING = "training"
    READY = "ready"
    FAILED = "failed"
    DESTROYED = "destroyed"


class JobState(StrEnum):
    QUEUED = "queued"
    HELD = "held"  # waits for a moderator, or for the owner of the voice
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # something broke: may be tried again
    REFUSED = "refused"  # the gate or a moderator said no: final
    CANCELLED = "cancelled"  # the consent ended, or nobody listened to the stream: final


class StreamState(StrEnum):
    WAITING = "waiting"
    OPEN = "open"  # sound has left, or is about to
    SEALED = "sealed"  # what was sent is an output
    BROKEN = "broken"  # ended badly: what was sent, if anything, is no output


class MaskState(StrEnum):
    MAKING = "making"
    READY = "ready"
    FAILED = "failed"  # none was found that may be used, or the making broke
    ENDED = "ended"  # by its owner, or with its voice


class OutputState(StrEnum):
    LIVE = "live"
    RELABELLED = "relabelled"  # its licence ended: it may stay published with a note that says so
    QUARANTINED = "quarantined"
    REVOKED = "revoked"


class ApprovalState(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    LAPSED = "lapsed"


class TraceState(StrEnum):
    QUEUED = "queued"
    DONE = "done"
    FAILED = "failed"


Table = dict[str, frozenset[str]]


def _table(states: type[StrEnum], **moves: str) -> Table:
    """``running="queued failed"`` reads: from running to queued or failed. A state without an entry is final."""
    return {state.value: frozenset(moves.get(state.value, "").split()) for state in states}


VOICE: Final = _table(VoiceState, training="ready failed destroyed", failed="training destroyed", ready="destroyed")
JOB: Final = _table(
    JobState,
    queued="running refused cancelled failed",
    held="queued refused cancelled",
    running="queued succeeded failed refused cancelled",
    failed="queued cancelled",
)
OUTPUT: Final = _table(
    OutputState, live="relabelled quarantined revoked", relabelled="quarantined revoked", quarantined="live revoked"
)
MASK: Final = _table(MaskState, making="ready failed ended", ready="ended", failed="ended")
STREAM: Final = _table(StreamState, waiting="open broken", open="sealed broken")
APPROVAL: Final = _table(ApprovalState, open="approved refused lapsed")
TRACE: Final = _table(TraceState, queued="done failed")

OPEN_JOB_STATES: Final = (JobState.QUEUED, JobState.HELD, JobState.RUNNING)
"""A job in one of these may still do something."""


class HasState(Protocol):
    state: Any


def move(thing: HasState, to: StrEnum, table: Table) -> None:
    """Sets ``thing.state`` when the table allows it; the caller holds the row's lock and saves.

    Raises IllegalTransition.
    """
    if to.value not in table[str(thing.state)]:
        raise IllegalTransition(f"From '{thing.state}' there is no way to '{to.value}'.", state=str(thing.state))
    thing.state = to.value
