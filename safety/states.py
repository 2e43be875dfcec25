"""Which state may follow which, in one table per model. The database carries the matching constraints."""

from typing import Final

from django.db import models

from foundation.errors import Conflict


class CaseKind(models.TextChoices):
    HOLD = "policy_hold", "A text waits for a moderator"
    REPORT = "report", "Somebody reported something"
    VOICE_MATCH = "voice_match", "A live voice resembles one that is protected or enrolled"
    TRACE = "trace", "A traced recording carries a mark that does not belong to it, or one that should be silent"
    LICENCE = "licence_dispute", "Somebody disputes how a licence is used"
    DRIFT = "output_drift", "An output sounds less like its voice than it should"
    NOTICE = "notice", "Somebody outside asks for something to be taken down"


class CaseState(models.TextChoices):
    OPEN = "open", "Open"
    CLAIMED = "claimed", "Claimed"
    PENDING = "pending", "Decided; the effects wait"
    DECIDED = "decided", "Decided"


class RulingState(models.TextChoices):
    SECOND = "second", "Waits for a second person"
    WAITING = "waiting", "Can still be undone"
    SETTLED = "settled", "In force"
    UNDONE = "undone", "Undone in time"
    DECLINED = "declined", "Declined by the second person"


class AppealState(models.TextChoices):
    OPEN = "open", "Open"
    DECIDED = "decided", "Decided"


class AppealOutcome(models.TextChoices):
    UPHELD = "upheld", "The decision stands"
    OVERTURNED = "overturned", "The decision is reversed"


class NoticeState(models.TextChoices):
    RECEIVED = "received", "Received"
    TRIAGED = "triaged", "With the desk"
    ACTED = "acted", "Taken down"
    DECLINED = "declined", "Not followed"
    COUNTERED = "countered", "Disputed by a counter-notice"
    RESTORED = "restored", "Put back"


class Decision(models.TextChoices):
    ALLOW = "allow", "Allow"
    REFUSE = "refuse", "Refuse"
    RESTRICT = "restrict", "Restrict"
    DISMISS = "dismiss", "Dismiss"
    DESTROY = "destroy", "Destroy the voice"
    BAN = "ban", "Ban the person"


class SubjectKind(models.TextChoices):
    PERSON = "person", "A person (id)"
    VOICE = "voice", "A voice (id)"
    OUTPUT = "output", "An output (id)"
    TEXT = "text", "A text (SHA-256, hex)"
    LICENCE = "licence", "A licence (id)"


class Effect(models.TextChoices):
    BLOCK = "block", "The person may not train or speak"
    PAUSE = "pause", "The voice may not speak"
    QUARANTINE = "quarantine", "The output is not handed out"
    FORBID = "forbid", "The text may not be spoken"
    END = "end", "The licence is ended"
    DESTROY = "destroy", "The voice is destroyed"
    BAN = "ban", "The person may not train or speak, for good"


class RestrictionState(models.TextChoices):
    ACTIVE = "active", "Active"
    LIFTED = "lifted", "Lifted"


class ProtectionState(models.TextChoices):
    ACTIVE = "active", "Active"
    REMOVED = "removed", "Removed"


class ProtectionSource(models.TextChoices):
    MODERATOR = "moderator", "Put there by a moderator"
    OWN = "own", "The speaker, by a live challenge"
    REPRESENTATIVE = "representative", "A representative, with documents and two approvals"
    BANK = "bank", "Another platform's bank"


class SearchKeyState(models.TextChoices):
    ACTIVE = "active", "Active"
    RETIRED = "retired", "Retired"


CASE: Final[dict[str, frozenset[str]]] = {
    # A lapsed claim may be taken over, and a claim may be renewed: claimed follows claimed.
    CaseState.OPEN: frozenset({CaseState.CLAIMED}),
    CaseState.CLAIMED: frozenset({CaseState.CLAIMED, CaseState.OPEN, CaseState.PENDING, CaseState.DECIDED}),
    # Undone, or declined by the second person: back to whoever ruled, or to the queue.
    CaseState.PENDING: frozenset({CaseState.CLAIMED, CaseState.OPEN, CaseState.DECIDED}),
    CaseState.DECIDED: frozenset(),
}
RULING: Final[dict[str, frozenset[str]]] = {
    RulingState.SECOND: frozenset({RulingState.WAITING, RulingState.UNDONE, RulingState.DECLINED}),
    RulingState.WAITING: frozenset({RulingState.SETTLED, RulingState.UNDONE}),
    RulingState.SETTLED: frozenset(),
    RulingState.UNDONE: frozenset(),
    RulingState.DECLINED: frozenset(),
}
APPEAL: Final[dict[str, frozenset[str]]] = {
    AppealState.OPEN: frozenset({AppealState.DECIDED}),
    AppealState.DECIDED: frozenset(),
}
NOTICE: Final[dict[str, frozenset[str]]] = {
    NoticeState.RECEIVED: frozenset({NoticeState.TRIAGED, NoticeState.DECLINED}),
    NoticeState.TRIAGED: frozenset({NoticeState.ACTED, NoticeState.DECLINED}),
    NoticeState.ACTED: frozenset({NoticeState.COUNTERED, NoticeState.RESTORED}),
    NoticeState.COUNTERED: frozenset({NoticeState.RESTORED, NoticeState.ACTED}),
    NoticeState.DECLINED: frozenset(),
    NoticeState.RESTORED: frozenset(),
}
RESTRICTION: Final[dict[str, frozenset[str]]] = {
    RestrictionState.ACTIVE: frozenset({RestrictionState.LIFTED}),
    RestrictionState.LIFTED: frozenset(),
}
_ABOUT_SUBJECT: Final = frozenset({Decision.RESTRICT, Decision.DISMISS, Decision.DESTROY, Decision.BAN})
_ABOUT_REQUEST: Final = frozenset({Decision.ALLOW, Decision.REFUSE, Decision.RESTRICT, Decision.BAN})
DECISIONS: Final[dict[str, frozenset[str]]] = {
    CaseKind.HOLD: _ABOUT_REQUEST,
    # allow: the ceremony may go on; refuse: it ends; restrict: it ends, and the person may not train or speak.
    CaseKind.VOICE_MATCH: _ABOUT_REQUEST,
    CaseKind.REPORT: _ABOUT_SUBJECT,
    CaseKind.TRACE: _ABOUT_SUBJECT,
    CaseKind.LICENCE: _ABOUT_SUBJECT,
    CaseKind.DRIFT: _ABOUT_SUBJECT,
    CaseKind.NOTICE: _ABOUT_SUBJECT,
}
IRREVERSIBLE: Final = frozenset({Decision.DESTROY, Decision.BAN})
"""What cannot be taken back, whatever it is about."""
AGAINST: Final = frozenset({Decision.REFUSE, Decision.RESTRICT, Decision.DESTROY, Decision.BAN})
"""Decisions that take something from somebody: that person is told why, and may appeal."""
EFFECT_ON: Final[dict[str, str]] = {
    SubjectKind.PERSON: Effect.BLOCK,
    SubjectKind.VOICE: Effect.PAUSE,
    SubjectKind.OUTPUT: Effect.QUARANTINE,
    SubjectKind.TEXT: Effect.FORBID,
    SubjectKind.LICENCE: Effect.END,
}
"""The ordinary effect on each kind of subject. Destroying a voice and banning a person come only from a case."""


def is_irreversible(decision: str, subject_kind: str) -> bool:
    """What nobody does alone: a second person, a senior moderator, has to agree. To restrict a licence ends it, and an
    ended licence stays ended."""
    return decision in IRREVERSIBLE or (decision == Decision.RESTRICT and subject_kind == SubjectKind.LICENCE)


def decisions_for(*, kind: str, subject_kind: str, has_requester: bool) -> list[str]:
    """The decisions that make sense for a case, in the order they are shown."""
    known = DECISIONS[kind]
    fits = {
        Decision.DESTROY: subject_kind == SubjectKind.VOICE,
        Decision.BAN: subject_kind == SubjectKind.PERSON or has_requester,
    }
    return [one for one in Decision.values if one in known and fits.get(Decision(one), True)]


class WrongState(Conflict):
    """That step does not follow from the present state."""

    code = "wrong_state"


def require(table: dict[str, frozenset[str]], now: str, then: str) -> None:
    """Raises WrongState unless ``table`` lets ``then`` follow ``now``."""
    if then not in table[now]:
        raise WrongState(f"'{then}' does not follow '{now}'.")
