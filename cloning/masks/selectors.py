"""Who sees which masks: a voice's owner all of theirs, who may speak in the voice under a licence the ready ones."""

from uuid import UUID

from django.db.models import Q, QuerySet

from cloning.masks.models import VoiceMask
from cloning.models import Voice
from cloning.states import MaskState
from consent.selectors import usable_consents
from foundation.errors import NotFound
from foundation.identity.actors import Actor


def masks(*, actor: Actor, voice_id: UUID) -> QuerySet[VoiceMask]:
    """A voice's masks that the actor may see, newest first. Raises NotFound for a voice that is not theirs to see."""
    licensed = usable_consents(person_id=actor.person_id) if actor.person_id else []
    seen = Q(owner_id=actor.person_id) | Q(consent_id__in=licensed)
    if actor.person_id is None or not Voice.objects.filter(seen, id=voice_id).exists():
        raise NotFound
    return _visible(actor).filter(voice_id=voice_id).order_by("-created_at", "-id")


def mask(*, actor: Actor, mask_id: UUID) -> VoiceMask:
    """Raises NotFound."""
    found = _visible(actor).filter(id=mask_id).first() if actor.person_id else None
    if found is None:
        raise NotFound
    return found


def _visible(actor: Actor) -> QuerySet[VoiceMask]:
    person = actor.person_id
    if person is None:
        raise NotFound
    under = Q(state=MaskState.READY, voice__consent_id__in=usable_consents(person_id=person))
    return VoiceMask.objects.select_related("job").filter(Q(owner_id=person) | under)
