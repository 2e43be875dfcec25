"""Reads. A consent or licence in force is one whose state says so and whose time is not over."""

from typing import TypeVar
from uuid import UUID

from django.db.models import F, Q, QuerySet

from consent.models import Challenge, Consent, Examination, Licence, LicenceSeat, Recording, Review
from consent.states import ConsentState, LicenceState, ReviewState
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor

T = TypeVar("T")


def own_id(actor: Actor) -> UUID:
    """The person behind the actor. Raises NotFound for the system and the anonymous: they own nothing here."""
    if actor.person_id is None:
        raise NotFound
    return actor.person_id


def active_consent(*, consent_id: UUID) -> Consent | None:
    """The consent, if it is in force at this moment."""
    return Consent.objects.filter(id=consent_id, state=ConsentState.ACTIVE.value, valid_until__gt=now()).first()


def licence_for(*, person_id: UUID, consent_id: UUID) -> Licence | None:
    """The person's licence under a consent that has most characters left; None without one in force."""
    return (
        Licence.objects.filter(
            licensee_id=person_id, consent_id=consent_id, state=LicenceState.ACTIVE.value, valid_until__gt=now()
        )
        .order_by((F("characters_cap") - F("characters_used") - F("characters_reserved")).desc(), "granted_at", "id")
        .first()
    )


def usable_licences(*, person_id: UUID, consent_id: UUID) -> QuerySet[Licence]:
    """Licences in force that the person holds or has a seat in, the one with most characters left first."""
    seated = LicenceSeat.objects.filter(person_id=person_id, returned_at=None).values("licence_id")
    mine = Q(licensee_id=person_id) | Q(id__in=seated)
    left = F("characters_cap") - F("characters_used") - F("characters_reserved")
    return Licence.objects.filter(
        mine, consent_id=consent_id, state=LicenceState.ACTIVE.value, valid_until__gt=now()
    ).order_by(left.desc(), "granted_at", "id")


def usable_consents(*, person_id: UUID) -> QuerySet[Licence, UUID]:
    """Ids of the consents under which the person holds a licence in force, or a seat in one."""
    seated = LicenceSeat.objects.filter(person_id=person_id, returned_at=None).values("licence_id")
    mine = Q(licensee_id=person_id) | Q(id__in=seated)
    in_force = Licence.objects.filter(mine, state=LicenceState.ACTIVE.value, valid_until__gt=now())
    return in_force.values_list("consent_id", flat=True)


def knows_consent(*, person_id: UUID, consent_id: UUID) -> bool:
    """Whether the person holds or held a licence under it, or a seat in one."""
    mine = Q(licensee_id=person_id) | Q(seats__person_id=person_id)
    return Licence.objects.filter(mine, consent_id=consent_id).exists()


def knows_licence(*, person_id: UUID, licence_id: UUID) -> bool:
    """Whether the person holds or held this licence, or a seat in it."""
    mine = Q(licensee_id=person_id) | Q(seats__person_id=person_id)
    return Licence.objects.filter(mine, id=licence_id).exists()


def licence_of(*, actor: Actor, licence_id: UUID) -> Licence:
    """One licence of either side. Raises NotFound."""
    return _found(licences_of(actor=actor).filter(id=licence_id).first())


def licences_of(*, actor: Actor) -> QuerySet[Licence]:
    """Licences the actor holds, and those under the actor's own consents; newest first."""
    person_id = own_id(actor)
    seated = LicenceSeat.objects.filter(person_id=person_id, returned_at=None).values("licence_id")
    mine = Q(licensee_id=person_id) | Q(consent__person_id=person_id) | Q(id__in=seated)
    return Licence.objects.filter(mine).select_related("consent").order_by("-granted_at", "id")


def consents_of(*, actor: Actor) -> QuerySet[Consent]:
    """The actor's own consents, newest first."""
    return Consent.objects.filter(person_id=own_id(actor)).order_by("-given_at", "id")


def consent_of(*, actor: Actor, consent_id: UUID) -> Consent:
    """One of them. Raises NotFound, the same for an unknown id and another person's."""
    return _found(consents_of(actor=actor).filter(id=consent_id).first())


def recording_of(*, actor: Actor, recording_id: UUID) -> Recording:
    """The actor's own recording. Raises NotFound."""
    return _found(Recording.objects.filter(id=recording_id, person_id=own_id(actor)).first())


def examination_of(*, actor: Actor, examination_id: UUID) -> Examination:
    """The examination of something of the actor's own. Raises NotFound."""
    return _found(Examination.objects.filter(id=examination_id, person_id=own_id(actor)).first())


def challenge_of(*, actor: Actor, challenge_id: UUID) -> Challenge:
    """The actor's own challenge. Raises NotFound."""
    return _found(Challenge.objects.filter(id=challenge_id, person_id=own_id(actor)).first())


def _found(thing: T | None) -> T:
    if thing is None:
        raise NotFound
    return thing


def reviews_of(*, actor: Actor) -> QuerySet[Review]:
    """The actor's own reviews, newest first."""
    own = Review.objects.filter(person_id=own_id(actor)).prefetch_related("votes")
    return own.order_by("-opened_at", "id")


def review_of(*, actor: Actor, review_id: UUID) -> Review:
    """One of them. Raises NotFound."""
    return _found(reviews_of(actor=actor).filter(id=review_id).first())


def review_queue(*, actor: Actor) -> QuerySet[Review]:
    """Reviews that wait for a moderator, the one whose time runs out first. Raises NotAllowed unless the actor
    moderates."""
    actor.require_scope("moderate")
    actor.require_role("moderator", "senior")
    waiting = Review.objects.filter(state=ReviewState.OPEN.value, expires_at__gt=now())
    return waiting.exclude(person_id=own_id(actor)).prefetch_related("votes").order_by("expires_at", "id")


def review_for(*, actor: Actor, review_id: UUID) -> Review:
    """One review as moderators see it, also when it is decided. Raises NotAllowed, NotFound."""
    actor.require_scope("moderate")
    actor.require_role("moderator", "senior")
    return _found(Review.objects.filter(id=review_id).exclude(person_id=own_id(actor)).first())
