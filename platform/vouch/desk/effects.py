"""A ruling whose time has come: into force, and then what the rooms above safety have to do about it.

Each step is a transaction of its own (lock order: the gate takes consents before the log, a decision has the log
already) and safe to repeat. The ruling is marked only when all of them are done, so a crash in between is made good
by the next round (`desk.settle`, every few seconds).
"""

import logging
from typing import Final
from uuid import UUID

from django.db import transaction

from cloning.models import SpeechRequest
from cloning.services import destroy_voice, resume_held
from consent.examination import settle_held
from consent.licences import end_licence
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from safety import notices, quality, restrictions, rulings
from safety.models import Case, Ruling
from safety.states import CaseState, Decision, RulingState, SubjectKind
from vouch.desk.stakes import affected

ACTOR: Final = Actor.system("desk.settle")
logger = logging.getLogger("vouch.desk")


def settle_due() -> int:
    """Every ruling whose window is over, and what was left undone of earlier ones. Returns how many were finished."""
    finished = 0
    for ruling_id in [*rulings.due(), *rulings.to_carry_out()]:
        try:
            finished += settle(ruling_id)
        except Exception:
            # One ruling that cannot be finished must not keep the others waiting; it is tried again in the next round.
            logger.exception("desk.settle_failed", extra={"ruling": str(ruling_id)})
    return finished


def settle(ruling_id: UUID) -> bool:
    """Puts one ruling into force if its time has come, and carries it out. Whether it is finished now."""
    waiting = Ruling.objects.select_related("case").filter(id=ruling_id).first()
    if waiting is None:
        return False
    ruling = rulings.settle(ruling_id=ruling_id, about=affected(waiting.case))
    if ruling.state != RulingState.SETTLED:
        return False
    carry_out(ruling.case_id)
    rulings.carried_out(ruling_id=ruling_id)
    return True


def carry_out(case_id: UUID) -> None:
    """What follows from a decided case outside safety. Safe to repeat."""
    case = Case.objects.get(id=case_id)
    if case.state != CaseState.DECIDED:
        return
    # A reversal stands for another case: what that one held is asked for again by whoever still wants it.
    resume_held(actor=ACTOR, case_id=case_id)
    settle_held(case_id=case_id)
    if case.decision == Decision.DESTROY:
        with transaction.atomic():
            destroy_voice(voice_id=UUID(case.subject_ref), actor=ACTOR, reason="moderation")
    if case.decision == Decision.RESTRICT and case.subject_kind == SubjectKind.LICENCE:
        try:
            end_licence(actor=ACTOR, licence_id=UUID(case.subject_ref), reason="moderation")
        except NotFound:
            logger.warning("desk.no_such_licence", extra={"case": str(case_id)})
    notices.follow_case(case_id=case_id)
    quality.sample(case)


def tidy() -> dict[str, int]:
    """Blocks whose time is over, takedowns that a counter-notice undoes."""
    return {"restrictions": restrictions.end_expired(), "notices": notices.restore_due()}


def waits_for(case_id: UUID) -> int:
    """How many requests wait for this case."""
    return SpeechRequest.objects.filter(case_ref=case_id, job__state="held").count()
