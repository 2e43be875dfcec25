"""Reads: the shop, one's orders, and the statement of a period."""

from datetime import datetime
from uuid import UUID

from django.db.models import Count, F, FloatField, Func, Q, QuerySet, Sum, Value

from cloning.models import Usage
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from marketplace import metering
from marketplace.models import Charge, Listing, Order
from marketplace.statements.sources import terms_of
from marketplace.states import ListingState, ReviewState


def shop(*, reviewed_only: bool = True) -> QuerySet[Listing]:
    """What stands in the shop: reviewed, live listings of ready voices under a consent in force, newest first."""
    standing = Listing.objects.select_related("voice").filter(
        state=ListingState.LIVE,
        voice__state="ready",
        voice__consent__state="active",
        voice__consent__valid_until__gt=now(),
    )
    reviewed = standing.filter(review=ReviewState.PUBLISHED) if reviewed_only else standing
    return reviewed.order_by("-created_at", "id")


def listing(*, actor: Actor, listing_id: UUID) -> Listing:
    """A listing that stands, for whoever was given its address, reviewed or not: it can be looked at and reported, and
    ordered once it is reviewed. One's own in any state. Raises NotFound."""
    on_offer = Q(id__in=shop(reviewed_only=False).values("id"))
    visible = Listing.objects.select_related("voice").filter(on_offer | Q(owner_id=actor.person_id))
    found = visible.filter(id=listing_id).first()
    if found is None:
        raise NotFound
    return found


def orders_of(*, actor: Actor) -> QuerySet[Order]:
    """What the actor ordered, newest first."""
    return Order.objects.select_related("listing").filter(customer_id=actor.person_id).order_by("-placed_at")


def order(*, actor: Actor, order_id: UUID) -> Order:
    """An order the actor placed or received; operators see all. Raises NotFound."""
    orders = Order.objects.select_related("listing")
    if actor.role != "operator" or "operate" not in actor.scopes:
        orders = orders.filter(Q(customer_id=actor.person_id) | Q(seller_id=actor.person_id))
    found = orders.filter(id=order_id).first()
    if found is None:
        raise NotFound
    return found


def statement(*, owner_id: UUID, since: datetime, until: datetime) -> metering.Statement:
    """What the owner's voices were used for and earned in ``since <= at < until``.

    The database adds uses up by licence, however many they are; the prices are those of the orders that brought a
    licence, the arithmetic is ``metering.price_meters``.
    """
    used = Usage.objects.filter(consent__person_id=owner_id, created_at__lt=until)
    within, before = Q(created_at__gte=since), Q(created_at__lt=since)
    length = Func(F("seconds") * Value(1000.0), function="ROUND", output_field=FloatField())
    sums = used.values("licence_id").annotate(
        before=Sum("characters", filter=before, default=0),
        before_ms=Sum(length, filter=before, default=0.0),
        before_uses=Count("id", filter=before),
        used=Sum("characters", filter=within, default=0),
        milliseconds=Sum(length, filter=within, default=0.0),
        uses=Count("id", filter=within),
    )
    # Uses before terms: an order exists before its licence is used, so nothing can be read without its price.
    meters: dict[str | None, metering.Meter] = {
        str(row["licence_id"]) if row["licence_id"] else None: metering.Meter(
            row["before"], int(row["before_ms"]), row["before_uses"], row["used"], int(row["milliseconds"]), row["uses"]
        )
        for row in sums.order_by()
    }
    charges = Charge.objects.filter(owner_id=owner_id, at__gte=since, at__lt=until).values("licence_id")
    for row in charges.annotate(total=Sum("gross")).order_by():
        meters.setdefault(str(row["licence_id"]), metering.Meter()).charged = row["total"]
    terms: dict[str | None, metering.Terms] = dict.fromkeys(meters, metering.FREE)
    sold = Order.objects.filter(seller_id=owner_id, licence__isnull=False)
    for order in sold:
        terms[str(order.licence_id)] = metering.Terms(order.price_minor, order.currency, terms_of(order))
    return metering.price_meters(meters, terms, since=since, until=until)
