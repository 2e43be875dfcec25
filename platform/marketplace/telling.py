"""What an order's two sides are told by webhook: nothing that only the other side may know."""

from marketplace.hooks import services as hooks
from marketplace.models import Order


def tell_order(order: Order, event: str, key: str = "") -> None:
    """Tells customer and seller, in the caller's transaction. ``key``: what makes a kind that may recur once."""
    hooks.tell(
        people=[one for one in (order.customer_id, order.seller_id) if one is not None],
        event=event,
        key=f"{order.id}{key}",
        data={
            "order": str(order.id),
            "kind": order.kind,
            "listing": str(order.listing_id) if order.listing_id else None,
            "licence": str(order.licence_id) if order.licence_id else None,
            "state": order.state,
            "amount_minor": order.amount_minor,
            "refunded_minor": order.refunded_minor,
            "currency": order.currency,
        },
    )
