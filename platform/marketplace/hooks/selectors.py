"""Reads: one's own webhooks and what was sent to them."""

from uuid import UUID

from django.db.models import QuerySet

from foundation.errors import NotFound
from foundation.identity.actors import Actor
from marketplace.hooks.models import Delivery, Endpoint


def endpoints_of(*, actor: Actor) -> QuerySet[Endpoint]:
    """The actor's own that are not ended, newest first."""
    return Endpoint.objects.filter(owner_id=actor.person_id, ended_at__isnull=True).order_by("-made_at")


def deliveries_of(*, actor: Actor, endpoint_id: UUID) -> QuerySet[Delivery]:
    """What was and will be sent to one of the actor's own, newest first. Raises NotFound."""
    own = Endpoint.objects.filter(id=endpoint_id, owner_id=actor.person_id)
    if actor.person_id is None or not own.exists():
        raise NotFound
    return Delivery.objects.filter(endpoint_id=endpoint_id).order_by("-made_at")
