"""Statements that were made, and the rate tables they convert by. Both are written once."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

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
