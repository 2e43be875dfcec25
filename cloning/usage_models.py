"""What was used: a row an output, and its place in the account of the voice's owner."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from foundation.clock import now


class Usage(models.Model):
    """One row an output, written with it: what the marketplace prices."""

    output = models.OneToOneField("cloning.Output", on_delete=models.PROTECT, related_name="usage")
    licence = models.ForeignKey("consent.Licence", null=True, on_delete=models.PROTECT, related_name="+")
    consent = models.ForeignKey("consent.Consent", on_delete=models.PROTECT, related_name="+")
    characters = models.PositiveIntegerField()
    seconds = models.FloatField()
    created_at = models.DateTimeField(default=now, db_index=True)

    def __str__(self) -> str:
        return f"use of output {self.output_id}"


class UsageAccount(models.Model):
    """An owner's uses of one calendar month: how many, and the head of their chain (`cloning.usage_leaf`).

    ``opened``: the head before the first use; ``before``: the owner's account that it hangs on. A closed account takes
    no more uses: a later month has begun, or its final statement is made.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    period = models.CharField(max_length=7)
    uses = models.BigIntegerField(default=0)
    opened = models.BinaryField(max_length=32)
    head = models.BinaryField(max_length=32)
    before = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="after")
    closed = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "period"], name="usage_account_one_a_month"),
            models.CheckConstraint(condition=Q(uses__gte=0), name="usage_account_counts"),
        ]

    def __str__(self) -> str:
        return f"uses of {self.owner_id} in {self.period}"


class MeteredUse(models.Model):
    """A use's place in its owner's account, written with the use. The counters of its licence stand as before it."""

    usage = models.OneToOneField(Usage, on_delete=models.PROTECT, related_name="metered")
    account = models.ForeignKey(UsageAccount, on_delete=models.PROTECT, related_name="lines")
    number = models.BigIntegerField()
    licence = models.ForeignKey("consent.Licence", null=True, on_delete=models.PROTECT, related_name="+")
    uses_before = models.BigIntegerField()
    characters_before = models.BigIntegerField()
    milliseconds_before = models.BigIntegerField()
    milliseconds = models.BigIntegerField()
    leaf_index = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "number"], name="metered_use_numbered"),
            models.UniqueConstraint(fields=["licence", "uses_before"], name="metered_use_counted_by_licence"),
            models.CheckConstraint(
                condition=Q(number__gte=0, uses_before__gte=0, characters_before__gte=0)
                & Q(milliseconds_before__gte=0, milliseconds__gte=0),
                name="metered_use_natural",
            ),
        ]

    def __str__(self) -> str:
        return f"use {self.number} of account {self.account_id}"
