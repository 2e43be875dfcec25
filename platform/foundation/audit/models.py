"""The log's tables. The database itself refuses to change or remove a row of any of them."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from foundation.clock import now


class Leaf(models.Model):
    """One event. ``body`` is canonical JSON: v, kind, subject, actor, at, rehearsal, data."""

    index = models.BigIntegerField(primary_key=True)
    kind = models.CharField(max_length=40)
    body = models.BinaryField()
    leaf_hash = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(index__gte=0), name="leaf_index_natural")]
        indexes: ClassVar = [models.Index(fields=["kind"], name="leaf_of_kind")]

    def __str__(self) -> str:
        return f"{self.index} {self.kind}"


class Node(models.Model):
    """The hash of a complete perfect subtree above the leaves: see ``merkle``."""

    pk = models.CompositePrimaryKey("level", "position")
    level = models.PositiveSmallIntegerField()
    position = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return f"{self.level}/{self.position}"


class Checkpoint(models.Model):
    """A signed statement of the log's size and root: ``note`` in C2SP signed-note form."""

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField(max_length=32)
    note = models.TextField()
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.size}"


class Cosignature(models.Model):
    """What a witness wrote under a checkpoint: ``line`` is its signature line, newline included."""

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="cosignatures")
    witness = models.CharField(max_length=200)
    line = models.CharField(max_length=400)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["checkpoint", "witness"], name="cosignature_one_per_witness")
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint_id} {self.witness}"


class Opening(models.Model):
    """The salt of a commitment in the log, kept for whom the value is about until they are erased."""

    digest = models.CharField(max_length=64, primary_key=True)
    salt = models.CharField(max_length=64)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return self.digest


APPEND_ONLY: Any = (Leaf, Node, Checkpoint, Cosignature)
"""The tables under the refusing triggers."""
