"""Repeat infringers: strikes with points that expire, and a block for a time when too many count at once.

One strike a decision against a person, as many points as the case was severe. A decision that is reversed takes its
strike with it. Strikes block for a while and never ban: that is for two people to decide.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import QuerySet, Sum

from foundation.clock import now
from foundation.identity.actors import Actor
from safety import guards, restrictions
from safety.models import Case, Restriction, Strike
from safety.states import CaseKind, Effect, RestrictionState, SubjectKind

STRIKE_LIFE: Final = timedelta(days=90)
LIMIT: Final = 6
"""Points that count at once before the person is blocked: three ordinary fraud attempts, or two of the worst."""
BLOCK: Final = timedelta(days=30)
CLAUSE: Final = "policy.repeat-infringer"
SYSTEM: Final = Actor.system("safety.strikes")
NEVER: Final = frozenset({CaseKind.VOICE_MATCH, CaseKind.DRIFT})
"""Kinds of case that say nothing bad about the person: to resemble somebody is no infringement, nor is a bad copy."""


def standing(person_id: UUID) -> int:
    """Points that count against the person now."""
    counting = Strike.objects.filter(person_id=person_id, expires_at__gt=now(), removed_at__isnull=True)
    return counting.aggregate(sum=Sum("points"))["sum"] or 0


def give(*, case: Case, person_id: UUID) -> Strike | None:
    """The strike for a decided case, and the block if it was one too many. In the decision's transaction; once."""
    if case.kind in NEVER or Strike.objects.filter(case=case).exists():
        return None
    moment = now()
    made = Strike.objects.create(
        case=case, person_id=person_id, points=case.severity, given_at=moment, expires_at=moment + STRIKE_LIFE
    )
    points = standing(person_id)
    data = {"case": str(case.id), "points": made.points, "standing": points}
    guards.record("strike.given", f"person:{person_id}", SYSTEM, data)
    if points >= LIMIT and not _blocks(person_id).exists():
        restrictions.create(
            actor=SYSTEM,
            subject_kind=SubjectKind.PERSON,
            subject_ref=str(person_id),
            effect=Effect.BLOCK,
            reason=f"{points} points of strikes in {STRIKE_LIFE.days} days.",
            clause=CLAUSE,
            case=case,
            expires_at=moment + BLOCK,
        )
    return made


def points_of(case: Case) -> int:
    """The points that a decided case gave; 0 for none."""
    return Strike.objects.filter(case=case).values_list("points", flat=True).first() or 0


def take_back(*, case: Case, actor: Actor) -> bool:
    """The strike of a reversed decision counts no longer. Returns whether there was one."""
    found = Strike.objects.select_for_update(of=("self",)).filter(case=case, removed_at__isnull=True).first()
    if found is None:
        return False
    found.removed_at = now()
    found.save(update_fields=["removed_at"])
    guards.record("strike.removed", f"person:{found.person_id}", actor, {"case": str(case.id), "points": found.points})
    if standing(found.person_id) < LIMIT:
        # Whichever decision was one too many: without this one it was not.
        restrictions.lift_all(
            actor=actor,
            subject_kind=SubjectKind.PERSON,
            subject_ref=str(found.person_id),
            clause=CLAUSE,
            reason="A decision that counted was reversed.",
        )
    return True


def blocked_until(person_id: UUID) -> datetime | None:
    """When the block that strikes have brought about ends; None where none is in force."""
    block = _blocks(person_id).filter(clause=CLAUSE, expires_at__gt=now()).first()
    return block.expires_at if block is not None else None


def _blocks(person_id: UUID) -> QuerySet[Restriction]:
    return Restriction.objects.filter(
        subject_kind=SubjectKind.PERSON, subject_ref=str(person_id), effect=Effect.BLOCK, state=RestrictionState.ACTIVE
    )
