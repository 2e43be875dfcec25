"""Restrictions: decisions as the gate sees them. Made at once, lifted with a reason, never deleted."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from foundation.audit.commitments import commit
from foundation.clock import now
from foundation.errors import NotFound, Refused
from foundation.identity.actors import Actor
from safety import guards, states
from safety.errors import AlreadyLifted, AlreadyRestricted, OwnCase
from safety.models import Case, Restriction
from safety.sizes import CLAUSE_CHARS, REASON_CHARS
from safety.states import EFFECT_ON, Decision, Effect, RestrictionState, SubjectKind

SYSTEM = Actor.system("safety.restrictions")


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
    """Restricts a subject at once; the gate obeys from the next question on. What is irreversible comes from a case.

    Raises NotAllowed, UnknownSubject, Refused (an effect the subject does not know), AlreadyRestricted, NoReason.
    """
    guards.moderator(actor)
    subject_ref = guards.check_ref(subject_kind, subject_ref)
    if effect != EFFECT_ON[subject_kind]:
        raise Refused(f"A {subject_kind} knows the effect '{EFFECT_ON[subject_kind]}'.", code="wrong_effect")
    return create(
        actor=actor,
        subject_kind=subject_kind,
        subject_ref=subject_ref,
        effect=effect,
        reason=guards.bounded(reason, REASON_CHARS),
        clause=guards.bounded(clause, CLAUSE_CHARS),
        case=case,
    )


def create(
    *,
    actor: Actor,
    subject_kind: str,
    subject_ref: str,
    effect: str,
    reason: str,
    clause: str,
    case: Case | None,
    expires_at: datetime | None = None,
) -> Restriction:
    """The row and its leaf, inside the caller's transaction. Raises AlreadyRestricted."""
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
                expires_at=expires_at,
            )
    except IntegrityError as error:
        raise AlreadyRestricted from error
    data = {
        "restriction": str(made.id),
        "effect": effect,
        "clause": clause,
        "reason": sealed.digest,
        "case": str(case.id) if case else None,
    }
    if expires_at is not None:
        data["expires_at"] = expires_at.isoformat()
    made.leaf_index = guards.leaf("restriction.made", f"{subject_kind}:{subject_ref}", actor, data)
    made.save(update_fields=["leaf_index"])
    return made


def for_decision(case: Case, *, actor: Actor) -> Restriction | None:
    """The restriction a decision asks for. One that stands already is enough."""
    target = _target(case)
    if target is None:
        return None
    subject_kind, subject_ref, effect = target
    standing = Restriction.objects.filter(
        subject_kind=subject_kind, subject_ref=subject_ref, effect=effect, state=RestrictionState.ACTIVE
    ).first()
    if standing is not None and standing.expires_at is None:
        return standing
    if standing is not None:  # it would end by itself, and this decision means one that does not
        _lift(standing, actor=actor, reason="Replaced by a later decision.")
    return create(
        actor=actor,
        subject_kind=subject_kind,
        subject_ref=subject_ref,
        effect=effect,
        reason=case.decision_reason,
        clause=case.decision_clause,
        case=case,
    )


def _target(case: Case) -> tuple[str, str, str] | None:
    match case.decision:
        case Decision.RESTRICT:
            return case.subject_kind, case.subject_ref, EFFECT_ON[case.subject_kind]
        case Decision.DESTROY:
            return SubjectKind.VOICE.value, case.subject_ref, Effect.DESTROY.value
        case Decision.BAN:
            person = case.subject_ref if case.subject_kind == SubjectKind.PERSON else str(case.requester_id)
            return SubjectKind.PERSON.value, person, Effect.BAN.value
        case _:
            return None


@transaction.atomic
def lift(*, actor: Actor, restriction_id: UUID, reason: str, interested: Collection[UUID]) -> Restriction:
    """Ends a restriction. Raises NotAllowed, NotFound, OwnCase (nobody lifts what lies on themselves or, by
    ``interested``, on what is theirs), AlreadyLifted, NoReason, Refused (a ban ends on appeal alone)."""
    person_id = guards.moderator(actor)
    reason = guards.bounded(reason, REASON_CHARS)
    found = Restriction.objects.select_for_update(of=("self",)).filter(id=restriction_id).first()
    if found is None:
        raise NotFound
    if person_id in interested or (found.subject_kind, found.subject_ref) == (SubjectKind.PERSON, str(person_id)):
        raise OwnCase
    if found.state == RestrictionState.LIFTED:
        raise AlreadyLifted
    if found.effect in (Effect.BAN, Effect.DESTROY):
        raise Refused("What two people decided ends on appeal alone.", code="not_lifted_by_one")
    _lift(found, actor=actor, reason=reason)
    return found


def lift_of_case(*, case: Case, actor: Actor, reason: str) -> int:
    """Ends what a case brought about, when its decision is reversed. Returns how many."""
    standing = Restriction.objects.select_for_update(of=("self",)).filter(case=case, state=RestrictionState.ACTIVE)
    found = [one for one in standing.order_by("id") if one.effect != Effect.DESTROY]
    for one in found:
        _lift(one, actor=actor, reason=reason)
    return len(found)


def lift_all(*, actor: Actor, subject_kind: str, subject_ref: str, clause: str, reason: str) -> int:
    """Ends what stands on a subject by one clause. Inside a transaction. Returns how many."""
    standing = Restriction.objects.select_for_update(of=("self",)).filter(
        subject_kind=subject_kind, subject_ref=subject_ref, clause=clause, state=RestrictionState.ACTIVE
    )
    found = list(standing.order_by("id"))
    for one in found:
        _lift(one, actor=actor, reason=reason)
    return len(found)


@transaction.atomic
def end_expired() -> int:
    """Lifts blocks whose time is over. The gate ignores them from that moment on, whether or not this ran."""
    over = Restriction.objects.select_for_update(skip_locked=True, of=("self",)).filter(
        state=RestrictionState.ACTIVE, expires_at__lte=now()
    )
    found = list(over.order_by("id")[:500])
    for one in found:
        _lift(one, actor=SYSTEM, reason="Its time is over.")
    return len(found)


def _lift(found: Restriction, *, actor: Actor, reason: str) -> None:
    states.require(states.RESTRICTION, found.state, RestrictionState.LIFTED)
    found.state, found.lifted_at, found.lifted_by_id = RestrictionState.LIFTED, now(), actor.person_id
    sealed = commit(reason)
    found.lift_reason, found.lift_salt = reason, sealed.salt
    found.save(update_fields=["state", "lifted_at", "lifted_by", "lift_reason", "lift_salt"])
    guards.record(
        "restriction.lifted",
        f"{found.subject_kind}:{found.subject_ref}",
        actor,
        {"restriction": str(found.id), "effect": found.effect, "reason": sealed.digest},
    )
