"""Takedown notices from people without an account, and what their subject may answer.

The clock is the desk's own promise: read within 24 hours, acted on within 72. A notice that the desk passes on becomes
a case; a notice that led to a takedown can be answered by a counter-notice of the person concerned, and what was taken
down comes back when the sender does not pursue it (NO FAKES bill, S. 4591, and 17 USC 512(g), whose 10 to 14 working
days are shortened to 14 days).
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from foundation.audit import canonical
from foundation.audit.commitments import commit
from foundation.audit.people import commit_for
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from safety import guards, restrictions, services, states
from safety.errors import NoticeIncomplete, NoticeNotOpen, OwnCase
from safety.models import Case, Notice, Statement
from safety.sizes import REASON_CHARS
from safety.states import AGAINST, CaseKind, CaseState, NoticeState, SubjectKind

TRIAGE_WITHIN: Final = timedelta(hours=24)
ACT_WITHIN: Final = timedelta(hours=72)
RESTORE_AFTER: Final = timedelta(days=14)
SEVERITY: Final = 2
CLAUSE: Final = "notice.unauthorised-replica"
STANDINGS: Final = ("self", "guardian", "estate", "agent", "rights_holder")
SYSTEM: Final = Actor.system("safety.notices")

Stakes = Callable[[str, str], Collection[UUID]]
"""Whom a notice hits, by the kind and reference of its subject: only the rooms above know."""


@transaction.atomic
def receive(
    *,
    form: str,
    subject_kind: str,
    subject_ref: str,
    sender_name: str,
    sender_email: str,
    claim: str,
    signature: str,
    good_faith: bool,
    accurate: bool,
    standing: str = "self",
    individual: str = "",
    sender_address: str = "",
    sender_phone: str = "",
    authorised: bool = False,
) -> tuple[Notice, str]:
    """A notice and the secret with which its sender looks at its state, shown once.

    A NO FAKES notice names the individual, a postal address and a telephone number, and swears to the authority of a
    sender who acts for somebody else. Whether the subject exists is not checked: a notice finds nothing out. Raises
    NoticeIncomplete, UnknownSubject, NoReason.
    """
    subject_ref = guards.check_ref(subject_kind, subject_ref)
    if subject_kind not in (SubjectKind.OUTPUT, SubjectKind.VOICE):
        raise NoticeIncomplete("A notice is about a recording or a voice.", missing=["subject_kind"])
    words = {"claim": guards.bounded(claim, REASON_CHARS), "sender_name": guards.bounded(sender_name, 200)}
    words["signature"] = guards.bounded(signature, 200)
    missing = [name for name, said in (("good_faith", good_faith), ("accurate", accurate)) if not said]
    if form == "no_fakes":
        given = {"individual": individual, "sender_address": sender_address, "sender_phone": sender_phone}
        missing += [name for name, value in given.items() if not value.strip()]
        if standing != "self" and not authorised:
            missing.append("authorised")
    elif form != "dsa":
        missing.append("form")
    if standing not in STANDINGS:
        missing.append("standing")
    if missing:
        raise NoticeIncomplete(missing=missing)
    moment, token = now(), secrets.token_urlsafe(24)
    whole = {**words, "sender_email": sender_email, "individual": individual, "subject": subject_ref}
    sealed = commit(canonical.encode(whole).decode())
    made = Notice.objects.create(
        **words,
        form=form,
        subject_kind=subject_kind,
        subject_ref=subject_ref,
        sender_email=sender_email,
        sender_address=sender_address.strip(),
        sender_phone=sender_phone.strip(),
        individual=individual.strip(),
        standing=standing,
        good_faith=good_faith,
        accurate=accurate,
        authorised=authorised,
        salt=sealed.salt,
        token_digest=_digest(token),
        received_at=moment,
        triage_due_at=moment + TRIAGE_WITHIN,
        action_due_at=moment + ACT_WITHIN,
    )
    data = {
        "form": form,
        "notice": sealed.digest,
        "subject_kind": subject_kind,
        "subject_ref": subject_ref,
        "triage_due_at": made.triage_due_at.isoformat(timespec="microseconds"),
        "action_due_at": made.action_due_at.isoformat(timespec="microseconds"),
    }
    guards.record("notice.received", f"notice:{made.id}", SYSTEM, data)
    return made, token


def state_of(*, notice_id: UUID, token: str) -> Notice:
    """What the sender may look at. Raises NotFound for a wrong secret as for no notice."""
    found = Notice.objects.filter(id=notice_id).first()
    if found is None or not hmac.compare_digest(found.token_digest, _digest(token)):
        raise NotFound
    return found


def queue(*, actor: Actor) -> QuerySet[Notice]:
    """Notices nobody has read yet, the nearest deadline first. Raises NotAllowed."""
    guards.moderator(actor)
    return Notice.objects.filter(state=NoticeState.RECEIVED).order_by("triage_due_at", "id")


@transaction.atomic
def triage(*, actor: Actor, notice_id: UUID, follow: bool, answer: str = "", stakes: Stakes) -> Notice:
    """Passes a notice on as a case, or declines it with an answer. Nobody does whom it hits (``stakes``).

    Raises NotAllowed, NotFound, OwnCase, NoticeNotOpen, NoReason.
    """
    person_id = guards.moderator(actor)
    found = _locked(notice_id)
    if person_id in stakes(found.subject_kind, found.subject_ref):
        raise OwnCase
    if found.state != NoticeState.RECEIVED:
        raise NoticeNotOpen
    found.triaged_by_id, found.triaged_at = person_id, now()
    if follow:
        found.case = services.open_case(
            actor=actor,
            kind=CaseKind.NOTICE,
            severity=SEVERITY,
            subject_kind=found.subject_kind,
            subject_ref=found.subject_ref,
            rule=f"notice.{found.form}",
            clause=CLAUSE,
            text=found.claim,
        )
        _move(found, NoticeState.TRIAGED)
        found.save()
        guards.record("notice.triaged", f"notice:{found.id}", actor, {"case": str(found.case_id)})
    else:
        found.answer, found.ended_at = guards.bounded(answer, REASON_CHARS), now()
        _move(found, NoticeState.DECLINED)
        found.save()
        guards.record("notice.triaged", f"notice:{found.id}", actor, {"case": None})
    return found


@transaction.atomic
def follow_case(*, case_id: UUID) -> int:
    """Ends the notices of a decided case as it decided. Safe to repeat. Returns how many."""
    case = Case.objects.get(id=case_id)
    if case.state != CaseState.DECIDED:
        return 0
    rows = Notice.objects.select_for_update(of=("self",)).filter(case=case, state=NoticeState.TRIAGED)
    found = list(rows.order_by("id"))
    for one in found:
        _move(one, NoticeState.ACTED if case.decision in AGAINST else NoticeState.DECLINED)
        one.answer, one.ended_at = case.decision_reason, now()
        one.save()
        guards.record("notice.ended", f"notice:{one.id}", SYSTEM, {"state": one.state, "case": str(case.id)})
    return len(found)


@transaction.atomic
def counter(*, actor: Actor, statement_id: UUID, text: str, signature: str) -> list[Notice]:
    """The counter-notice of the person a takedown hit, through their statement of reasons.

    Raises NotFound, NoReason, NoticeNotOpen (no notice led to this decision, or it was answered before).
    """
    person_id = guards.person(actor)
    statement = Statement.objects.filter(id=statement_id, person_id=person_id).first()
    if statement is None:
        raise NotFound
    text, signature = guards.bounded(text, REASON_CHARS), guards.bounded(signature, 200)
    rows = Notice.objects.select_for_update(of=("self",)).filter(case_id=statement.case_id, state=NoticeState.ACTED)
    found = list(rows.order_by("id"))
    if not found:
        raise NoticeNotOpen
    moment = now()
    for one in found:
        _move(one, NoticeState.COUNTERED)
        one.counter_by_id, one.counter_text, one.counter_signature = person_id, text, signature
        one.countered_at, one.restore_due_at = moment, moment + RESTORE_AFTER
        one.save()
        counter = commit_for(text + signature, person_id=person_id)
        guards.record("notice.countered", f"notice:{one.id}", actor, {"counter": counter})
    return found


@transaction.atomic
def pursue(*, notice_id: UUID, token: str) -> Notice:
    """The sender says that they went to court: what was taken down stays down. Raises NotFound, NoticeNotOpen."""
    state_of(notice_id=notice_id, token=token)
    found = _locked(notice_id)
    if found.state != NoticeState.COUNTERED:
        raise NoticeNotOpen
    _move(found, NoticeState.ACTED)
    found.restore_due_at = None
    found.save()
    guards.record("notice.ended", f"notice:{found.id}", SYSTEM, {"state": found.state, "pursued": True})
    return found


@transaction.atomic
def restore_due() -> int:
    """Puts back what was countered and not pursued in time. Safe to repeat. Returns how many."""
    over = Notice.objects.select_for_update(skip_locked=True, of=("self",)).filter(
        state=NoticeState.COUNTERED, restore_due_at__lte=now()
    )
    found = list(over.select_related("case").order_by("id")[:100])
    for one in found:
        _move(one, NoticeState.RESTORED)
        one.save()
        if one.case is not None:
            restrictions.lift_of_case(case=one.case, actor=SYSTEM, reason="A counter-notice was not answered in time.")
        guards.record("notice.ended", f"notice:{one.id}", SYSTEM, {"state": one.state})
    return len(found)


def view(found: Notice) -> dict[str, Any]:
    """What the sender is shown."""
    return {
        "id": str(found.id),
        "form": found.form,
        "state": found.state,
        "subject_kind": found.subject_kind,
        "subject_ref": found.subject_ref,
        "received_at": found.received_at,
        "triage_due_at": found.triage_due_at,
        "action_due_at": found.action_due_at,
        "answer": found.answer,
        "counter_notice": found.counter_text,
        "restore_due_at": found.restore_due_at,
    }


def _move(found: Notice, to: NoticeState) -> None:
    states.require(states.NOTICE, found.state, to)
    found.state = to


def _locked(notice_id: UUID) -> Notice:
    found = Notice.objects.select_for_update(of=("self",)).filter(id=notice_id).first()
    if found is None:
        raise NotFound
    return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
