"""What is held of raw audio: one row per recording or thing derived from one, and the sealed parts it consists of."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from foundation.clock import now
from retention.purposes import LIMIT, Purpose


class CustodyState(models.TextChoices):
    RECEIVING = "receiving", "Receiving"
    HELD = "held", "Held"
    DESTROYED = "destroyed", "Destroyed"


MOVES = {
    CustodyState.RECEIVING: {CustodyState.HELD, CustodyState.DESTROYED},
    CustodyState.HELD: {CustodyState.DESTROYED},
    CustodyState.DESTROYED: frozenset(),
}
"""The life of an item. Nothing leads away from destroyed."""


class CustodyItem(models.Model):
    """Raw audio, or something derived from it, with the moment after which nobody can read it.

    ``subject`` is null only for what an anonymous visitor offered (a trace). A derived item has a ``parent`` and the
    parent's key and deadline: destroying one key ends the whole family. ``commitment`` is SHA-256(salt || bytes).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subject = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    purpose = models.CharField(max_length=16)
    kind = models.CharField(max_length=40)
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    key = models.ForeignKey("vault.VaultKey", on_delete=models.PROTECT, related_name="+")
    received_at = models.DateTimeField()
    deadline = models.DateTimeField()
    state = models.CharField(max_length=12, choices=CustodyState.choices, default=CustodyState.RECEIVING)
    size = models.BigIntegerField(default=0)
    salt = models.BinaryField(max_length=32)
    commitment = models.CharField(max_length=64, blank=True)
    destroyed_at = models.DateTimeField(null=True)
    destroyed_reason = models.CharField(max_length=60, blank=True)
    received_leaf = models.BigIntegerField(null=True)
    destroyed_leaf = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(purpose__in=[p.value for p in Purpose]), name="custody_purpose_known"),
            models.CheckConstraint(condition=Q(state__in=CustodyState.values), name="custody_state_known"),
            # The promise itself, kept by the database whatever the code above it does.
            models.CheckConstraint(
                condition=Q(deadline__lte=F("received_at") + LIMIT), name="custody_deadline_in_limit"
            ),
            models.CheckConstraint(
                condition=Q(state="destroyed", destroyed_at__isnull=False) & ~Q(destroyed_reason="")
                | ~Q(state="destroyed") & Q(destroyed_at__isnull=True),
                name="custody_destroyed_has_time_and_reason",
            ),
            models.CheckConstraint(condition=~Q(state="held") | ~Q(commitment=""), name="custody_held_is_committed"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["deadline"], condition=~Q(state="destroyed"), name="custody_due"),
            models.Index(fields=["subject", "received_at"], name="custody_of_subject"),
        ]


class CustodyPart(models.Model):
    """One sealed piece of an item, in order, with the moment it arrived."""

    item = models.ForeignKey(CustodyItem, on_delete=models.PROTECT, related_name="parts")
    index = models.PositiveIntegerField()
    sealed = models.OneToOneField("vault.SealedObject", on_delete=models.PROTECT, related_name="+")
    size = models.PositiveBigIntegerField()
    arrived_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["index"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["item", "index"], name="custody_part_once"),
        ]
