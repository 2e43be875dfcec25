"""What an account has of the platform itself: memberships, and the free quota of a month."""

import uuid
from enum import StrEnum
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from foundation.clock import now


class MembershipKind(StrEnum):
    TRIAL = "trial"
    PAID = "paid"


class Membership(models.Model):
    """A person's membership from ``begins_at`` until ``ends_at``, or ``ended_at`` before that. A trial is had once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    kind = models.CharField(max_length=5)
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    made_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(kind__in=[kind.value for kind in MembershipKind]), name="member_kind"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("begins_at")), name="membership_has_a_term"),
            models.UniqueConstraint(
                fields=["person"], condition=Q(kind=MembershipKind.TRIAL.value), name="membership_one_trial"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["person", "ends_at"], name="membership_of_person")]

    def __str__(self) -> str:
        return f"membership {self.id}"


class Quota(models.Model):
    """What a person without membership has spoken for nothing in a calendar month (UTC, YYYY-MM), in characters.

    How much they may have is the deployment's (`settings.VOUCH_FREE_CHARACTERS`); ``reserved`` is on its way.
    """

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    period = models.CharField(max_length=7)
    used = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["person", "period"], name="quota_one_a_month"),
            models.CheckConstraint(condition=Q(used__gte=0, reserved__gte=0), name="quota_natural"),
        ]

    def __str__(self) -> str:
        return f"quota of {self.person_id} in {self.period}"
