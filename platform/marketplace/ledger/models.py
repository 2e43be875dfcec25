"""Accounts, entries, legs. Entries and legs are written once; balances follow from legs inside the database."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from foundation.clock import now
from marketplace.ledger.entries import EITHER, MAX_AMOUNT, OF_NO_ORDER, OWED, SETTLING, AccountKind, EntryKind
from marketplace.states import Currency


class Account(models.Model):
    """``balance_minor`` is the sum of the account's legs, kept by a trigger; any other writer is refused."""

    kind = models.CharField(max_length=12, choices=AccountKind.choices)
    holder = models.CharField(max_length=60)
    currency = models.CharField(max_length=3, choices=Currency.choices)
    balance_minor = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "holder", "currency"], name="account_one_of_a_kind"),
            models.CheckConstraint(condition=Q(kind__in=AccountKind.values), name="account_kind_known"),
            models.CheckConstraint(condition=Q(currency__in=Currency.values), name="account_currency_known"),
            # Nobody can be paid, refunded or charged what is not there, however many try at once.
            models.CheckConstraint(
                condition=Q(kind__in=sorted(OWED), balance_minor__lte=0)
                | Q(kind__in=sorted(EITHER))
                | ~Q(kind__in=sorted(OWED | EITHER)) & Q(balance_minor__gte=0),
                name="account_not_overdrawn",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.holder} in {self.currency}"


class Entry(models.Model):
    """One movement of money. ``key`` says what it is for, once: the same movement cannot be booked twice.

    ``leaf_index``: kept for reversals, which statements prove.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=8, choices=EntryKind.choices)
    order = models.ForeignKey("marketplace.Order", null=True, on_delete=models.PROTECT, related_name="entries")
    settles = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="settled_by")
    leg_count = models.PositiveSmallIntegerField()
    leaf_index = models.BigIntegerField(null=True)
    at = models.DateTimeField(default=now, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(kind__in=EntryKind.values), name="entry_kind_known"),
            models.CheckConstraint(condition=Q(leg_count__gte=2), name="entry_two_legs"),
            models.CheckConstraint(
                condition=Q(kind__in=OF_NO_ORDER, order__isnull=True)
                | ~Q(kind__in=OF_NO_ORDER) & Q(order__isnull=False),
                name="entry_belongs_to_an_order",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=SETTLING, settles__isnull=False) | ~Q(kind__in=SETTLING) & Q(settles__isnull=True),
                name="entry_settles_an_earn",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Leg(models.Model):
    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="legs")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="legs")
    amount_minor = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["entry", "account"], name="leg_one_per_account"),
            models.CheckConstraint(
                condition=Q(amount_minor__range=(-MAX_AMOUNT, MAX_AMOUNT)) & ~Q(amount_minor=0), name="leg_moves_money"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} on account {self.account_id}"
