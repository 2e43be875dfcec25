"""Keys, what they sealed, and the clearances that were spent."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from foundation.clock import now


class KeyState(models.TextChoices):
    ACTIVE = "active", "Active"
    DESTROYED = "destroyed", "Destroyed"


class VaultKey(models.Model):
    """A data key, wrapped by the keyring. A destroyed key has no material and, by a trigger, never gets any again."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=32)
    owner_ref = models.CharField(max_length=100, db_index=True)
    wrapped = models.BinaryField(null=True)
    state = models.CharField(max_length=16, choices=KeyState.choices, default=KeyState.ACTIVE)
    created_at = models.DateTimeField(default=now)
    destroyed_at = models.DateTimeField(null=True)
    destroyed_reason = models.CharField(max_length=200, default="", blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state="active", wrapped__isnull=False, destroyed_at__isnull=True)
                | Q(state="destroyed", wrapped__isnull=True, destroyed_at__isnull=False),
                name="vault_key_destroyed_has_no_material",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class SealedObject(models.Model):
    """One encrypted file. ``size`` counts plaintext bytes; ``not_after`` is bound into its encryption key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=32)
    key = models.ForeignKey(VaultKey, on_delete=models.PROTECT, related_name="sealed_objects")
    owner_ref = models.CharField(max_length=100)
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
