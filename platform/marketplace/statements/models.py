"""Statements that were made, what else than uses they hold, and the rate tables they convert by. Written once."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from foundation.clock import now


class RateTable(models.Model):
    """One dated table (`pricing.read_rates`), the only one of its day; its hash stands in the log."""

    date = models.DateField(unique=True)
    table = models.JSONField()
    sha256 = models.CharField(max_length=64)
    leaf_index = models.BigIntegerField()
    published_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"rates of {self.date}"


class Charge(models.Model):
    """What was earned by the month, or of declared revenue: a line of its owner's statement (`statements.charges`).

    ``number``: its place among the owner's charges of all months; ``account``: the month it was booked in. ``about``:
    what it is for; ``before`` and ``count``: what the order's unit counted before and with it. ``head``: of the
    owner's chain of charges, this one included. Amounts are minor units of the order's currency.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    account = models.ForeignKey("cloning.UsageAccount", on_delete=models.PROTECT, related_name="charges")
    order = models.ForeignKey("marketplace.Order", on_delete=models.PROTECT, related_name="charges")
    licence = models.ForeignKey("consent.Licence", on_delete=models.PROTECT, related_name="+")
    number = models.BigIntegerField()
    about = models.CharField(max_length=40)
    before = models.BigIntegerField()
    count = models.BigIntegerField()
    gross = models.BigIntegerField()
    fee = models.BigIntegerField()
    head = models.BinaryField(max_length=32)
    leaf_index = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "number"], name="charge_numbered"),
            models.UniqueConstraint(fields=["order", "about"], name="charge_once"),
            models.CheckConstraint(
                condition=Q(number__gte=0, before__gte=0, count__gte=0, gross__gte=0, fee__gte=0)
                & Q(fee__lte=F("gross")),
                name="charge_natural",
            ),
        ]

    def __str__(self) -> str:
        return f"charge {self.number} of {self.owner_id}"


class JobState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class StatementJob(models.Model):
    """A statement of a large month, computed by a worker. ``done`` of ``uses`` are priced; ``error``: a code."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    period = models.CharField(max_length=7)
    currency = models.CharField(max_length=3, blank=True)
    state = models.CharField(max_length=8, choices=JobState.choices, default=JobState.QUEUED)
    uses = models.BigIntegerField()
    done = models.BigIntegerField(default=0)
    statement = models.ForeignKey("marketplace.Statement", null=True, on_delete=models.PROTECT, related_name="+")
    error = models.CharField(max_length=60, blank=True)
    made_at = models.DateTimeField(default=now)
    beat_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=JobState.values), name="statement_job_state_known"),
            models.CheckConstraint(
                condition=Q(state=JobState.DONE, statement__isnull=False)
                | ~Q(state=JobState.DONE) & Q(statement__isnull=True),
                name="statement_job_done_has_statement",
            ),
            models.UniqueConstraint(
                fields=["owner", "period", "currency"],
                condition=Q(state__in=[JobState.QUEUED, JobState.RUNNING]),
                name="statement_job_one_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"statement job {self.id}"


class Statement(models.Model):
    """An owner's month up to ``uses``, as the log has it. The file is computed from it again for each download.

    ``adjustments``: indices of the leaves of reversals that it counts. ``final``: the month was over.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey("cloning.UsageAccount", on_delete=models.PROTECT, related_name="statements")
    uses = models.BigIntegerField()
    final = models.BooleanField()
    summary = models.JSONField()
    adjustments = models.JSONField(default=list)
    rates = models.ForeignKey(RateTable, null=True, on_delete=models.PROTECT, related_name="+")
    leaf_index = models.BigIntegerField()
    made_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account"], condition=Q(final=True), name="statement_one_final_a_month"),
            models.CheckConstraint(condition=Q(uses__gte=0), name="statement_counts"),
        ]

    def __str__(self) -> str:
        return f"statement {self.id}"
