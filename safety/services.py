"""Writes: what opens a case (a held text, a report, what other rooms find), and the names other rooms call.

Each act commits together with its log leaf, or not at all. Rows are written before the leaf is appended: from there to
the commit every other append waits. Texts and reasons may name people, so the log holds commitments to them (salted
hashes), never the words. Claims are in `safety.claims`, decisions in `safety.rulings`, restrictions in
`safety.restrictions`.
"""

from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from foundation.audit.commitments import commit
from foundation.clock import now
from foundation.identity.actors import Actor
from safety import guards
from safety.claims import CLAIM_LEASE, claim_case, pull, release_all, release_case
from safety.errors import TextRefusedBefore
from safety.models import Case, Report, Restriction
from safety.policy import PolicyVerdict
from safety.restrictions import lift, restrict
from safety.rulings import decide_case, rule, rule_many, second, undo
from safety.selectors import decision_for
from safety.service_levels import due_at
from safety.sizes import REASON_CHARS
from safety.states import CaseKind, CaseState, Decision, SubjectKind

__all__ = [
    "CLAIM_LEASE", "claim_case", "decide_case", "hold_text", "lift", "open_case", "pull", "release_all", "release_case",
    "report", "restrict", "restrict_at_once", "rule", "rule_many", "second", "undo",
]  # fmt: skip

REPORT_SEVERITY: Final = 1
"""A report is one person's word; what a rule found by itself comes first unless it is ordinary too."""
MANY_REPORTS: Final = 20
URGENT_SEVERITY: Final = 3
"""Of what a moderator has stopped already: somebody is under a restriction that nobody else has looked at."""
MANY_SEVERITY: Final = 2
"""What so many different people report comes before single words, and never before the worst: crowds are also hired."""


# -- cases ------------------------------------------------------------------------------------------------------------
@transaction.atomic
def hold_text(
    *, requester_id: UUID, voice_ref: str, text: str, text_digest: str, verdict: PolicyVerdict, actor: Actor
) -> Case:
    """Opens the case in which a moderator decides whether this person may have this text spoken in this voice.

    While one is open for the same three, it is returned instead. Raises TextRefusedBefore when a moderator's last
    word about them was no (asking again is not a way round the desk), ValueError unless the verdict is "hold".
    """
    if verdict.outcome != "hold":
        raise ValueError(f"only held texts have a case, not '{verdict.outcome}'")
    guards.check_ref(SubjectKind.TEXT, text_digest)
    last = decision_for(text_digest=text_digest, voice_ref=voice_ref, requester_id=requester_id)
    if last is not None and last.decision != Decision.ALLOW:
        raise TextRefusedBefore(case=str(last.id), clause=last.decision_clause)
    same = Case.objects.filter(
        kind=CaseKind.HOLD, text_digest=text_digest, voice_ref=str(voice_ref), requester_id=requester_id
    ).exclude(state=CaseState.DECIDED)
    if (existing := same.first()) is not None:
        return existing
    sealed, moment = commit(text), now()
    try:
        with transaction.atomic():
            case = Case.objects.create(
                kind=CaseKind.HOLD,
                severity=verdict.severity,
                due_at=due_at(kind=CaseKind.HOLD, severity=verdict.severity, opened_at=moment),
                opened_at=moment,
                subject_kind=SubjectKind.TEXT,
                subject_ref=text_digest,
                requester_id=requester_id,
                voice_ref=str(voice_ref),
                text=text,
                text_digest=text_digest,
                text_salt=sealed.salt,
                rule=verdict.rule,
                clause=verdict.clause,
                pack=verdict.pack,
                pack_sha256=verdict.pack_sha256,
            )
    except IntegrityError:  # another request for the same text was a moment faster
        return same.get()
    guards.record(
        "case.opened",
        f"case:{case.id}",
        actor,
        {
            "kind": case.kind,
            "voice": case.voice_ref,
            "requester": f"person:{requester_id}",
            "text": sealed.digest,
            "rule": case.rule,
            "clause": case.clause,
            "pack": case.pack,
            "pack_sha256": case.pack_sha256,
        },
    )
    return case


@transaction.atomic
def report(*, actor: Actor, subject_kind: str, subject_ref: str, text: str) -> Report:
    """One person's report of a person, voice, output or text. It joins the undecided case about the same subject.

    Whether the subject exists is not checked, so a report is no way of finding out. A second report by the same
    person on the same case returns the first. Raises NotAllowed, UnknownSubject, NoReason.
    """
    actor.require_scope("report")
    person_id = guards.person(actor)
    subject_ref = guards.check_ref(subject_kind, subject_ref)
    return _reported(actor, person_id, subject_kind, subject_ref, guards.bounded(text, REASON_CHARS))


@transaction.atomic
def restrict_at_once(
    *, actor: Actor, subject_kind: str, subject_ref: str, effect: str, reason: str, clause: str
) -> Restriction:
    """A moderator's emergency stop: the restriction stands now, and another moderator decides about it with urgency.

    It is a report of theirs, so they never decide it themselves. A decision to restrict keeps the restriction, and
    tells the person; a dismissal lifts it. Raises NotAllowed, UnknownSubject, Refused, AlreadyRestricted, NoReason.
    """
    person_id = guards.moderator(actor)
    subject_ref = guards.check_ref(subject_kind, subject_ref)
    case = _reported(actor, person_id, subject_kind, subject_ref, guards.bounded(reason, REASON_CHARS)).case
    due = due_at(kind=case.kind, severity=URGENT_SEVERITY, opened_at=now())
    Case.objects.filter(id=case.id).update(severity=URGENT_SEVERITY, due_at=due)
    return restrict(
        actor=actor,
        subject_kind=subject_kind,
        subject_ref=subject_ref,
        effect=effect,
        reason=reason,
        clause=clause,
        case=case,
    )


def _reported(actor: Actor, person_id: UUID, subject_kind: str, subject_ref: str, text: str) -> Report:
    case, opened = _report_case(subject_kind, subject_ref)
    earlier = Report.objects.filter(case=case, reporter_id=person_id).first()
    if earlier is not None:
        return earlier
    sealed = commit(text)
    made = Report.objects.create(case=case, reporter_id=person_id, text=text, text_salt=sealed.salt)
    _count_report(case)
    subject = {"subject_kind": subject_kind, "subject_ref": subject_ref}
    if opened:
        guards.record("case.opened", f"case:{case.id}", actor, {"kind": case.kind, **subject})
    guards.record("report.made", f"case:{case.id}", actor, {"report": str(made.id), "text": sealed.digest, **subject})
    return made


def _count_report(case: Case) -> None:
    """One more report on a locked case; many of them make it more urgent, once."""
    Case.objects.filter(id=case.id).update(report_count=F("report_count") + 1)
    if case.report_count + 1 >= MANY_REPORTS and case.severity < MANY_SEVERITY:
        due = due_at(kind=case.kind, severity=MANY_SEVERITY, opened_at=case.opened_at)
        Case.objects.filter(id=case.id).update(severity=MANY_SEVERITY, due_at=due)


@transaction.atomic
def open_case(
    *,
    actor: Actor,
    kind: str,
    severity: int,
    subject_kind: str,
    subject_ref: str,
    rule: str,
    clause: str,
    voice_ref: str = "",
    requester_id: UUID | None = None,
    text: str = "",
) -> Case:
    """A case that another room's finding opens: a traced mark, a disputed licence, an output that drifted, a notice.

    While one of the same kind about the same subject is undecided, that one is returned. ``text``: what moderators
    read about it. Raises UnknownSubject, ValueError for a kind that has a function of its own.
    """
    if kind in (CaseKind.HOLD, CaseKind.REPORT, CaseKind.VOICE_MATCH):
        raise ValueError(f"'{kind}' is not opened here")
    subject_ref = guards.check_ref(subject_kind, subject_ref)
    case, opened = _undecided(
        CaseKind(kind),
        subject_kind,
        subject_ref,
        severity=severity,
        voice_ref=voice_ref or (subject_ref if subject_kind == SubjectKind.VOICE else ""),
        requester_id=requester_id,
        rule=rule,
        clause=clause,
        text=text,
    )
    if opened:
        data = {"kind": case.kind, "subject_kind": subject_kind, "subject_ref": subject_ref, "rule": rule}
        if text:
            sealed = commit(text)
            case.text_salt = sealed.salt
            case.save(update_fields=["text_salt"])
            data["text"] = sealed.digest
        guards.record("case.opened", f"case:{case.id}", actor, data)
    return case


def _report_case(subject_kind: str, subject_ref: str) -> tuple[Case, bool]:
    """The undecided case that reports on a subject share, locked; and whether it was opened just now.

    A report on a licence is a dispute: it has a queue, and a time, of its own.
    """
    kind = CaseKind.LICENCE if subject_kind == SubjectKind.LICENCE else CaseKind.REPORT
    voice_ref = subject_ref if subject_kind == SubjectKind.VOICE else ""
    return _undecided(kind, subject_kind, subject_ref, severity=REPORT_SEVERITY, voice_ref=voice_ref)


def _undecided(
    kind: CaseKind, subject_kind: str, subject_ref: str, *, severity: int, **fields: object
) -> tuple[Case, bool]:
    """The undecided case of this kind about a subject, locked; and whether it was opened just now."""
    same = Case.objects.select_for_update(of=("self",)).filter(
        kind=kind, subject_kind=subject_kind, subject_ref=subject_ref
    )
    undecided = same.exclude(state=CaseState.DECIDED)
    while True:  # a pass fails only if somebody else opened a case, so the next one finds it or opens its own
        if (existing := undecided.first()) is not None:
            return existing, False
        moment = now()
        try:
            with transaction.atomic():
                case = Case.objects.create(
                    kind=kind,
                    severity=severity,
                    subject_kind=subject_kind,
                    subject_ref=subject_ref,
                    opened_at=moment,
                    due_at=due_at(kind=kind, severity=severity, opened_at=moment),
                    **fields,
                )
        except IntegrityError:
            continue
        return case, True
