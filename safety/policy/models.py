"""Packs as a deployment keeps them, and decisions with everything they rested on."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from foundation.clock import now
from foundation.identity.models import Person
from foundation.vault.models import SealedObject, VaultKey


class PackState(models.TextChoices):
    LIVE = "live", "In force"
    SHADOW = "shadow", "Runs beside the one in force"
    FORMER = "former", "Was in force, or ran in the shadow"


class PolicyPack(models.Model):
    """One pack, whole and signed: what a decision's hash names can be loaded again. Never changed, never deleted.

    ``source``: its canonical bytes; ``reading``: hash of the part that reads texts. ``before``: the pack that was in
    force when this one was promoted, to which a rollback returns. While no pack is live, the shipped one is.
    """

    sha256 = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=64)
    version = models.CharField(max_length=64)
    reading = models.CharField(max_length=64)
    source = models.BinaryField()
    signature = models.JSONField()
    state = models.CharField(max_length=8, choices=PackState.choices, default=PackState.FORMER)
    before = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    kept_at = models.DateTimeField(default=now)
    since = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=PackState.values), name="pack_state_known"),
            models.UniqueConstraint(fields=["state"], condition=Q(state=PackState.LIVE), name="pack_one_live"),
            models.UniqueConstraint(fields=["state"], condition=Q(state=PackState.SHADOW), name="pack_one_shadow"),
            models.CheckConstraint(
                condition=Q(state=PackState.FORMER) | Q(since__isnull=False), name="pack_in_use_has_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class PolicyTextKey(models.Model):
    """The vault key under which one person's texts of one week lie sealed, so that one act forgets them.

    ``week``: the Monday it begins, UTC.
    """

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    week = models.DateField()
    key = models.OneToOneField(VaultKey, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["person", "week"], name="policy_text_key_once_a_week"),
        ]

    def __str__(self) -> str:
        return f"texts of {self.week}"


class Stage(models.TextChoices):
    REQUEST = "request", "Before synthesis: the text"
    OUTPUT = "output", "After synthesis: the sound"


class PolicyDecision(models.Model):
    """One answer of the policy with every fact it rested on: made again from them, it is the same.

    ``facts`` holds no words. ``text``: sealed, for `VOUCH_POLICY_TEXT_DAYS` at most; what reads texts differently can
    be tried on it. ``shadow_*``: what the pack in the shadow said of the same text, empty while there was none.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(default=now)
    stage = models.CharField(max_length=8, choices=Stage.choices)
    requester = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="policy_decisions")
    voice_ref = models.CharField(max_length=64)
    text_digest = models.CharField(max_length=64)
    text = models.OneToOneField(SealedObject, null=True, on_delete=models.PROTECT, related_name="+")
    facts = models.JSONField()
    pack = models.ForeignKey(PolicyPack, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=20)
    rule = models.CharField(max_length=64, blank=True)
    clause = models.CharField(max_length=64, blank=True)
    label = models.CharField(max_length=80, blank=True)
    shadow_pack = models.ForeignKey(PolicyPack, null=True, on_delete=models.PROTECT, related_name="+")
    shadow_outcome = models.CharField(max_length=20, blank=True)
    shadow_rule = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(stage__in=Stage.values), name="policy_decision_stage_known"),
            models.CheckConstraint(
                condition=Q(shadow_pack__isnull=True, shadow_outcome="")
                | Q(shadow_pack__isnull=False) & ~Q(shadow_outcome=""),
                name="policy_decision_shadow_whole",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["at"], name="policy_decision_by_time"),
            models.Index(fields=["requester", "at"], name="policy_decision_by_person"),
            models.Index(fields=["text_digest", "voice_ref", "requester"], name="policy_decision_by_text"),
        ]

    def __str__(self) -> str:
        return f"decision {self.id}"
