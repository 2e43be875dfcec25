"""Which voice somebody means who gives a name instead of an id: programs written for other services do."""

from uuid import UUID

from django.db.models import Q, QuerySet

from cloning.errors import VoiceAmbiguous, VoiceUnknown
from cloning.models import Voice
from cloning.states import VoiceState
from consent.selectors import usable_consents
from foundation.identity.actors import Actor


def chosen(*, actor: Actor, wanted: str) -> Voice:
    """The voice with that id or, in any case of letters, the ready one of that name, among those the actor owns or has
    a licence for. The gate still decides whether it may speak, and says why not. Raises VoiceUnknown, VoiceAmbiguous.
    """
    named = Q(id=UUID(wanted)) if _is_id(wanted) else Q(name__iexact=wanted, state=VoiceState.READY.value)
    found = list(_mine(actor).filter(named)[:2])
    if not found:
        raise VoiceUnknown(
            "No ready voice of yours, and none that you have a licence for, has that id or name.",
            advice="GET /api/v1/voices lists your own voices, GET /api/v1/licences those you may use.",
        )
    if len(found) > 1:
        raise VoiceAmbiguous
    return found[0]


def choosable(*, actor: Actor) -> QuerySet[Voice]:
    """The ready voices that `chosen` knows for this actor, newest first."""
    return _mine(actor).filter(state=VoiceState.READY.value).order_by("-created_at", "-id")


def _mine(actor: Actor) -> QuerySet[Voice]:
    if actor.person_id is None:
        return Voice.objects.none()
    consents = usable_consents(person_id=actor.person_id)
    return Voice.objects.filter(Q(owner_id=actor.person_id) | Q(consent_id__in=consents))


def _is_id(wanted: str) -> bool:
    try:
        UUID(wanted)
    except ValueError:
        return False
    return True
