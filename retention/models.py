"""What is held of raw audio: one row per recording or thing derived from one, and the sealed parts it consists of.

Beside it what watches over it: legal holds, incidents, and the latest moment this database has seen.
"""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from foundation.clock import now
from retention.purposes import LIMIT, MAX_HOLD, Purpose


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
    ``lease_until``: until then, by the database's clock, a sweeper is at it. ``alarmed_at``: that it is due was told.
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
    alarmed_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
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


class HoldState(models.TextChoices):
    REQUESTED = "requested", "Requested"
    ACTIVE = "active", "Active"
    ENDED = "ended", "Ended"


HOLD_MOVES = {
    HoldState.REQUESTED: {HoldState.ACTIVE, HoldState.ENDED},
    HoldState.ACTIVE: {HoldState.ENDED},
    HoldState.ENDED: frozenset(),
}
"""The life of a hold. It never comes back: another one takes two people again."""

REASON_CHARS = 500
"""Characters of a hold's reason. The person it concerns reads it."""


class LegalHold(models.Model):
    """Two people's order, with a reason and an end, that an item must not be destroyed. It opens nothing to anybody.

    Ending it before its time takes two as well: ``ending_by`` asked for that, ``ended_by`` agreed.

    ``reason_digest`` is what the log shows of the reason, ``reason_salt`` opens it (`foundation.audit.commitments`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey(CustodyItem, on_delete=models.PROTECT, related_name="holds")
    reason = models.CharField(max_length=REASON_CHARS)
    reason_digest = models.CharField(max_length=64)
    reason_salt = models.CharField(max_length=64)
    state = models.CharField(max_length=12, choices=HoldState.choices, default=HoldState.REQUESTED)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(default=now)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    approved_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    ending_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    ending_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(null=True)
    ended_reason = models.CharField(max_length=20, blank=True)
    leaf_index = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=HoldState.values), name="hold_state_known"),
            models.CheckConstraint(condition=~Q(reason=""), name="hold_has_reason"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("requested_at"), expires_at__lte=F("requested_at") + MAX_HOLD),
                name="hold_ends",
            ),
            models.CheckConstraint(
                condition=~Q(state="active") | Q(approved_by__isnull=False, approved_at__isnull=False),
                name="hold_active_is_approved",
            ),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("requested_by")), name="hold_takes_two"
            ),
            models.CheckConstraint(
                condition=Q(ended_by__isnull=True)
                | Q(approved_by__isnull=True)
                | Q(ending_by__isnull=False) & ~Q(ended_by=F("ending_by")),
                name="hold_release_takes_two",
            ),
            models.CheckConstraint(
                condition=Q(state="ended", ended_at__isnull=False) & ~Q(ended_reason="")
                | ~Q(state="ended") & Q(ended_at__isnull=True),
                name="hold_ended_has_time_and_reason",
            ),
            models.UniqueConstraint(fields=["item"], condition=~Q(state="ended"), name="hold_one_open_per_item"),
        ]

    def __str__(self) -> str:
        return f"hold {self.id}"


class IncidentKind(models.TextChoices):
    OVERDUE = "overdue", "Overdue"
    CLOCK = "clock", "Clock set back"


class Incident(models.Model):
    """A promise that was late, or a clock that ran backwards. Rows close; none is deleted."""

    kind = models.CharField(max_length=12, choices=IncidentKind.choices)
    item = models.ForeignKey(CustodyItem, null=True, on_delete=models.PROTECT, related_name="incidents")
    seconds = models.FloatField()
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    leaf_index = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(kind__in=IncidentKind.values), name="incident_kind_known"),
            models.CheckConstraint(
                condition=Q(kind="overdue", item__isnull=False) | Q(kind="clock", item__isnull=True),
                name="incident_overdue_names_item",
            ),
            models.UniqueConstraint(fields=["item"], condition=Q(kind="overdue"), name="incident_overdue_once"),
            models.UniqueConstraint(
                fields=["kind"], condition=Q(kind="clock", closed_at__isnull=True), name="incident_one_open_clock"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.opened_at}"


class TimeMark(models.Model):
    """One row: the latest moment seen, and when the sweep last ran. A clock set back is measured against it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    latest = models.DateTimeField()
    swept_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="time_mark_is_one")]

    def __str__(self) -> str:
        return f"{self.latest}"
