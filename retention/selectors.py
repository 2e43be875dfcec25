"""What a person may see of what is held about them."""

from uuid import UUID

from django.db.models import QuerySet

from foundation.identity.actors import Actor
from retention.errors import ItemUnknown
from retention.models import CustodyItem


def held_for(*, actor: Actor) -> QuerySet[CustodyItem]:
    """Everything held, or once held, of this person: newest first."""
    if actor.person_id is None:
        return CustodyItem.objects.none()
    return CustodyItem.objects.filter(subject_id=actor.person_id).order_by("-received_at", "-created_at")


def item_for(*, actor: Actor, item_id: UUID) -> CustodyItem:
    """One of them. Raises ItemUnknown, the same for an unknown id and another person's."""
    found = held_for(actor=actor).filter(id=item_id).first()
    if found is None:
        raise ItemUnknown
    return found
