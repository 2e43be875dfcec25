"""Who works on which case. A claim is a lease with a heartbeat: it ends by itself when nobody is there any more.

``pull`` hands out the worst and oldest case nobody holds. Each is locked with SKIP LOCKED, so many moderators pull at
once without waiting for each other and never get the same one.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from foundation.clock import now
from foundation.identity.actors import Actor
from safety import exposure, guards, states
from safety.errors import CaseClaimed, CaseDecided, CaseNotClaimed, NothingWaits
from safety.models import Case, Report
from safety.states import CaseKind, CaseState, SubjectKind

CLAIM_LEASE: Final = timedelta(minutes=5)
"""How long a claim holds without a heartbeat (the desk's page sends one every 30 s): a closed laptop frees the case
soon, a slow network does not."""

Stakes = Callable[[Case], Collection[UUID]]
"""Who, beside those a case itself names, has a stake in it: only the rooms above know (the owner of its voice)."""


@transaction.atomic
def claim_case(*, actor: Actor, case_id: UUID, interested: Collection[UUID]) -> Case:
    """Gives the actor the case for ``CLAIM_LEASE``; claiming again renews. A lapsed claim may be taken over.

    ``interested``: people the caller knows to have a stake (the owner of the reported voice); they may not claim.
    Raises NotAllowed, NotFound, OwnCase, CaseClaimed, CaseDecided, OnBreak.
    """
    person_id = guards.moderator(actor)
    case = guards.locked_case(case_id)
    guards.refuse_own(case, person_id, interested)
    if case.state in (CaseState.DECIDED, CaseState.PENDING):
        raise CaseDecided
    moment = now()
    live = case.state == CaseState.CLAIMED and case.claimed_until is not None and case.claimed_until > moment
    if not live:
        exposure.worst_allowed(person_id)  # a page left open must not take a case during a break
    if live and case.claimed_by_id != person_id:
        raise CaseClaimed(claimed_until=case.claimed_until.isoformat() if case.claimed_until else "")
    _take(case, person_id, moment, renewal=live, actor=actor)
    return case


@transaction.atomic
def pull(*, actor: Actor, stakes: Stakes, kind: str | None = None, severity: int | None = None) -> Case:
    """Claims the worst and oldest case that nobody holds, of one queue or of all, and returns it.

    Cases the actor asked for, reported, is the subject of, or has another stake in (``stakes``) are passed over. The
    exposure budget is looked at first: who has spent it gets no case of the highest severity. Raises NotAllowed,
    NothingWaits, OnBreak, BudgetSpent (only the worst is left in this queue).
    """
    person_id = guards.moderator(actor)
    worst = exposure.worst_allowed(person_id)
    moment = now()
    free = Q(state=CaseState.OPEN) | Q(state=CaseState.CLAIMED, claimed_until__lte=moment)
    waiting = Case.objects.filter(free).exclude(requester_id=person_id)
    waiting = waiting.exclude(subject_kind=SubjectKind.PERSON, subject_ref=str(person_id))
    waiting = waiting.exclude(Exists(Report.objects.filter(case=OuterRef("id"), reporter_id=person_id)))
    if kind is not None:
        waiting = waiting.filter(kind=kind)
    if severity is not None:
        waiting = waiting.filter(severity=severity)
    allowed = waiting.filter(severity__lte=worst) if worst < exposure.WORST else waiting
    passed: list[UUID] = []
    while True:  # ends: each round passes over one more case, and those are few
        case = (
            allowed.exclude(id__in=passed)
            .order_by(F("severity").desc(), "opened_at", "id")
            .select_for_update(skip_locked=True, of=("self",))
            .first()
        )
        if case is None:
            break
        if guards.is_own(case, person_id, stakes(case)):
            passed.append(case.id)
            continue
        _take(case, person_id, moment, renewal=False, actor=actor)
        return case
    if worst < exposure.WORST and waiting.exists():
        exposure.refuse(person_id)
    raise NothingWaits


@transaction.atomic
def release_case(*, actor: Actor, case_id: UUID) -> Case:
    """Puts a case the actor holds back into the queue, where it keeps its place. Safe to repeat.

    Raises NotAllowed, NotFound, CaseDecided, CaseNotClaimed (somebody else holds it).
    """
    person_id = guards.moderator(actor)
    case = guards.locked_case(case_id)
    if case.state in (CaseState.DECIDED, CaseState.PENDING):
        raise CaseDecided
    if case.state == CaseState.OPEN:
        return case
    if case.claimed_by_id != person_id:
        raise CaseNotClaimed
    states.require(states.CASE, case.state, CaseState.OPEN)
    free(case, now())
    guards.record("case.released", f"case:{case.id}", actor, {"seconds": case.handling_seconds})
    return case


@transaction.atomic
def release_all(*, actor: Actor) -> int:
    """Puts back everything the actor holds: they go on a break, or home. Returns how many."""
    person_id = guards.moderator(actor)
    held = Case.objects.filter(state=CaseState.CLAIMED, claimed_by_id=person_id).values_list("id", flat=True)
    return sum(release_case(actor=actor, case_id=case_id).state == CaseState.OPEN for case_id in sorted(held))


def free(case: Case, moment: datetime) -> None:
    """A locked case goes back to the queue."""
    count_time(case, moment)
    case.state, case.claimed_by, case.claimed_until = CaseState.OPEN, None, None
    case.save(update_fields=["state", "claimed_by", "claimed_until", "beat_at", "handling_seconds"])


def count_time(case: Case, moment: datetime) -> None:
    """Adds the time since the holder's last sign. A silence longer than the lease was not work on this case."""
    if case.state == CaseState.CLAIMED and case.beat_at is not None:
        case.handling_seconds += int(min(max(moment - case.beat_at, timedelta(0)), CLAIM_LEASE).total_seconds())
    case.beat_at = moment


def _take(case: Case, person_id: UUID, moment: datetime, *, renewal: bool, actor: Actor) -> None:
    states.require(states.CASE, case.state, CaseState.CLAIMED)
    if renewal:
        count_time(case, moment)
    case.beat_at = moment
    case.state = CaseState.CLAIMED
    case.claimed_by_id = person_id
    case.claimed_until = moment + CLAIM_LEASE
    case.first_claimed_at = case.first_claimed_at or moment
    fields = ["state", "claimed_by", "claimed_until", "first_claimed_at", "beat_at", "handling_seconds"]
    if not renewal:
        case.last_claimed_at = moment
        fields.append("last_claimed_at")
    case.save(update_fields=fields)
    if not renewal:
        until = case.claimed_until.isoformat()
        guards.record("case.claimed", f"case:{case.id}", actor, {"until": until, "kind": CaseKind(case.kind).value})
