"""Which state may follow which. The database carries the matching constraints."""

from typing import Final

from django.db import models

from foundation.errors import Conflict


class ListingState(models.TextChoices):
    LIVE = "live", "Live"
    WITHDRAWN = "withdrawn", "Withdrawn"


class ReviewState(models.TextChoices):
    UNLISTED = "unlisted", "Unlisted"
    WAITING = "waiting", "Waiting"
    PUBLISHED = "published", "Published"
    TURNED_DOWN = "turned_down", "Turned down"


class SearchState(models.TextChoices):
    QUEUED = "queued", "Queued"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class OrderState(models.TextChoices):
    PLACED = "placed", "Placed"
    PAID = "paid", "Paid"
    FULFILLED = "fulfilled", "Fulfilled"
    CANCELLED = "cancelled", "Cancelled"
    REFUNDED = "refunded", "Refunded"


class OrderKind(models.TextChoices):
    LICENCE = "licence", "Licence"
    BILL = "bill", "Share of declared revenue"
    MEMBERSHIP = "membership", "Membership"


class Currency(models.TextChoices):
    CNY = "CNY", "CNY"
    EUR = "EUR", "EUR"
    GBP = "GBP", "GBP"
    JPY = "JPY", "JPY"
    USD = "USD", "USD"


LISTING: Final[dict[str, frozenset[str]]] = {
    ListingState.LIVE: frozenset({ListingState.WITHDRAWN}),
    ListingState.WITHDRAWN: frozenset(),
}
ORDER: Final[dict[str, frozenset[str]]] = {
    OrderState.PLACED: frozenset({OrderState.PAID, OrderState.CANCELLED}),
    # Money that arrived does not vanish: a paid order is fulfilled, or stays visible until somebody refunds it.
    OrderState.PAID: frozenset({OrderState.FULFILLED, OrderState.REFUNDED}),
    OrderState.FULFILLED: frozenset({OrderState.REFUNDED}),
    OrderState.REFUNDED: frozenset(),
    OrderState.CANCELLED: frozenset(),
}


class WrongState(Conflict):
    """That step does not follow from the present state."""

    code = "wrong_state"


def require(table: dict[str, frozenset[str]], now: str, then: str) -> None:
    """Raises WrongState unless ``table`` lets ``then`` follow ``now``."""
    if then not in table[now]:
        raise WrongState(f"'{then}' does not follow '{now}'.", state=now)
