"""What every write on an order begins with."""

from uuid import UUID

from foundation.errors import NotFound
from foundation.identity.actors import Actor
from marketplace.models import Order


def require_operator(actor: Actor) -> None:
    """An operator, or the system itself on a provider's word. Raises MissingScope, WrongRole."""
    actor.require_scope("operate")
    actor.require_role("operator", "system")


def locked_order(order_id: UUID) -> Order:
    """The order, locked until the transaction ends. Raises NotFound."""
    order = Order.objects.select_for_update(of=("self",)).filter(id=order_id).first()
    if order is None:
        raise NotFound
    return order
