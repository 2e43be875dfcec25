"""A ruling: made, perhaps agreed to by a second person, undone in time, or settled.

Between the making and the settling the effects wait (`settings.VOUCH_UNDO_SECONDS`). Nothing of a waiting ruling is
seen by the gate: it asks for decided cases and for restrictions, and both come with the settling alone.
"""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from foundation.audit.commitments import commit
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from safety import claims, exposure, guards, restrictions, statements, states, strikes, tallies
from safety.errors import (
    CaseDecided,
    CaseNotClaimed,
    CountMismatch,
    NeedsSecond,
    NotTheSecond,
    TooLateToUndo,
    WrongDecision,
)
from safety.models import Case, Ruling
from safety.sizes import CLAUSE_CHARS, REASON_CHARS
from safety.states import AGAINST, CaseState, Decision, RulingState

MAX_BULK = 100
"""Cases decided in one act: more than fits on a page is nothing anybody has looked at."""


@transaction.atomic
def decide_case(
    *, actor: Actor, case_id: UUID, decision: str, reason: str, clause: str, interested: Collection[UUID]
) -> Case:
    """Decides a case at once and for good, by the moderator who holds it: no window, hence nothing irreversible.

    Holds know allow, refuse and restrict (the text is forbidden to everybody); reports know restrict (the reported
    subject) and dismiss; voice matches know allow (the ceremony goes on), refuse (it ends) and restrict (the person,
    besides). The row lock makes the second of two simultaneous decisions see the first. The desk itself goes through
    `rule`. Raises NotAllowed, NotFound, OwnCase, CaseNotClaimed, CaseDecided, WrongDecision, NoReason, NeedsSecond.
    """
    case, person_id, reason, clause = _about_to_decide(actor, case_id, decision, reason, clause, interested)
    if states.is_irreversible(decision, case.subject_kind):
        raise NeedsSecond
    claims.count_time(case, now())
    _decide(case, decision=decision, reason=reason, clause=clause, by=person_id, actor=actor)
    exposure.count_case(person_id, severity=case.severity)
    return case


@transaction.atomic
def rule(
    *, actor: Actor, case_id: UUID, decision: str, reason: str, clause: str, interested: Collection[UUID]
) -> Ruling:
    """The desk's decision: its effects wait for the undo window, or for a second person if it cannot be taken back.

    Raises NotAllowed, NotFound, OwnCase, CaseNotClaimed, CaseDecided, WrongDecision, NoReason.
    """
    case, person_id, reason, clause = _about_to_decide(actor, case_id, decision, reason, clause, interested)
    moment = now()
    alone = not states.is_irreversible(decision, case.subject_kind)
    made = Ruling.objects.create(
        case=case,
        decision=decision,
        reason=reason,
        clause=clause,
        state=RulingState.WAITING if alone else RulingState.SECOND,
        made_by_id=person_id,
        made_at=moment,
        due_at=moment + _window() if alone else None,
    )
    claims.count_time(case, moment)
    states.require(states.CASE, case.state, CaseState.PENDING)
    case.state = CaseState.PENDING
    case.save(update_fields=["state", "beat_at", "handling_seconds"])
    exposure.count_case(person_id, severity=case.severity)
    data = {"ruling": str(made.id), "decision": decision, "clause": clause, "second": not alone}
    guards.record("ruling.made", f"case:{case.id}", actor, data)
    return made


@transaction.atomic
def rule_many(
    *,
    actor: Actor,
    case_ids: Collection[UUID],
    count: int,
    decision: str,
    reason: str,
    clause: str,
    stakes: claims.Stakes,
) -> list[Ruling]:
    """One decision for several cases, all or none. ``count`` is the number the moderator has confirmed.

    Raises CountMismatch, NeedsSecond (what is irreversible is looked at one by one), and what `rule` and
    `claims.claim_case` raise.
    """
    wanted = sorted(set(case_ids))
    if count != len(wanted) or not 1 <= count <= MAX_BULK:
        raise CountMismatch(cases=len(wanted), most=MAX_BULK)
    made = []
    for case_id in wanted:
        case = Case.objects.filter(id=case_id).first()
        if case is None:
            raise NotFound
        if states.is_irreversible(decision, case.subject_kind):
            raise NeedsSecond("What cannot be taken back is decided one by one.")
        interested = stakes(case)
        claims.claim_case(actor=actor, case_id=case_id, interested=interested)
        made.append(
            rule(actor=actor, case_id=case_id, decision=decision, reason=reason, clause=clause, interested=interested)
        )
    return made


@transaction.atomic
def undo(*, actor: Actor, case_id: UUID) -> Case:
    """Takes a waiting ruling back: the case is the actor's again, as if claimed just now. An event of its own.

    Whoever made the ruling may, and the second person who agreed to it. Raises NotAllowed, NotFound, TooLateToUndo.
    """
    person_id = guards.moderator(actor)
    case = guards.locked_case(case_id)
    ruling = _waiting(case)
    if person_id not in (ruling.made_by_id, ruling.second_by_id):
        raise NotFound("You have no ruling here that waits.")
    moment = now()
    if ruling.due_at is not None and ruling.due_at <= moment:
        raise TooLateToUndo
    _end(ruling, RulingState.UNDONE)
    states.require(states.CASE, case.state, CaseState.CLAIMED)
    case.state, case.claimed_by_id, case.claimed_until = CaseState.CLAIMED, person_id, moment + claims.CLAIM_LEASE
    case.beat_at = moment
    case.save(update_fields=["state", "claimed_by", "claimed_until", "beat_at"])
    guards.record("ruling.undone", f"case:{case.id}", actor, {"ruling": str(ruling.id), "decision": ruling.decision})
    return case


@transaction.atomic
def second(*, actor: Actor, case_id: UUID, agree: bool, interested: Collection[UUID]) -> Ruling:
    """The second person's word on an irreversible ruling. Agreed, the undo window runs; declined, the case is open.

    A senior moderator, never the one who ruled. The caller asks for step-up first. Raises NotAllowed, NotFound,
    OwnCase, NotTheSecond, TooLateToUndo.
    """
    person_id = guards.senior(actor)
    case = guards.locked_case(case_id)
    guards.refuse_own(case, person_id, interested)
    ruling = _waiting(case)
    if ruling.state != RulingState.SECOND:
        raise TooLateToUndo("The second word was said already.")
    if ruling.made_by_id == person_id:
        raise NotTheSecond
    moment = now()
    ruling.second_by_id, ruling.second_at = person_id, moment
    if agree:
        states.require(states.RULING, ruling.state, RulingState.WAITING)
        ruling.state, ruling.due_at = RulingState.WAITING, moment + _window()
        ruling.save(update_fields=["state", "due_at", "second_by", "second_at"])
    else:
        ruling.save(update_fields=["second_by", "second_at"])
        _end(ruling, RulingState.DECLINED)
        states.require(states.CASE, case.state, CaseState.OPEN)
        claims.free(case, moment)
    kind = "ruling.seconded" if agree else "ruling.declined"
    guards.record(kind, f"case:{case.id}", actor, {"ruling": str(ruling.id), "decision": ruling.decision})
    return ruling


def due() -> list[UUID]:
    """Rulings whose window is over, oldest first."""
    found = Ruling.objects.filter(state=RulingState.WAITING, due_at__lte=now()).order_by("due_at")
    return list(found.values_list("id", flat=True)[:500])


def to_carry_out() -> list[UUID]:
    """Settled rulings the rooms above have not finished with, oldest first."""
    found = Ruling.objects.filter(state=RulingState.SETTLED, carried_out_at__isnull=True).order_by("ended_at")
    return list(found.values_list("id", flat=True)[:500])


@transaction.atomic
def settle(*, ruling_id: UUID, about: UUID | None = None) -> Ruling:
    """Puts a ruling into force whose window is over: the case is decided, the restriction stands, the person is told.

    ``about``: whom the decision is about, where only the caller can know (the owner of a voice). Safe to repeat; does
    nothing before the time, or after an undo. Raises NotFound.
    """
    case_id = Ruling.objects.filter(id=ruling_id).values_list("case_id", flat=True).first()
    if case_id is None:
        raise NotFound
    case = guards.locked_case(case_id)  # the case first, then its ruling: the order of every act here
    ruling = Ruling.objects.select_for_update(of=("self",)).select_related("made_by").get(id=ruling_id)
    if ruling.state != RulingState.WAITING or ruling.due_at is None or ruling.due_at > now():
        return ruling
    _end(ruling, RulingState.SETTLED)
    actor = Actor.of(ruling.made_by)
    _decide(
        case,
        decision=ruling.decision,
        reason=ruling.reason,
        clause=ruling.clause,
        by=ruling.made_by_id,
        actor=actor,
        second_by=ruling.second_by_id,
    )
    person_id = about or case.requester_id
    if case.decision in AGAINST and person_id is not None:
        strikes.give(case=case, person_id=person_id)  # first: the statement says what they led to
        statements.give(case=case, ruling=ruling, person_id=person_id)
    return ruling


def carried_out(*, ruling_id: UUID) -> None:
    """The rooms above have done their part."""
    Ruling.objects.filter(id=ruling_id, carried_out_at__isnull=True).update(carried_out_at=now())


def _about_to_decide(
    actor: Actor, case_id: UUID, decision: str, reason: str, clause: str, interested: Collection[UUID]
) -> tuple[Case, UUID, str, str]:
    person_id = guards.moderator(actor)
    reason, clause = guards.bounded(reason, REASON_CHARS), guards.bounded(clause, CLAUSE_CHARS)
    case = guards.locked_case(case_id)
    guards.refuse_own(case, person_id, interested)
    if case.state in (CaseState.DECIDED, CaseState.PENDING):
        raise CaseDecided
    known = states.decisions_for(
        kind=case.kind, subject_kind=case.subject_kind, has_requester=case.requester_id is not None
    )
    if decision not in known:
        raise WrongDecision(f"'{decision}' is none of: {', '.join(known)}.")
    if case.claimed_by_id != person_id or case.claimed_until is None or case.claimed_until <= now():
        raise CaseNotClaimed
    return case, person_id, reason, clause


def _decide(
    case: Case, *, decision: str, reason: str, clause: str, by: UUID, actor: Actor, second_by: UUID | None = None
) -> None:
    """Makes a locked case decided, with its restriction and its leaf."""
    states.require(states.CASE, case.state, CaseState.DECIDED)
    sealed = commit(reason)
    case.state = CaseState.DECIDED
    case.decision, case.decision_reason, case.decision_clause = decision, reason, clause
    case.decision_salt = sealed.salt
    case.decided_by_id, case.decided_at = by, now()
    case.save()
    tallies.decided(case)
    made = restrictions.for_decision(case, actor=actor)
    if decision == Decision.DISMISS:
        # What was stopped while somebody looked: an output that drifted, or what a moderator stopped at once.
        restrictions.lift_of_case(case=case, actor=actor, reason=reason)
    data = {
        "kind": case.kind,
        "decision": decision,
        "clause": clause,
        "reason": sealed.digest,
        "restriction": str(made.id) if made else None,
    }
    if second_by is not None:
        data["second"] = f"person:{second_by}"
    case.leaf_index = guards.leaf("case.decided", f"case:{case.id}", actor, data)
    case.save(update_fields=["leaf_index"])


def _window() -> timedelta:
    return timedelta(seconds=settings.VOUCH_UNDO_SECONDS)


def _waiting(case: Case) -> Ruling:
    """The case's ruling that is not in force yet, locked. Raises NotFound, TooLateToUndo."""
    live = Ruling.objects.select_for_update(of=("self",)).filter(
        case=case, state__in=[RulingState.SECOND, RulingState.WAITING]
    )
    found = live.first()
    if found is not None:
        return found
    if case.state == CaseState.DECIDED:
        raise TooLateToUndo
    raise NotFound("No ruling waits here.")


def _end(ruling: Ruling, to: RulingState) -> None:
    states.require(states.RULING, ruling.state, to)
    ruling.state, ruling.ended_at = to, now()
    ruling.save(update_fields=["state", "ended_at"])


__all__ = [
    "Decision",
    "carried_out",
    "decide_case",
    "due",
    "rule",
    "rule_many",
    "second",
    "settle",
    "to_carry_out",
    "undo",
]
