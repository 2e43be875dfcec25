"""Listings and orders. A price is integer minor units for what its unit counts (`pricing.PER`: 1,000 characters, a
second, an output, a month), or basis points of declared revenue, and never changes under a customer."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from foundation.clock import now
from marketplace.hooks.models import Delivery, Endpoint
from marketplace.ledger.models import Account, Entry, Leg
from marketplace.payments.models import Payment, ProviderEvent
from marketplace.payouts.models import Payout, PayoutAccount, PayoutBatch
from marketplace.pricing import BASIS_POINTS, PER, Unit
from marketplace.statements.models import Charge, RateTable, Statement, StatementJob
from marketplace.states import Currency, ListingState, OrderKind, OrderState, ReviewState, SearchState

__all__ = [
    "Account",
    "Charge",
    "Delivery",
    "Endpoint",
    "Entry",
    "Leg",
    "Listing",
    "Order",
    "Payment",
    "Payout",
    "PayoutAccount",
    "PayoutBatch",
    "ProtectedName",
    "ProviderEvent",
    "RateTable",
    "SoundSearch",
    "Statement",
    "StatementJob",
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


MAX_FREE_UNITS = 100_000
"""Characters, seconds or outputs an owner gives each customer for nothing: a chapter, not a book."""
MAX_FREE_MONTHS = 3
"""Months an owner gives each customer for nothing."""
MAX_QUANTITY = 10**9
"""Of any unit: eleven days of sound in milliseconds, ten million of the larger unit of declared revenue."""


def _amount_follows() -> Q:
    """What an order costs, by its unit. Of a share, the order that brings the licence has a quantity of 0."""
    found = Q()
    for unit in Unit:
        found |= Q(unit=unit.value, amount_minor=F("quantity") * F("price_minor") / PER[unit])
    return found


def _whole_by_kind() -> Q:
    """What each kind of order has, and when it brings what it is for."""
    waiting = ~Q(state=OrderState.FULFILLED)
    sold = Q(listing__isnull=False, seller__isnull=False)
    nothing = Q(licence__isnull=True, membership__isnull=True, fulfilled_at__isnull=True)
    done = Q(state__in=[OrderState.FULFILLED, OrderState.REFUNDED], fulfilled_at__isnull=False)
    licence = Q(kind=OrderKind.LICENCE, period="", characters__gte=1) & sold
    bill = Q(kind=OrderKind.BILL, unit=Unit.SHARE.value, follows__isnull=False, characters=0) & sold & ~Q(period="")
    own = Q(kind=OrderKind.MEMBERSHIP, unit=Unit.MONTH.value, listing__isnull=True, seller__isnull=True)
    return (
        licence & (waiting & nothing | done & Q(licence__isnull=False, membership__isnull=True))
        | bill & Q(licence__isnull=True, membership__isnull=True) & (waiting & nothing | done)
        | own
        & Q(period="", characters=0)
        & (waiting & nothing | done & Q(licence__isnull=True, membership__isnull=False))
    )


class Listing(models.Model):
    """An owner's standing offer: what a licence of this voice covers and costs. New terms are a new listing.

    ``scope``: ``{"languages": [...], "days": n, "text": id, "terms": {...}}``, the last two a licence text and a scope
    of `consent.scopes`. ``act``: the owner's own, by which the offer was signed. ``review``: whether a moderator has
    let it into the shop; ``sound``: what it is found by its sound with, sealed, while it is there (`sounds`).
    ``skeleton``: what a reader takes the title for (`naming`). The price is for what ``unit`` counts; ``free_units``
    (characters, seconds, outputs, months) are every customer's once, and can be had alone, as a trial. The price of a
    share is basis points of what the customer declares.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="listings")
    voice = models.ForeignKey("cloning.Voice", on_delete=models.PROTECT, related_name="listings")
    title = models.CharField(max_length=TITLE_CHARS)
    unit = models.CharField(max_length=9, choices=UNITS, default=Unit.CHARACTER.value)
    free_units = models.BigIntegerField(default=0)
    price_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3, choices=Currency.choices)
    scope = models.JSONField()
    description = models.CharField(max_length=1_000, blank=True)
    conditions = models.CharField(max_length=1_000, blank=True)
    tags = models.JSONField(default=list)
    skeleton = models.CharField(max_length=250, blank=True, db_index=True)
    act = models.JSONField(null=True)
    preview = models.ForeignKey("cloning.Output", null=True, on_delete=models.PROTECT, related_name="+")
    sound = models.ForeignKey("vault.SealedObject", null=True, on_delete=models.PROTECT, related_name="+")
    review = models.CharField(max_length=16, choices=ReviewState.choices, default=ReviewState.UNLISTED)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="listings_reviewed"
    )
    reviewed_at = models.DateTimeField(null=True)
    review_reason = models.CharField(max_length=500, blank=True)
    state = models.CharField(max_length=16, choices=ListingState.choices, default=ListingState.LIVE)
    rehearsal = models.BooleanField()
    created_at = models.DateTimeField(default=now)
    withdrawn_at = models.DateTimeField(null=True)
    leaf_index = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(price_minor__range=(0, MAX_PRICE_MINOR)), name="listing_price_range"),
            models.CheckConstraint(condition=Q(currency__in=Currency.values), name="listing_currency_known"),
            models.CheckConstraint(condition=Q(unit__in=[unit.value for unit in Unit]), name="listing_unit_known"),
            models.CheckConstraint(
                condition=~Q(unit=Unit.SHARE.value) | Q(price_minor__lte=BASIS_POINTS, free_units=0),
                name="listing_share_is_a_part",
            ),
            models.CheckConstraint(condition=Q(free_units__range=(0, MAX_FREE_UNITS)), name="listing_free_range"),
            models.CheckConstraint(condition=Q(rehearsal=False) | Q(price_minor=0), name="listing_rehearsal_free"),
            models.CheckConstraint(
                condition=Q(state=ListingState.LIVE, withdrawn_at__isnull=True)
                | Q(state=ListingState.WITHDRAWN, withdrawn_at__isnull=False),
                name="listing_state_whole",
            ),
            models.CheckConstraint(
                condition=Q(review__in=[ReviewState.UNLISTED, ReviewState.WAITING], reviewed_at__isnull=True)
                | Q(review__in=[ReviewState.PUBLISHED, ReviewState.TURNED_DOWN], reviewed_at__isnull=False),
                name="listing_reviewed_has_time",
            ),
            models.CheckConstraint(
                condition=Q(review=ReviewState.UNLISTED) | Q(preview__isnull=False), name="listing_reviewed_has_preview"
            ),
            models.CheckConstraint(
                condition=Q(reviewed_by__isnull=True) | ~Q(reviewed_by=F("owner")), name="listing_not_reviewed_by_owner"
            ),
            models.UniqueConstraint(
                fields=["voice"], condition=Q(state=ListingState.LIVE), name="listing_one_live_per_voice"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["-created_at", "id"],
                condition=Q(state=ListingState.LIVE, review=ReviewState.PUBLISHED),
                name="listing_in_the_shop",
            ),
        ]

    def __str__(self) -> str:
        return f"listing {self.id}"


class ProtectedName(models.Model):
    """A name nobody offers a voice under, as moderators keep them. ``skeleton``: how it is seen (`naming`)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    skeleton = models.CharField(max_length=250, unique=True)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    added_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"protected name {self.id}"


class SoundSearch(models.Model):
    """A question "which offers sound like this clip?". ``found``: ids and grades, nearest first; no measurements."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    clip = models.ForeignKey("retention.CustodyItem", null=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=8, choices=SearchState.choices, default=SearchState.QUEUED)
    found = models.JSONField(default=list)
    error_code = models.CharField(max_length=60, blank=True)
    error_detail = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=SearchState.values), name="sound_search_state_known"),
            models.CheckConstraint(
                condition=Q(state=SearchState.QUEUED, finished_at__isnull=True)
                | ~Q(state=SearchState.QUEUED) & Q(finished_at__isnull=False),
                name="sound_search_finished_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"sound search {self.id}"


class Order(models.Model):
    """A customer's order of so much of the listing's unit, at the listing's price when it was placed.

    ``kind``: what it brings (`states.OrderKind`). ``quantity``: what is paid for, in what the unit counts
    (`pricing.Terms`); ``free``: what comes before it for nothing; ``characters``: what the licence allows in all.
    ``fee_bp``: the platform's part, in basis points. ``settled_at``: when its earnings were last booked;
    ``fully_earned``: nothing will ever be left to book.

    Paid by the month: ``starts_at`` to ``ends_at``; ``counted`` months are charged already, the next one at
    ``charge_at``; ``renews``: another order ``follows`` before its end. A bill ``follows`` the order that brought the
    licence, for the ``period`` (YYYY-MM) declared. ``due_at``: when an order that follows lapses, unpaid.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=OrderKind.choices, default=OrderKind.LICENCE)
    listing = models.ForeignKey(Listing, null=True, on_delete=models.PROTECT, related_name="orders")
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="orders")
    seller = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="sales")
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
    membership = models.OneToOneField("cloning.Membership", null=True, on_delete=models.PROTECT, related_name="+")
    follows = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="followers")
    period = models.CharField(max_length=7, blank=True)
    renews = models.BooleanField(default=False)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    counted = models.BigIntegerField(default=0)
    charge_at = models.DateTimeField(null=True, db_index=True)
    payment_ref = models.CharField(max_length=120, blank=True)
    act = models.JSONField(null=True)
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
                condition=Q(characters__range=(0, MAX_ORDER_CHARACTERS)), name="order_characters_range"
            ),
            models.CheckConstraint(condition=_whole_by_kind(), name="order_whole_by_kind"),
            models.CheckConstraint(
                condition=Q(starts_at__isnull=True, ends_at__isnull=True, renews=False)
                | Q(unit=Unit.MONTH.value, starts_at__isnull=True, ends_at__isnull=True)
                | Q(unit=Unit.MONTH.value, starts_at__lt=F("ends_at")),
                name="order_term_by_the_month",
            ),
            models.CheckConstraint(
                condition=Q(counted__gte=0, counted__lte=F("quantity") + F("free")),
                name="order_counts_what_was_ordered",
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
                condition=Q(state__in=[OrderState.PLACED, OrderState.PAID], follows__isnull=True),
                name="order_one_open_per_listing",
            ),
            models.UniqueConstraint(
                fields=["customer"],
                condition=Q(
                    kind=OrderKind.MEMBERSHIP, state__in=[OrderState.PLACED, OrderState.PAID], follows__isnull=True
                ),
                name="order_one_open_membership",
            ),
            # One renewal of an order, one bill of a month.
            models.UniqueConstraint(
                fields=["follows", "period"],
                condition=Q(follows__isnull=False) & ~Q(state=OrderState.CANCELLED),
                name="order_followed_once",
            ),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.quantity is None:
            self.quantity = self.characters
        super().save(*args, **kwargs)

    def __str__(self) -> str:
        return f"order {self.id}"
