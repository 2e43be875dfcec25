"""The registry: which payload was given to which output. Rows are written once and never changed or removed."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

#: Epoch of the mark key in force. A new key starts a new epoch; payloads are unique over all of them.
CURRENT_EPOCH = 1
#: Payloads lie under this: 48 bits.
PAYLOAD_LIMIT = 1 << 48


class IssuedMark(models.Model):
    """A payload and the opaque reference of the output that carries it.

    The database refuses UPDATE and DELETE by trigger: a mark in the world must lead to its output for ever.
    """

    payload = models.BigIntegerField(unique=True)
    output_ref = models.CharField(max_length=64, unique=True)
    epoch = models.PositiveSmallIntegerField(default=CURRENT_EPOCH)
    rehearsal = models.BooleanField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(payload__gte=1) & Q(payload__lt=PAYLOAD_LIMIT), name="watermark_payload_48_bits"
            ),
            models.CheckConstraint(condition=~Q(output_ref=""), name="watermark_output_ref_given"),
        ]

    def __str__(self) -> str:
        return f"mark of {self.output_ref}"


class MarkRecord(models.Model):
    """What is known of the sound that carries a mark: its fingerprint, and how well the mark read back.

    Written once, when the output is sealed; the database refuses UPDATE and DELETE by trigger, as for IssuedMark.
    """

    mark = models.OneToOneField(IssuedMark, on_delete=models.PROTECT, related_name="record")
    fingerprint = models.BinaryField()
    fingerprint_version = models.PositiveSmallIntegerField()
    strength_db = models.FloatField()
    score = models.FloatField()
    """tau in the file as delivered."""
    voice_note_score = models.FloatField()
    """tau after Opus at 16 kbit/s, what messengers make of it: what a trace may expect."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(fingerprint=b""), name="watermark_fingerprint_given"),
        ]

    def __str__(self) -> str:
        return f"sound of {self.mark_id}"
