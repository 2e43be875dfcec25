"""A payment of an order at a provider, and the provider's events as they came."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from foundation.clock import now


class PaymentState(models.TextChoices):
    BEGUN = "begun", "Begun"
    HELD = "held", "Held"
    CAPTURED = "captured", "Captured"
    VOIDED = "voided", "Voided"
    REFUNDED = "refunded", "Refunded"


class Payment(models.Model):
    """``token``: what the customer's browser pays with. ``error``: the last that went wrong at the provider."""

    order = models.OneToOneField("marketplace.Order", on_delete=models.PROTECT, related_name="payment")
    provider = models.CharField(max_length=12)
    reference = models.CharField(max_length=120)
    token = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=8, choices=PaymentState.choices, default=PaymentState.BEGUN)
    refund_minor = models.BigIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True)
    begun_at = models.DateTimeField(default=now)
    changed_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["provider", "reference"], name="payment_reference_once"),
            models.CheckConstraint(condition=Q(state__in=PaymentState.values), name="payment_state_known"),
            models.CheckConstraint(condition=Q(refund_minor__gte=0), name="payment_refund_natural"),
        ]

    def __str__(self) -> str:
        return f"payment of order {self.order_id}"


class ProviderEvent(models.Model):
    """An event that was verified: it is acted on once. ``outcome``: what came of it, or the code of the refusal."""

    provider = models.CharField(max_length=12)
    event = models.CharField(max_length=120)
    kind = models.CharField(max_length=12)
    order = models.ForeignKey("marketplace.Order", null=True, on_delete=models.PROTECT, related_name="+")
    body_sha256 = models.CharField(max_length=64)
    outcome = models.CharField(max_length=40)
    at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["provider", "event"], name="provider_event_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.event}"
