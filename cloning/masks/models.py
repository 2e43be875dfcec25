"""A voice's masks: each a disturbance, and how far it was measured to carry the voice from its person."""

import uuid
from typing import ClassVar, Final

from django.conf import settings
from django.db import models
from django.db.models import Q

from cloning.states import MaskState
from foundation.clock import now

MAX_NAME: Final = 80


class VoiceMask(models.Model):
    """A voice made to sound like a person, and not like that person.

    ``disturbance``: of `cloning.masks.disturbance`; ``style``: how the voice's style moves, sealed under a key of the
    mask's own that ends with it. Neither is in a leaf or an answer: who knows them can take a part of the mask off.
    ``likeness``: cosine of the masked voice with the person's (-1..1), the nearest of what was compared;
    ``limit``: from where on the platform takes two voices for one. ``others_below``: everybody else who is protected or
    enrolled is less alike than this, whoever is nearest. ``model``: the verifier that measured.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    voice = models.ForeignKey("cloning.Voice", on_delete=models.PROTECT, related_name="masks")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="voice_masks")
    job = models.OneToOneField("cloning.Job", on_delete=models.PROTECT, related_name="mask")
    name = models.CharField(max_length=MAX_NAME)
    state = models.CharField(max_length=8, default=MaskState.MAKING.value)
    seed = models.BigIntegerField()
    disturbance = models.JSONField(default=dict)
    style = models.ForeignKey("vault.SealedObject", null=True, on_delete=models.PROTECT, related_name="+")
    likeness = models.FloatField(null=True)
    limit = models.FloatField(null=True)
    others_below = models.FloatField(null=True)
    model = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(default=now)
    ready_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=[s.value for s in MaskState]), name="mask_state_known"),
            models.CheckConstraint(
                condition=~Q(state="ready")
                | Q(likeness__isnull=False, limit__isnull=False, others_below__isnull=False)
                & Q(ready_at__isnull=False, style__isnull=False),
                name="mask_ready_was_measured",
            ),
            models.CheckConstraint(condition=~Q(state="ended") | Q(ended_at__isnull=False), name="mask_ended_has_time"),
            models.UniqueConstraint(
                fields=["voice", "name"], condition=Q(state__in=["making", "ready"]), name="mask_name_once_per_voice"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["voice", "created_at", "id"], name="mask_of_voice")]

    def __str__(self) -> str:
        return f"mask {self.id}"
