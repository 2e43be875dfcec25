"""A table of lines to be spoken, and what became of each line."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from cloning.batches.states import ENDED_BADLY, WITH_REQUEST, BatchState, LineState
from cloning.models import CONTAINERS, LABEL_LANGUAGES, OUTPUT_RATES, Voice
from foundation.clock import now

MAX_FILE = 80
"""Characters of a file's name."""


class BatchKind(models.TextChoices):
    FILES = "files", "A file a line"
    NARRATION = "narration", "One recording"


class Batch(models.Model):
    """What all lines have in common. ``manner``: of `cloning.manner`; the pauses are those of a narration, in
    milliseconds. ``looked_at`` says when it was last moved on (`services.advance`)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    voice = models.ForeignKey(Voice, on_delete=models.PROTECT, related_name="+")
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=BatchKind.choices)
    source = models.CharField(max_length=4)
    language = models.CharField(max_length=8)
    seed = models.BigIntegerField(null=True)
    container = models.CharField(max_length=8)
    rate = models.PositiveIntegerField(null=True)
    label_language = models.CharField(max_length=8, blank=True)
    manner = models.JSONField(default=dict)
    mask = models.ForeignKey("cloning.VoiceMask", null=True, on_delete=models.PROTECT, related_name="+")
    channel = models.CharField(max_length=12, blank=True)
    territory = models.CharField(max_length=2, blank=True)
    uses = models.JSONField(default=list)
    licence = models.ForeignKey("consent.Licence", null=True, on_delete=models.PROTECT, related_name="+")
    pause_ms = models.PositiveIntegerField()
    chapter_pause_ms = models.PositiveIntegerField()
    state = models.CharField(max_length=10, default=BatchState.RUNNING.value)
    looked_at = models.DateTimeField(default=now)
    created_at = models.DateTimeField(default=now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=[s.value for s in BatchState]), name="batch_state_known"),
            models.CheckConstraint(condition=Q(kind__in=BatchKind.values), name="batch_kind_known"),
            models.CheckConstraint(condition=Q(container__in=CONTAINERS), name="batch_container_known"),
            models.CheckConstraint(condition=Q(rate__isnull=True) | Q(rate__in=OUTPUT_RATES), name="batch_rate_known"),
            models.CheckConstraint(
                condition=Q(label_language__in=["", *LABEL_LANGUAGES]), name="batch_label_language_known"
            ),
            models.CheckConstraint(
                condition=Q(state="running", finished_at__isnull=True)
                | (~Q(state="running") & Q(finished_at__isnull=False)),
                name="batch_finished_has_time",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["looked_at"], condition=Q(state="running"), name="batch_running"),
            models.Index(fields=["requester", "-created_at"], name="batch_of_requester"),
        ]

    def __str__(self) -> str:
        return f"batch {self.id}"


class Line(models.Model):
    """One line. ``text`` is kept here only until a request holds it or it ends; ``number`` is its place in the table.

    The lines of a narration share one request. ``starts_ms`` and ``ends_ms`` are a subtitle's; ``at_ms`` is where the
    line came to stand in the narration, ``late_ms`` by how much that is behind its subtitle.
    """

    id = models.BigAutoField(primary_key=True)
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="lines", db_index=False)
    number = models.PositiveIntegerField()
    text = models.TextField(blank=True)
    text_digest = models.CharField(max_length=64)
    characters = models.PositiveIntegerField()
    file = models.CharField(max_length=MAX_FILE, blank=True)
    chapter = models.CharField(max_length=MAX_FILE, blank=True)
    seed = models.BigIntegerField(null=True)
    pause_ms = models.PositiveIntegerField(null=True)
    starts_ms = models.PositiveIntegerField(null=True)
    ends_ms = models.PositiveIntegerField(null=True)
    at_ms = models.PositiveIntegerField(null=True)
    late_ms = models.PositiveIntegerField(null=True)
    milliseconds = models.PositiveIntegerField(null=True)
    state = models.CharField(max_length=10, default=LineState.WAITING.value)
    error_code = models.CharField(max_length=60, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    request = models.ForeignKey(
        "cloning.SpeechRequest", null=True, on_delete=models.PROTECT, related_name="batch_lines"
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(state__in=[s.value for s in LineState]), name="line_state_known"),
            models.UniqueConstraint(fields=["batch", "number"], name="line_number_once"),
            models.CheckConstraint(
                condition=~Q(state__in=[s.value for s in WITH_REQUEST]) | Q(request__isnull=False),
                name="line_asked_has_request",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=[s.value for s in ENDED_BADLY]) | ~Q(error_code=""),
                name="line_ended_badly_has_code",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[LineState.WAITING.value, LineState.ACCEPTED.value]) | Q(text=""),
                name="line_text_kept_while_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"line {self.number} of batch {self.batch_id}"
