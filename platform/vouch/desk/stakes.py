"""Whose thing a case is about: they may not decide it, and they are told when it goes against them."""

from collections.abc import Collection
from uuid import UUID

from cloning.models import Output, Voice
from consent.models import Licence
from safety.models import Case
from safety.states import SubjectKind


def stakes(subject_kind: str, subject_ref: str, voice_ref: str = "") -> Collection[UUID]:
    """Everybody who owns, asked for, or holds what is named."""
    voice = subject_ref if subject_kind == SubjectKind.VOICE else voice_ref
    people = set(Voice.objects.filter(id=voice).values_list("owner_id", flat=True)) if voice else set()
    if subject_kind == SubjectKind.OUTPUT:
        for owner, requester in Output.objects.filter(id=subject_ref).values_list("voice__owner", "requester"):
            people |= {owner, requester}
    if subject_kind == SubjectKind.LICENCE:
        for owner, licensee in Licence.objects.filter(id=subject_ref).values_list("consent__person", "licensee"):
            people |= {owner, licensee}
    return people


def stakes_of(case: Case) -> Collection[UUID]:
    return stakes(case.subject_kind, case.subject_ref, case.voice_ref)


def affected(case: Case) -> UUID | None:
    """The one person a decision against this case's subject takes something from; None when nobody is known."""
    if case.requester_id is not None:
        return case.requester_id
    ref = case.subject_ref
    match case.subject_kind:
        case SubjectKind.PERSON:
            return _person(ref)
        case SubjectKind.VOICE:
            return Voice.objects.filter(id=ref).values_list("owner_id", flat=True).first()
        case SubjectKind.OUTPUT:
            return Output.objects.filter(id=ref).values_list("requester_id", flat=True).first()
        case SubjectKind.LICENCE:
            return Licence.objects.filter(id=ref).values_list("licensee_id", flat=True).first()
        case _:
            return None


def _person(ref: str) -> UUID | None:
    from foundation.identity.models import Person

    return Person.objects.filter(id=ref).values_list("id", flat=True).first()
