"""Which state may follow which, in one table per model. The database carries the matching constraints."""

from typing import Final

from django.db import models

from foundation.errors import Conflict


class CaseKind(models.TextChoices):
    HOLD = "policy_hold", "A text waits for a moderator"
    REPORT = "report", "Somebody reported something"
    VOICE_MATCH = "voice_match", "A live voice resembles one that is protected or enrolled"


class CaseState(models.TextChoices):
    OPEN = "open", "Open"
    CLAIMED = "claimed", "Claimed"
    DECIDED = "decided", "Decided"


class Decision(models.TextChoices):
    ALLOW = "allow", "Allow"
    REFUSE = "refuse", "Refuse"
    RESTRICT = "restrict", "Restrict"
    DISMISS = "dismiss", "Dismiss"


class SubjectKind(models.TextChoices):
    PERSON = "person", "A person (id)"
    VOICE = "voice", "A voice (id)"
    OUTPUT = "output", "An output (id)"
    TEXT = "text", "A text (SHA-256, hex)"


class Effect(models.TextChoices):
    BLOCK = "block", "The person may not train or speak"
    PAUSE = "pause", "The voice may not speak"
    QUARANTINE = "quarantine", "The output is not handed out"
    FORBID = "forbid", "The text may not be spoken"


class RestrictionState(models.TextChoices):
    ACTIVE = "active", "Active"
    LIFTED = "lifted", "Lifted"


class ProtectionState(models.TextChoices):
    ACTIVE = "active", "Active"
    REMOVED = "removed", "Removed"


class SearchKeyState(models.TextChoices):
    ACTIVE = "active", "Active"
    RETIRED = "retired", "Retired"


CASE: Final[dict[str, frozenset[str]]] = {
    # A lapsed claim may be taken over, and a claim may be renewed: claimed follows claimed.
    CaseState.OPEN: frozenset({CaseState.CLAIMED}),
    CaseState.CLAIMED: frozenset({CaseState.CLAIMED, CaseState.DECIDED}),
    CaseState.DECIDED: frozenset(),
}
RESTRICTION: Final[dict[str, frozenset[str]]] = {
    RestrictionState.ACTIVE: frozenset({RestrictionState.LIFTED}),
    RestrictionState.LIFTED: frozenset(),
}
DECISIONS: Final[dict[str, frozenset[str]]] = {
    CaseKind.HOLD: frozenset({Decision.ALLOW, Decision.REFUSE, Decision.RESTRICT}),
    CaseKind.REPORT: frozenset({Decision.RESTRICT, Decision.DISMISS}),
    # allow: the ceremony may go on; refuse: it ends; restrict: it ends, and the person may not train or speak.
    CaseKind.VOICE_MATCH: frozenset({Decision.ALLOW, Decision.REFUSE, Decision.RESTRICT}),
}
EFFECT_ON: Final[dict[str, str]] = {
    SubjectKind.PERSON: Effect.BLOCK,
    SubjectKind.VOICE: Effect.PAUSE,
    SubjectKind.OUTPUT: Effect.QUARANTINE,
    SubjectKind.TEXT: Effect.FORBID,
}
"""Every kind of subject knows one effect; more of them come with graded measures."""


class WrongState(Conflict):
    """That step does not follow from the present state."""

    code = "wrong_state"


def require(table: dict[str, frozenset[str]], now: str, then: str) -> None:
    """Raises WrongState unless ``table`` lets ``then`` follow ``now``."""
    if then not in table[now]:
        raise WrongState(f"'{then}' does not follow '{now}'.")
