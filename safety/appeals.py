"""Appeals: the person's answer to a decision against them, with a thread, before somebody who had no part in it.

An appeal that succeeds reverses the decision (`safety.reversals`) and is fed back: to the precision of the rule, to
the strike, and to whoever decided first (`safety.metrics`).
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from safety import claims, guards, reversals, states
from safety.errors import AppealMade, AppealOver, OwnCase
from safety.models import Appeal, AppealMessage, Report, Ruling, Statement
from safety.sizes import REASON_CHARS
from safety.states import AppealOutcome, AppealState, RulingState

ANSWER_WITHIN: Final = timedelta(days=14)
"""DSA Art. 20(4) asks for an answer in a timely manner; this is what the desk promises."""
MAX_MESSAGES: Final = 100
"""Of one thread: bounds what either side can pour in."""


@transaction.atomic
def appeal(*, actor: Actor, statement_id: UUID, text: str) -> Appeal:
    """The actor's appeal against their own statement. Raises NotFound, NoReason, AppealOver, AppealMade."""
    person_id = guards.person(actor)
    text = guards.bounded(text, REASON_CHARS)
    statement = Statement.objects.select_for_update(of=("self",)).filter(id=statement_id, person_id=person_id).first()
    if statement is None:
        raise NotFound
    moment = now()
    if statement.appeal_until <= moment:
        raise AppealOver
    ruling = Ruling.objects.filter(case_id=statement.case_id, state=RulingState.SETTLED).get()
    try:
        with transaction.atomic():
            made = Appeal.objects.create(
                statement=statement,
                person_id=person_id,
                opened_at=moment,
                due_at=moment + ANSWER_WITHIN,
                first_by_id=ruling.made_by_id,
                second_by_id=ruling.second_by_id,
            )
    except IntegrityError as error:
        raise AppealMade from error
    AppealMessage.objects.create(appeal=made, author_id=person_id, from_desk=False, text=text)
    data = {"appeal": str(made.id), "due_at": made.due_at.isoformat()}
    guards.record("appeal.opened", f"case:{statement.case_id}", actor, data)
    return made


@transaction.atomic
def say(*, actor: Actor, appeal_id: UUID, text: str, stakes: claims.Stakes) -> AppealMessage:
    """A message in the thread: by the appellant, or by a moderator who may decide (``stakes``: see `decide`).

    Raises NotFound, NotAllowed, OwnCase, NoReason, AppealOver.
    """
    found = Appeal.objects.select_for_update(of=("self",)).filter(id=appeal_id).first()
    if found is None:
        raise NotFound
    person_id = guards.person(actor)
    from_desk = found.person_id != person_id
    if from_desk:
        if "moderate" not in actor.scopes:
            raise NotFound
        guards.moderator(actor)
        _may_judge(found, person_id, stakes)
    text = guards.bounded(text, REASON_CHARS)
    if found.state != AppealState.OPEN or found.messages.count() >= MAX_MESSAGES:
        raise AppealOver
    made = AppealMessage.objects.create(appeal=found, author_id=person_id, from_desk=from_desk, text=text)
    guards.record("appeal.message", f"appeal:{found.id}", actor, {"message": str(made.id), "from_desk": from_desk})
    return made


@transaction.atomic
def decide(*, actor: Actor, appeal_id: UUID, outcome: str, reason: str, stakes: claims.Stakes) -> Appeal:
    """Upholds or overturns, once, by a moderator who neither ruled nor agreed to the ruling, and has no stake in the
    case: who reported it, or owns its voice (``stakes``), does not judge what came of it either.

    Raises NotAllowed, NotFound, OwnCase, NoReason, AppealOver, ValueError for an unknown outcome.
    """
    person_id = guards.moderator(actor)
    reason = guards.bounded(reason, REASON_CHARS)
    outcome = AppealOutcome(outcome)
    found = Appeal.objects.select_for_update(of=("self",)).select_related("statement").filter(id=appeal_id).first()
    if found is None:
        raise NotFound
    _may_judge(found, person_id, stakes)
    if found.state != AppealState.OPEN:
        raise AppealOver
    states.require(states.APPEAL, found.state, AppealState.DECIDED)
    found.state, found.outcome, found.reason = AppealState.DECIDED, outcome, reason
    found.decided_by_id, found.decided_at = person_id, now()
    found.save()
    AppealMessage.objects.create(appeal=found, author_id=person_id, from_desk=True, text=reason)
    data = {"appeal": str(found.id), "outcome": outcome.value}
    guards.record("appeal.decided", f"case:{found.statement.case_id}", actor, data)
    if outcome == AppealOutcome.OVERTURNED:
        reversals.reverse(case_id=found.statement.case_id, by=person_id, reason=reason, why="appeal", actor=actor)
    return found


def queue(*, actor: Actor) -> QuerySet[Appeal]:
    """Open appeals this moderator may decide, the nearest deadline first. Raises NotAllowed."""
    person_id = guards.moderator(actor)
    own = Q(first_by_id=person_id) | Q(second_by_id=person_id) | Q(person_id=person_id)
    own |= Q(statement__case__in=Report.objects.filter(reporter_id=person_id).values("case"))
    others = Appeal.objects.filter(state=AppealState.OPEN).exclude(id__in=Appeal.objects.filter(own).values("id"))
    return others.select_related("statement__case").prefetch_related("messages").order_by("due_at", "id")


def appeal_for(*, actor: Actor, appeal_id: UUID, stakes: claims.Stakes) -> Appeal:
    """One appeal: the appellant's own, or for the desk any in whose case they have no stake.

    Raises NotFound, OwnCase.
    """
    found = Appeal.objects.select_related("statement__case").filter(id=appeal_id).first()
    if found is None or (found.person_id != actor.person_id and "moderate" not in actor.scopes):
        raise NotFound
    if found.person_id != actor.person_id:
        guards.refuse_own(found.statement.case, guards.person(actor), stakes(found.statement.case))
    return found


def may_judge(found: Appeal, person_id: UUID, stakes: claims.Stakes) -> bool:
    """Whether the person had no part in the decision and has no stake in its case."""
    part = person_id in (found.first_by_id, found.second_by_id, found.person_id)
    case = found.statement.case
    return not part and not guards.is_own(case, person_id, stakes(case))


def _may_judge(found: Appeal, person_id: UUID, stakes: claims.Stakes) -> None:
    if not may_judge(found, person_id, stakes):
        raise OwnCase("An appeal goes to somebody who had no part in the decision.")
