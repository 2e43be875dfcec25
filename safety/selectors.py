"""Reads. The gate's question is one query; the queue is ordered by the database."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from django.db.models import F, Q, QuerySet

from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from safety import guards
from safety.errors import UnknownSubject
from safety.models import Case, Restriction
from safety.states import CaseKind, CaseState, Decision, RestrictionState, SubjectKind


def active_restrictions(*, subjects: Sequence[tuple[str, str]]) -> list[Restriction]:
    """The restrictions in force on any of ``subjects`` (pairs of kind and reference), in one query.

    Raises UnknownSubject for a kind that does not exist: a misspelt subject must not read as "no restriction".
    """
    wanted: dict[str, list[str]] = defaultdict(list)
    for kind, ref in subjects:
        if kind not in SubjectKind.values:
            raise UnknownSubject(f"'{kind}' is no kind of subject.")
        wanted[kind].append(str(ref))
    if not wanted:
        return []
    condition = Q()
    for kind, refs in wanted.items():
        condition |= Q(subject_kind=kind, subject_ref__in=refs)
    found = Restriction.objects.filter(condition, _unexpired(), state=RestrictionState.ACTIVE)
    return list(found.order_by("made_at", "id"))


def restricted_refs(*, subject_kind: str) -> list[str]:
    """References of all subjects of one kind that a restriction is in force on. Raises UnknownSubject."""
    if subject_kind not in SubjectKind.values:
        raise UnknownSubject(f"'{subject_kind}' is no kind of subject.")
    found = Restriction.objects.filter(_unexpired(), subject_kind=subject_kind, state=RestrictionState.ACTIVE)
    return list(found.values_list("subject_ref", flat=True).distinct())


def _unexpired() -> Q:
    return Q(expires_at__isnull=True) | Q(expires_at__gt=now())


def decision_for(*, text_digest: str, voice_ref: str, requester_id: UUID) -> Case | None:
    """The last decided hold of exactly this text in this voice for this person."""
    return (
        Case.objects.filter(
            kind=CaseKind.HOLD,
            state=CaseState.DECIDED,
            text_digest=text_digest,
            voice_ref=str(voice_ref),
            requester_id=requester_id,
        )
        .order_by("-decided_at", "-opened_at")
        .first()
    )


def approval_for(*, text_digest: str, voice_ref: str, requester_id: UUID) -> Case | None:
    """The case that allowed exactly this, if the last decision about it was to allow it."""
    last = decision_for(text_digest=text_digest, voice_ref=voice_ref, requester_id=requester_id)
    return last if last is not None and last.decision == Decision.ALLOW else None


def queue(*, actor: Actor, state: str | None = None) -> QuerySet[Case]:
    """Cases for the desk: worst first, then oldest. Raises NotAllowed unless the actor moderates."""
    guards.moderator(actor)
    cases = Case.objects.all()
    if state is not None:
        cases = cases.filter(state=state)
    return cases.order_by(F("severity").desc(), "opened_at", "id")


def case(*, actor: Actor, case_id: UUID) -> Case:
    """One case. Raises NotAllowed, NotFound."""
    found = queue(actor=actor).filter(id=case_id).first()
    if found is None:
        raise NotFound
    return found


def restrictions(*, actor: Actor, state: str | None = None) -> QuerySet[Restriction]:
    """All restrictions, newest first. Raises NotAllowed unless the actor moderates."""
    guards.moderator(actor)
    found = Restriction.objects.all()
    if state is not None:
        found = found.filter(state=state)
    return found.order_by("-made_at", "id")


def restriction(*, actor: Actor, restriction_id: UUID) -> Restriction:
    """One restriction. Raises NotAllowed, NotFound."""
    found = restrictions(actor=actor).filter(id=restriction_id).first()
    if found is None:
        raise NotFound
    return found
