"""Writes: holds, reports, claims, decisions and restrictions. Each commits together with its log leaf, or not at all.
Rows are written before the leaf is appended: from there to the commit every other append waits.

Texts and reasons may name people, so the log holds commitments to them (salted hashes), never the words.
"""

import re
from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from foundation.audit import log
from foundation.audit.commitments import commit
from foundation.clock import now
from foundation.errors import NotAllowed, NotFound, Refused
from foundation.identity.actors import Actor
from safety import states
from safety.errors import (
    AlreadyLifted,
    AlreadyRestricted,
    CaseClaimed,
    CaseDecided,
    CaseNotClaimed,
    NoReason,
    OwnCase,
    TextRefusedBefore,
    UnknownSubject,
    WrongDecision,
)
from safety.models import CLAUSE_CHARS, REASON_CHARS, Case, Report, Restriction
from safety.policy import PolicyVerdict
from safety.selectors import decision_for
from safety.states import EFFECT_ON, CaseKind, CaseState, Decision, RestrictionState, SubjectKind

CLAIM_LEASE: Final = timedelta(minutes=15)
"""How long a claim holds without being renewed: longer than a careful decision, shorter than a lunch break."""

REPORT_SEVERITY: Final = 1
"""A report is one person's word; what a rule found by itself comes first unless it is ordinary too."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


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
    _check_ref(SubjectKind.TEXT, text_digest)
    last = decision_for(text_digest=text_digest, voice_ref=voice_ref, requester_id=requester_id)
    if last is not None and last.decision in (Decision.REFUSE, Decision.RESTRICT):
        raise TextRefusedBefore(case=str(last.id), clause=last.decision_clause)
    same = Case.objects.filter(
        kind=CaseKind.HOLD, text_digest=text_digest, voice_ref=str(voice_ref), requester_id=requester_id
    ).exclude(state=CaseState.DECIDED)
    if (existing := same.first()) is not None:
        return existing
    sealed = commit(text)
    try:
        with transaction.atomic():
            case = Case.objects.create(
                kind=CaseKind.HOLD,
                severity=verdict.severity,
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
    _leaf(
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
    person_id = _person(actor)
    subject_ref = _check_ref(subject_kind, subject_ref)
    text = _bounded(text, REASON_CHARS)
    case, opened = _report_case(subject_kind, subject_ref)
    earlier = Report.objects.filter(case=case, reporter_id=person_id).first()
    if earlier is not None:
        return earlier
    sealed = commit(text)
    made = Report.objects.create(case=case, reporter_id=person_id, text=text, text_salt=sealed.salt)
    subject = {"subject_kind": subject_kind, "subject_ref": subject_ref}
    if opened:
        _leaf("case.opened", f"case:{case.id}", actor, {"kind": case.kind, **subject})
    _leaf("report.made", f"case:{case.id}", actor, {"report": str(made.id), "text": sealed.digest, **subject})
    return made


def _report_case(subject_kind: str, subject_ref: str) -> tuple[Case, bool]:
    """The undecided case about a subject, locked; and whether it was opened just now."""
    same = Case.objects.select_for_update(of=("self",)).filter(
        kind=CaseKind.REPORT, subject_kind=subject_kind, subject_ref=subject_ref
    )
    undecided = same.exclude(state=CaseState.DECIDED)
    while True:  # a pass fails only if somebody else opened a case, so the next one finds it or opens its own
        if (existing := undecided.first()) is not None:
            return existing, False
        try:
            with transaction.atomic():
                case = Case.objects.create(
                    kind=CaseKind.REPORT,
                    severity=REPORT_SEVERITY,
                    subject_kind=subject_kind,
                    subject_ref=subject_ref,
                    voice_ref=subject_ref if subject_kind == SubjectKind.VOICE else "",
                )
        except IntegrityError:
            continue
        return case, True


@transaction.atomic
def claim_case(*, actor: Actor, case_id: UUID, interested: Collection[UUID] = ()) -> Case:
    """Gives the actor the case for ``CLAIM_LEASE``; claiming again renews. A lapsed claim may be taken over.

    ``interested``: people the caller knows to have a stake (the owner of the reported voice); they may not claim.
    Raises NotAllowed, NotFound, OwnCase, CaseClaimed, CaseDecided.
    """
    person_id = _moderator(actor)
    case = _locked_case(case_id)
    _refuse_own(case, person_id, interested)
    if case.state == CaseState.DECIDED:
        raise CaseDecided
    moment = now()
    live = case.state == CaseState.CLAIMED and case.claimed_until is not None and case.claimed_until > moment
    if live and case.claimed_by_id != person_id:
        raise CaseClaimed(claimed_until=case.claimed_until.isoformat() if case.claimed_until else "")
    renewal = live
    states.require(states.CASE, case.state, CaseState.CLAIMED)
    case.state = CaseState.CLAIMED
    case.claimed_by_id = person_id
    case.claimed_until = moment + CLAIM_LEASE
    case.first_claimed_at = case.first_claimed_at or moment
    case.save(update_fields=["state", "claimed_by", "claimed_until", "first_claimed_at"])
    if not renewal:
        _leaf("case.claimed", f"case:{case.id}", actor, {"until": case.claimed_until.isoformat()})
    return case


@transaction.atomic
def decide_case(
    *, actor: Actor, case_id: UUID, decision: str, reason: str, clause: str, interested: Collection[UUID] = ()
) -> Case:
    """Decides a case, once, by the moderator who holds it.

    Holds know allow, refuse and restrict (the text is forbidden to everybody); reports know restrict (the reported
    subject) and dismiss; voice matches know allow (the ceremony goes on), refuse (it ends) and restrict (the person,
    besides). The row lock makes the second of two simultaneous decisions see the first. Raises NotAllowed,
    NotFound, OwnCase, CaseNotClaimed, CaseDecided, WrongDecision, NoReason.
    """
    person_id = _moderator(actor)
    reason, clause = _bounded(reason, REASON_CHARS), _bounded(clause, CLAUSE_CHARS)
    case = _locked_case(case_id)
    _refuse_own(case, person_id, interested)
    if case.state == CaseState.DECIDED:
        raise CaseDecided
    if decision not in states.DECISIONS[case.kind]:
        raise WrongDecision(f"'{decision}' is none of: {', '.join(sorted(states.DECISIONS[case.kind]))}.")
    moment = now()
    if case.claimed_by_id != person_id or case.claimed_until is None or case.claimed_until <= moment:
        raise CaseNotClaimed
    states.require(states.CASE, case.state, CaseState.DECIDED)
    sealed = commit(reason)
    case.state = CaseState.DECIDED
    case.decision, case.decision_reason, case.decision_clause = decision, reason, clause
    case.decision_salt = sealed.salt
    case.decided_by_id, case.decided_at = person_id, moment
    case.save()
    restriction = _restrict_subject(case, actor=actor)
    case.leaf_index = _leaf(
        "case.decided",
        f"case:{case.id}",
        actor,
        {
            "kind": case.kind,
            "decision": decision,
            "clause": clause,
            "reason": sealed.digest,
            "restriction": str(restriction.id) if restriction else None,
        },
    )
    case.save(update_fields=["leaf_index"])
    return case


def _restrict_subject(case: Case, *, actor: Actor) -> Restriction | None:
    """The restriction a decision asks for. One that stands already is enough."""
    if case.decision != Decision.RESTRICT:
        return None
    effect = EFFECT_ON[case.subject_kind]
    standing = Restriction.objects.filter(
        subject_kind=case.subject_kind, subject_ref=case.subject_ref, effect=effect, state=RestrictionState.ACTIVE
    ).first()
    return standing or _create_restriction(
        actor=actor,
        subject_kind=case.subject_kind,
        subject_ref=case.subject_ref,
        effect=effect,
        reason=case.decision_reason,
        clause=case.decision_clause,
        case=case,
    )


# -- restrictions -----------------------------------------------------------------------------------------------------
@transaction.atomic
def restrict(
    *,
    actor: Actor,
    subject_kind: str,
    subject_ref: str,
    effect: str,
    reason: str,
    clause: str,
    case: Case | None = None,
) -> Restriction:
    """Restricts a subject at once; the gate obeys from the next question on.

    Raises NotAllowed, UnknownSubject, Refused (an effect the subject does not know), AlreadyRestricted, NoReason.
    """
    _moderator(actor)
    subject_ref = _check_ref(subject_kind, subject_ref)
    if effect != EFFECT_ON[subject_kind]:
        raise Refused(f"A {subject_kind} knows the effect '{EFFECT_ON[subject_kind]}'.", code="wrong_effect")
    return _create_restriction(
        actor=actor,
        subject_kind=subject_kind,
        subject_ref=subject_ref,
        effect=effect,
        reason=_bounded(reason, REASON_CHARS),
        clause=_bounded(clause, CLAUSE_CHARS),
        case=case,
    )


def _create_restriction(
    *, actor: Actor, subject_kind: str, subject_ref: str, effect: str, reason: str, clause: str, case: Case | None
) -> Restriction:
    sealed = commit(reason)
    try:
        with transaction.atomic():
            made = Restriction.objects.create(
                subject_kind=subject_kind,
                subject_ref=subject_ref,
                effect=effect,
                reason=reason,
                reason_salt=sealed.salt,
                clause=clause,
                case=case,
                made_by_id=actor.person_id,
            )
    except IntegrityError as error:
        raise AlreadyRestricted from error
    made.leaf_index = _leaf(
        "restriction.made",
        f"{subject_kind}:{subject_ref}",
        actor,
        {
            "restriction": str(made.id),
            "effect": effect,
            "clause": clause,
            "reason": sealed.digest,
            "case": str(case.id) if case else None,
        },
    )
    made.save(update_fields=["leaf_index"])
    return made


@transaction.atomic
def lift(*, actor: Actor, restriction_id: UUID, reason: str, interested: Collection[UUID] = ()) -> Restriction:
    """Ends a restriction. Raises NotAllowed, NotFound, OwnCase (nobody lifts what lies on themselves or, by
    ``interested``, on what is theirs), AlreadyLifted, NoReason."""
    person_id = _moderator(actor)
    reason = _bounded(reason, REASON_CHARS)
    found = Restriction.objects.select_for_update(of=("self",)).filter(id=restriction_id).first()
    if found is None:
        raise NotFound
    if person_id in interested or (found.subject_kind, found.subject_ref) == (SubjectKind.PERSON, str(person_id)):
        raise OwnCase
    if found.state == RestrictionState.LIFTED:
        raise AlreadyLifted
    states.require(states.RESTRICTION, found.state, RestrictionState.LIFTED)
    found.state, found.lifted_at, found.lifted_by_id = RestrictionState.LIFTED, now(), person_id
    sealed = commit(reason)
    found.lift_reason, found.lift_salt = reason, sealed.salt
    found.save(update_fields=["state", "lifted_at", "lifted_by", "lift_reason", "lift_salt"])
    _leaf(
        "restriction.lifted",
        f"{found.subject_kind}:{found.subject_ref}",
        actor,
        {"restriction": str(found.id), "effect": found.effect, "reason": sealed.digest},
    )
    return found


# -- shared -----------------------------------------------------------------------------------------------------------
def _leaf(kind: str, subject: str, actor: Actor, data: dict[str, object]) -> int:
    return log.append(kind=kind, subject=subject, actor=actor, data=data, rehearsal=settings.REHEARSAL).index


def _moderator(actor: Actor) -> UUID:
    actor.require_scope("moderate")
    actor.require_role("moderator")
    return _person(actor)


def _person(actor: Actor) -> UUID:
    if actor.person_id is None:
        raise NotAllowed("Only a person may do this.")
    return actor.person_id


def _locked_case(case_id: UUID) -> Case:
    case = Case.objects.select_for_update(of=("self",)).filter(id=case_id).first()
    if case is None:
        raise NotFound
    return case


def _refuse_own(case: Case, person_id: UUID, interested: Collection[UUID]) -> None:
    own = (
        case.requester_id == person_id
        or person_id in interested
        or (case.subject_kind, case.subject_ref) == (SubjectKind.PERSON, str(person_id))
        or any(match["person"] == str(person_id) for match in case.matches)
        or Report.objects.filter(case=case, reporter_id=person_id).exists()
    )
    if own:
        raise OwnCase


def _check_ref(subject_kind: str, subject_ref: str) -> str:
    """The reference in its one written form. Raises UnknownSubject."""
    if subject_kind not in SubjectKind.values:
        raise UnknownSubject(f"'{subject_kind}' is no kind of subject.")
    if subject_kind == SubjectKind.TEXT:
        if not _DIGEST.fullmatch(subject_ref):
            raise UnknownSubject("A text is named by its SHA-256 in lower-case hex.")
        return subject_ref
    try:
        return str(UUID(subject_ref))
    except ValueError as error:
        raise UnknownSubject(f"A {subject_kind} is named by its id.") from error


def _bounded(words: str, most: int) -> str:
    words = words.strip()
    if not words:
        raise NoReason
    if len(words) > most:
        raise Refused(f"At most {most} characters.", code="too_many_characters")
    return words
