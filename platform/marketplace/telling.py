"""What an order's two sides are told by webhook: nothing that only the other side may know."""

from marketplace.hooks import services as hooks
from marketplace.models import Order


def tell_order(order: Order, event: str, key: str = "") -> None:
    """Tells customer and seller, in the caller's transaction. ``key``: what makes a kind that may recur once."""
    hooks.tell(
        people=[order.customer_id, order.seller_id],
        event=event,
        key=f"{order.id}{key}",
        data={
            "order": str(order.id),
            "listing": str(order.listing_id),
            "licence": str(order.licence_id) if order.licence_id else None,
            "state": order.state,
            "amount_minor": order.amount_minor,
            "refunded_minor": order.refunded_minor,
            "currency": order.currency,
        },
    )
