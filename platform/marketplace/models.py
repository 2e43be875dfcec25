"""Listings and orders. A price is integer minor units for what its unit counts (`pricing.PER`: 1,000 characters, a
second, an output, a month) and never changes under a customer."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from foundation.clock import now
from marketplace.hooks.models import Delivery, Endpoint
from marketplace.ledger.models import Account, Entry, Leg
from marketplace.payments.models import Payment, ProviderEvent
from marketplace.pricing import PER, Unit
from marketplace.statements.models import RateTable, Statement
from marketplace.states import Currency, ListingState, OrderState

__all__ = [
    "Account",
    "Delivery",
    "Endpoint",
    "Entry",
    "Leg",
    "Listing",
    "Order",
    "Payment",
    "ProviderEvent",
    "RateTable",
    "Statement",
]

TITLE_CHARS = 120
MAX_PRICE_MINOR = 10_000_000
"""A hundred thousand of the larger unit per 1,000 characters: beyond that it is a typing mistake."""
MAX_ORDER_CHARACTERS = 10_000_000
"""A hundred novels. With the price bound it keeps every amount far inside 64 bits."""
UNITS = [(unit.value, unit.value) for unit in Unit]
MAX_FEE_BP = 5_000
"""The platform never keeps more than half, so that an earning is always something for its owner."""
MAX_LICENCE_DAYS = 3_650
"""Ten years, the longest term a licence may have."""


MAX_QUANTITY = 10**9
"""Of any unit: eleven days of sound in milliseconds."""


def _amount_follows() -> Q:
    """What an order costs, by its unit; a share of revenue costs nothing in advance."""
    prepaid = [unit for unit in Unit if unit != Unit.SHARE]
    found = Q(unit=Unit.SHARE.value, amount_minor=0)
    for unit in prepaid:
        found |= Q(unit=unit.value, amount_minor=F("quantity") * F("price_minor") / PER[unit])
    return found


class Listing(models.Model):
    """An owner's standing offer: what a licence of this voice covers and costs. New terms are a new listing.

    ``scope``: ``{"languages": [...], "days": n}``.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="listings")
    voice = models.ForeignKey("cloning.Voice", on_delete=models.PROTECT, related_name="listings")
    title = models.CharField(max_length=TITLE_CHARS)
    price_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3, choices=Currency.choices)
    scope = models.JSONField()
    state = models.CharField(max_length=16, choices=ListingState.choices, default=ListingState.LIVE)
    rehearsal = models.BooleanField()
    created_at = models.DateTimeField(default=now)
    withdrawn_at = models.DateTimeField(null=True)
    leaf_index = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(price_minor__range=(0, MAX_PRICE_MINOR)), name="listing_price_range"),
            models.CheckConstraint(condition=Q(currency__in=Currency.values), name="listing_currency_known"),
            models.CheckConstraint(condition=Q(rehearsal=False) | Q(price_minor=0), name="listing_rehearsal_free"),
            models.CheckConstraint(
                condition=Q(state=ListingState.LIVE, withdrawn_at__isnull=True)
                | Q(state=ListingState.WITHDRAWN, withdrawn_at__isnull=False),
                name="listing_state_whole",
            ),
            models.UniqueConstraint(
                fields=["voice"], condition=Q(state=ListingState.LIVE), name="listing_one_live_per_voice"
            ),
        ]

    def __str__(self) -> str:
        return f"listing {self.id}"


class Order(models.Model):
    """A customer's order of so much of the listing's unit, at the listing's price when it was placed.

    ``quantity``: what is paid for, in what the unit counts (`pricing.Terms`); ``free``: what comes before it for
    nothing; ``characters``: what the licence allows in all. ``fee_bp``: the platform's part, in basis points.
    ``settled_at``: when its earnings were last booked; ``fully_earned``: nothing will ever be left to book.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="orders")
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="orders")
    seller = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="sales")
    characters = models.BigIntegerField()
    unit = models.CharField(max_length=9, choices=UNITS, default=Unit.CHARACTER.value)
    quantity = models.BigIntegerField()
    free = models.BigIntegerField(default=0)
    fee_bp = models.PositiveSmallIntegerField(default=0)
    price_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3, choices=Currency.choices)
    amount_minor = models.BigIntegerField()
    state = models.CharField(max_length=16, choices=OrderState.choices, default=OrderState.PLACED)
    rehearsal = models.BooleanField()
    licence = models.OneToOneField("consent.Licence", null=True, on_delete=models.PROTECT, related_name="+")
    payment_ref = models.CharField(max_length=120, blank=True)
    placed_at = models.DateTimeField(default=now)
    paid_at = models.DateTimeField(null=True)
    fulfilled_at = models.DateTimeField(null=True)
    disputed_at = models.DateTimeField(null=True)
    refunded_minor = models.BigIntegerField(null=True)
    refunded_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(default=now)
    fully_earned = models.BooleanField(default=False)
    leaf_index = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(characters__range=(1, MAX_ORDER_CHARACTERS)), name="order_characters_range"
            ),
            models.CheckConstraint(condition=Q(price_minor__range=(0, MAX_PRICE_MINOR)), name="order_price_range"),
            # The pricing rule, kept by the database too.
            models.CheckConstraint(condition=_amount_follows(), name="order_amount_follows"),
            models.CheckConstraint(
                condition=Q(quantity__range=(0, MAX_QUANTITY), free__range=(0, MAX_QUANTITY)),
                name="order_quantity_range",
            ),
            models.CheckConstraint(condition=Q(fee_bp__lte=MAX_FEE_BP), name="order_fee_range"),
            models.CheckConstraint(condition=Q(rehearsal=False) | Q(amount_minor=0), name="order_rehearsal_free"),
            models.CheckConstraint(condition=~Q(customer=F("seller")), name="order_not_own_voice"),
            models.CheckConstraint(
                condition=Q(state__in=[OrderState.PLACED, OrderState.CANCELLED], paid_at__isnull=True)
                | Q(state__in=[OrderState.PAID, OrderState.FULFILLED, OrderState.REFUNDED], paid_at__isnull=False),
                name="order_paid_has_time",
            ),
            models.CheckConstraint(
                condition=Q(licence__isnull=False, fulfilled_at__isnull=False)
                & Q(state__in=[OrderState.FULFILLED, OrderState.REFUNDED])
                | ~Q(state=OrderState.FULFILLED) & Q(licence__isnull=True, fulfilled_at__isnull=True),
                name="order_fulfilled_has_licence",
            ),
            models.CheckConstraint(
                condition=Q(state=OrderState.REFUNDED, refunded_at__isnull=False)
                & Q(refunded_minor__gte=0, refunded_minor__lte=F("amount_minor"))
                | ~Q(state=OrderState.REFUNDED) & Q(refunded_at__isnull=True, refunded_minor__isnull=True),
                name="order_refund_whole",
            ),
            models.CheckConstraint(
                condition=Q(disputed_at__isnull=True) | Q(state__in=[OrderState.PAID, OrderState.FULFILLED]),
                name="order_dispute_after_payment",
            ),
            models.UniqueConstraint(
                fields=["listing", "customer"],
                condition=Q(state__in=[OrderState.PLACED, OrderState.PAID]),
                name="order_one_open_per_listing",
            ),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.quantity is None:
            self.quantity = self.characters
        super().save(*args, **kwargs)

    def __str__(self) -> str:
        return f"order {self.id}"
