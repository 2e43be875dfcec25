"""Remembered answers, so that a repeated request gets the same answer and does nothing twice."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from foundation.clock import now


class IdempotentAnswer(models.Model):
    """One answered (or still running: ``status`` null) request of a person under one ``Idempotency-Key``."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    key = models.CharField(max_length=120)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(default=now, db_index=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["person", "key"], name="idempotency_key_once")]
