"""A renewed consent: the voices of the former one go on under the new one, which names it."""

from uuid import UUID

from django.db import transaction

from cloning.models import Voice
from cloning.states import VoiceState
from consent.models import Consent


@transaction.atomic
def carry_voices(*, consent_id: UUID) -> list[UUID]:
    """Moves every voice that is not destroyed from the consent that ``consent_id`` renews to ``consent_id``.

    The caller holds the transaction in which the former ended; its leaf names both, so this one writes none. Work that
    is waiting or running goes on: the gate asks the voice's consent anew before any key is opened. Returns the voices
    moved; safe to call twice. Raises ValueError for a consent that renews none.
    """
    consent = Consent.objects.select_for_update(of=("self",)).get(id=consent_id)
    if consent.former_id is None:
        raise ValueError("not a renewal")
    under = Voice.objects.select_for_update(of=("self",)).filter(consent_id=consent.former_id).order_by("id")
    moved = list(under.exclude(state=VoiceState.DESTROYED).values_list("id", flat=True))
    Voice.objects.filter(id__in=moved).update(consent_id=consent.id)
    return moved
