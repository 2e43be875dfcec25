"""Where owners want to be paid, and the files of payouts that went to a bank."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from foundation.clock import now
from marketplace.states import Currency

NAME_CHARS = 140


class PayoutAccount(models.Model):
    """A person's own bank account; ``currency``: what everything payable is converted into before it is sent."""

    person = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=NAME_CHARS)
    iban = models.CharField(max_length=34)
    bic = models.CharField(max_length=11, blank=True)
    currency = models.CharField(max_length=3, choices=Currency.choices)
    changed_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"account of {self.person_id}"


class PayoutBatch(models.Model):
    """Transfers that were booked together and stand in one file. What went to the bank is kept as it was."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveBigIntegerField(unique=True)
    made_at = models.DateTimeField(default=now)
    leaf_index = models.BigIntegerField()

    def __str__(self) -> str:
        return f"payout batch {self.number}"


class Payout(models.Model):
    """One transfer; name, IBAN and BIC as they were then."""

    batch = models.ForeignKey(PayoutBatch, on_delete=models.PROTECT, related_name="payouts")
    entry = models.OneToOneField("marketplace.Entry", on_delete=models.PROTECT, related_name="payout")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reference = models.CharField(max_length=35, unique=True)
    name = models.CharField(max_length=NAME_CHARS)
    iban = models.CharField(max_length=34)
    bic = models.CharField(max_length=11, blank=True)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3, choices=Currency.choices)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(amount_minor__gt=0), name="payout_moves_money")]

    def __str__(self) -> str:
        return f"payout {self.reference}"
