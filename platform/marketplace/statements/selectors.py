"""Reads: an owner's own statements."""

from uuid import UUID

from django.db.models import QuerySet

from foundation.errors import NotFound
from foundation.identity.actors import Actor
from marketplace.statements.models import Statement


def statements_of(*, actor: Actor) -> QuerySet[Statement]:
    """The actor's own, newest first."""
    own = Statement.objects.select_related("account", "rates").filter(account__owner_id=actor.person_id)
    return own.order_by("-made_at")


def statement_of(*, actor: Actor, statement_id: UUID) -> Statement:
    """One of the actor's own. Raises NotFound."""
    found = statements_of(actor=actor).filter(id=statement_id).first()
    if found is None:
        raise NotFound
    return found
