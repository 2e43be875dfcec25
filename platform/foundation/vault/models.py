"""Keys, what they sealed, and the clearances that were spent."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from foundation.clock import now


class KeyState(models.TextChoices):
    ACTIVE = "active", "Active"
    DESTROYED = "destroyed", "Destroyed"


class VaultKey(models.Model):
    """A key that wraps the data keys of what belongs together: a recording and its kin, a voice, a template.

    Its material lies in the key store, never here. Destroyed: nothing opens any more, decided and logged in one
    transaction. Erased: the key store let go of the material, between two of its epochs. A trigger refuses to go back.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=32)
    owner_ref = models.CharField(max_length=100, db_index=True)
    state = models.CharField(max_length=16, choices=KeyState.choices, default=KeyState.ACTIVE)
    created_at = models.DateTimeField(default=now)
    destroyed_at = models.DateTimeField(null=True)
    destroyed_reason = models.CharField(max_length=200, default="", blank=True)
    erased_at = models.DateTimeField(null=True)
    epoch_before = models.BigIntegerField(null=True)
    epoch_after = models.BigIntegerField(null=True, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state="active", destroyed_at__isnull=True, erased_at__isnull=True)
                | Q(state="destroyed", destroyed_at__isnull=False),
                name="vault_key_destroyed_has_time",
            ),
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True, epoch_before__isnull=True, epoch_after__isnull=True)
                | Q(erased_at__isnull=False, epoch_before__gte=0, epoch_after__gt=F("epoch_before")),
                name="vault_key_erased_has_epochs",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=Q(state="destroyed", erased_at=None), name="vault_key_to_erase"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class SealedObject(models.Model):
    """One encrypted file. ``size`` counts plaintext bytes; ``not_after`` is bound into its encryption.

    ``data_key`` is its own key, wrapped by its vault key. Where it is null (sealed before there were data keys), the
    vault key's material is the data key.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=32)
    key = models.ForeignKey(VaultKey, on_delete=models.PROTECT, related_name="sealed_objects")
    owner_ref = models.CharField(max_length=100)
    data_key = models.BinaryField(null=True)
    location = models.CharField(max_length=100, unique=True)
    size = models.BigIntegerField()
    ciphertext_sha256 = models.CharField(max_length=64)
    not_after = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=now)
    file_deleted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class ClearanceUse(models.Model):
    """A spent clearance. Its primary key is what makes every clearance single use."""

    clearance_id = models.UUIDField(primary_key=True)
    voice_id = models.UUIDField()
    purpose = models.CharField(max_length=16)
    actor = models.CharField(max_length=120)
    used_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.purpose} {self.clearance_id}"
