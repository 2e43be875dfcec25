"""Voices, the jobs that make them and speak in them, and the outputs; what was used of them is in `usage_models`.

A job is one attempt-counted piece of work for a worker; ``run`` is its fencing token: every write of a worker names
the run it was given, so a worker that was taken for dead and comes back can publish nothing.
"""

import uuid
from enum import StrEnum
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from cloning import account_models
from cloning.engine.versions import STARTER, VERSIONS
from cloning.masks.models import VoiceMask
from cloning.states import ApprovalState, JobState, OutputState, StreamState, TraceState, VoiceState
from cloning.usage_models import MeteredUse as MeteredUse
from cloning.usage_models import Usage as Usage
from cloning.usage_models import UsageAccount as UsageAccount
from foundation.clock import now

MAX_NAME = 80
MAX_TEXT = 10_000
"""Characters of one speech request: the engine's own bound (`cloning.engine.text`)."""
MAX_SEED = 2**31 - 1
LANGUAGES = ("en", "zh")
"""Languages the engine speaks today."""
CONTAINERS = ("wav", "flac", "mp3", "opus", "m4a")
STREAMED_CONTAINERS = ("wav", "mp3", "opus")
"""Those that can leave before their end is known (`watermark.labels.streamed`)."""
OUTPUT_RATES = (24_000, 32_000, 48_000)
"""Rates in Hz at which outputs are delivered; `cloning.texts.check_rate` says who may have which."""
LABEL_LANGUAGES = ("en", "zh")
"""Languages of the spoken label."""


class JobKind(models.TextChoices):
    TRAIN = "train", "Train"
    SPEAK = "speak", "Speak"
    MASK = "mask", "Mask"
    INSTANT = "instant", "Instant voice"


def _known(field: str, states: type[StrEnum], name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=Q(**{f"{field}__in": [s.value for s in states]}), name=name)


class Voice(models.Model):
    """One speaker's voice under one consent. Its weights lie in the vault and open only against a clearance.

    ``version`` of the engine (`cloning.engine.versions`): what base it was trained on, and speaks on ever after.
    ``instant``: the base with the style of one recording, which speaks for the owner while the training waits or runs
    (`cloning.instant`), and beside the trained voice for a comparison; under the same key, so it ends with the voice.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="voices")
    consent = models.ForeignKey("consent.Consent", on_delete=models.PROTECT, related_name="voices")
    name = models.CharField(max_length=MAX_NAME)
    language = models.CharField(max_length=8)
    version = models.CharField(max_length=10, default=STARTER)
    state = models.CharField(max_length=12, default=VoiceState.TRAINING.value)
    training_digest = models.CharField(max_length=64)
    key = models.ForeignKey("vault.VaultKey", on_delete=models.PROTECT, related_name="+")
    weights = models.ForeignKey("vault.SealedObject", null=True, on_delete=models.PROTECT, related_name="+")
    instant = models.ForeignKey("vault.SealedObject", null=True, on_delete=models.PROTECT, related_name="+")
    rehearsal = models.BooleanField()
    created_at = models.DateTimeField(default=now)
    ready_at = models.DateTimeField(null=True)
    destroyed_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            _known("state", VoiceState, "voice_state_known"),
            models.CheckConstraint(condition=Q(version__in=VERSIONS), name="voice_version_known"),
            models.CheckConstraint(
                condition=~Q(state="ready") | Q(weights__isnull=False, ready_at__isnull=False),
                name="voice_ready_has_weights",
            ),
            models.CheckConstraint(
                condition=~Q(state="destroyed") | Q(destroyed_at__isnull=False), name="voice_destroyed_has_time"
            ),
            models.UniqueConstraint(fields=["consent", "name"], name="voice_name_once_per_consent"),
        ]
        indexes: ClassVar = [models.Index(fields=["owner", "created_at", "id"], name="voice_of_owner")]

    def __str__(self) -> str:
        return f"voice {self.id}"


class TrainingItem(models.Model):
    """A recording the voice is trained from: which, and in what order."""

    voice = models.ForeignKey(Voice, on_delete=models.CASCADE, related_name="training_items")
    recording = models.ForeignKey("consent.Recording", on_delete=models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["voice", "recording"], name="training_item_once"),
            models.UniqueConstraint(fields=["voice", "position"], name="training_item_position_once"),
        ]

    def __str__(self) -> str:
        return f"recording {self.recording_id} of voice {self.voice_id}"


class Job(models.Model):
    """One piece of work for a worker. Error codes are stable words; ``seconds_left`` is an estimate or null."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=8, choices=JobKind.choices)
    voice = models.ForeignKey(Voice, on_delete=models.PROTECT, related_name="jobs")
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=12, default=JobState.QUEUED.value)
    stage = models.CharField(max_length=40, blank=True)
    progress = models.FloatField(default=0.0)
    seconds_left = models.FloatField(null=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    run = models.UUIDField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    checkpoint = models.ForeignKey(
        "retention.CustodyItem", null=True, on_delete=models.SET_NULL, related_name="job_checkpoints"
    )
    created_at = models.DateTimeField(default=now)
    finished_at = models.DateTimeField(null=True)
    #: The ``finished_at`` that webhooks were told of, if any.
    told_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            _known("state", JobState, "job_state_known"),
            models.CheckConstraint(condition=Q(kind__in=JobKind.values), name="job_kind_known"),
            models.CheckConstraint(condition=Q(progress__gte=0.0, progress__lte=1.0), name="job_progress_0_to_1"),
            models.CheckConstraint(
                condition=Q(state="running", run__isnull=False, heartbeat_at__isnull=False)
                | (~Q(state="running") & Q(run__isnull=True)),
                name="job_running_has_run",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["failed", "refused", "cancelled"]) | ~Q(error_code=""),
                name="job_ended_badly_has_code",
            ),
            models.UniqueConstraint(
                fields=["voice"],
                condition=Q(kind="train", state__in=["queued", "running"]),
                name="job_one_training_at_a_time",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "heartbeat_at"], name="job_state_heartbeat"),
            models.Index(fields=["requester", "created_at", "id"], name="job_of_requester"),
            models.Index(
                fields=["finished_at"],
                condition=Q(finished_at__isnull=False) & (Q(told_at__isnull=True) | ~Q(told_at=F("finished_at"))),
                name="job_untold",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} job {self.id}"


class JobPoint(models.Model):
    """Where a training stood at a moment: its curve. ``id`` grows; forgotten after a month."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="points", db_index=False)
    at = models.DateTimeField(default=now, db_index=True)
    stage = models.CharField(max_length=40)
    progress = models.FloatField()
    seconds_left = models.FloatField(null=True)
    loss = models.FloatField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["job", "id"], name="job_point_in_order")]

    def __str__(self) -> str:
        return f"point {self.id} of job {self.job_id}"


class TextApproval(models.Model):
    """A text that waits for the owner of the voice (see `approvals`). ``text`` is emptied when it is decided."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    licence = models.ForeignKey("consent.Licence", on_delete=models.PROTECT, related_name="+")
    voice = models.ForeignKey(Voice, on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="text_approvals")
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(max_length=MAX_TEXT, blank=True)
    text_digest = models.CharField(max_length=64)
    topics = models.JSONField(default=list)
    state = models.CharField(max_length=12, default=ApprovalState.OPEN.value)
    asked_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            _known("state", ApprovalState, "approval_state_known"),
            models.CheckConstraint(
                condition=Q(state="open", decided_at__isnull=True)
                | ~Q(state="open") & Q(decided_at__isnull=False, text=""),
                name="approval_decided_whole",
            ),
            models.UniqueConstraint(
                fields=["licence", "requester", "text_digest"],
                condition=Q(state="open"),
                name="approval_one_open_per_text",
            ),
        ]

    def __str__(self) -> str:
        return f"approval {self.id}"


class SpeechRequest(models.Model):
    """What is to be said. The text is emptied when the job ends; its digest stays and says nothing by itself.

    So does ``text_sketch``, by which a text with small edits is known again (`cloning.sketches`).

    ``reserved`` counts the characters set aside under the licence: 0 before, ``characters`` while the job is open, 0
    again after settling or releasing. It makes both safe to do twice. ``reserved_ms``: sound set aside with them.
    ``quota_reserved``: characters set aside of the requester's free ``quota``, in the same way.
    ``channel``, ``territory`` and ``uses`` are what the requester declared; ``cleared_at`` is when the gate last said
    yes to a worker, the moment a licence is audited at.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="speech")
    voice = models.ForeignKey(Voice, on_delete=models.PROTECT, related_name="+")
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(max_length=MAX_TEXT, blank=True)
    text_digest = models.CharField(max_length=64, db_index=True)
    text_sketch = models.BinaryField(default=b"", editable=False)
    characters = models.PositiveIntegerField()
    reserved = models.PositiveIntegerField(default=0)
    reserved_ms = models.PositiveIntegerField(default=0)
    quota = models.ForeignKey(account_models.Quota, null=True, on_delete=models.PROTECT, related_name="+")
    quota_reserved = models.PositiveIntegerField(default=0, db_default=0)
    channel = models.CharField(max_length=12, blank=True)
    territory = models.CharField(max_length=2, blank=True)
    uses = models.JSONField(default=list)
    approval = models.ForeignKey(TextApproval, null=True, on_delete=models.PROTECT, related_name="requests")
    cleared_at = models.DateTimeField(null=True)
    language = models.CharField(max_length=8)
    seed = models.BigIntegerField(validators=[MinValueValidator(0), MaxValueValidator(MAX_SEED)])
    container = models.CharField(max_length=8)
    rate = models.PositiveIntegerField(default=32_000)
    label_language = models.CharField(max_length=8, default="en")
    manner = models.JSONField(default=dict)
    mask = models.ForeignKey(VoiceMask, null=True, on_delete=models.PROTECT, related_name="+")
    #: By the instant voice: asked for, or because the trained one was not ready when a worker spoke.
    instant = models.BooleanField(default=False, db_default=False)
    case_ref = models.UUIDField(null=True, db_index=True)
    licence = models.ForeignKey("consent.Licence", null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(characters__gte=1), name="speech_has_characters"),
            models.CheckConstraint(
                condition=Q(reserved=0) | Q(reserved=F("characters"), licence__isnull=False),
                name="speech_reserved_all_or_nothing",
            ),
            models.CheckConstraint(condition=Q(seed__gte=0, seed__lte=MAX_SEED), name="speech_seed_bounds"),
            models.CheckConstraint(condition=Q(container__in=CONTAINERS), name="speech_container_known"),
            models.CheckConstraint(condition=Q(rate__in=OUTPUT_RATES), name="speech_rate_known"),
            models.CheckConstraint(condition=Q(label_language__in=LABEL_LANGUAGES), name="speech_label_language_known"),
        ]
        indexes: ClassVar = [models.Index(fields=["requester", "created_at", "id"], name="speech_of_requester")]

    def __str__(self) -> str:
        return f"speech request {self.id}"


class SpeechStream(models.Model):
    """A request whose sound leaves while it is made (`cloning.streaming`); a request without one has none of this.

    ``output_ref``: the output that it is to become, and what its mark is registered under before a byte leaves; a
    stream that broke keeps it, so that what was heard of it can be traced. ``code`` says why it ended early: of a
    sealed one because the listener left, of a broken one as the job's. ``seconds`` of speech have left.
    """

    request = models.OneToOneField(SpeechRequest, on_delete=models.PROTECT, related_name="stream")
    state = models.CharField(max_length=8, default=StreamState.WAITING.value)
    output_ref = models.UUIDField(null=True, unique=True)
    code = models.CharField(max_length=60, blank=True)
    seconds = models.FloatField(default=0.0)
    created_at = models.DateTimeField(default=now)
    opened_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            _known("state", StreamState, "stream_state_known"),
            models.CheckConstraint(
                condition=~Q(state__in=["open", "sealed"]) | Q(output_ref__isnull=False, opened_at__isnull=False),
                name="stream_open_has_mark",
            ),
            models.CheckConstraint(condition=~Q(state="broken") | ~Q(code=""), name="stream_broken_has_code"),
        ]

    def __str__(self) -> str:
        return f"stream of {self.request_id}"


class Output(models.Model):
    """A sealed recording: marked, labelled, signed. ``mark_payload`` is what the watermark carries."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.OneToOneField(SpeechRequest, on_delete=models.PROTECT, related_name="output")
    voice = models.ForeignKey(Voice, on_delete=models.PROTECT, related_name="outputs")
    licence = models.ForeignKey("consent.Licence", null=True, on_delete=models.PROTECT, related_name="+")
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    sealed = models.ForeignKey("vault.SealedObject", on_delete=models.PROTECT, related_name="+")
    media_type = models.CharField(max_length=40)
    sha256 = models.CharField(max_length=64)
    seconds = models.FloatField()
    label_seconds = models.FloatField()
    mark_payload = models.BigIntegerField(unique=True)
    provenance = models.JSONField()
    state = models.CharField(max_length=12, default=OutputState.LIVE.value)
    leaf_index = models.BigIntegerField()
    rehearsal = models.BooleanField()
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            _known("state", OutputState, "output_state_known"),
            models.CheckConstraint(condition=Q(seconds__gt=0, label_seconds__gt=0), name="output_has_sound_and_label"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["requester", "created_at", "id"], name="output_of_requester"),
            # Counted by voice without reading the rows: what a withdrawal would end is shown beside every consent.
            models.Index(fields=["voice", "state"], name="output_of_voice"),
        ]

    def __str__(self) -> str:
        return f"output {self.id}"


class TraceJob(models.Model):
    """A question "where does this recording come from?". The recording lies in custody for an hour at most."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    recording = models.ForeignKey("retention.CustodyItem", null=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=8, default=TraceState.QUEUED.value)
    hits = models.JSONField(default=list)
    #: What was measured on the recording: see tracing.measured().
    facts = models.JSONField(default=dict)
    #: Tells callers apart for a day without saying who they are; see trace_rules. Empty for staff and afterwards.
    caller = models.CharField(max_length=64, blank=True, db_index=True)
    #: From when on the answer is shown to whoever asked.
    answer_at = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    sent_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            _known("state", TraceState, "trace_state_known"),
            models.CheckConstraint(condition=~Q(state="done") | Q(answer_at__isnull=False), name="trace_done_has_time"),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error_code=""), name="trace_failed_has_code"),
        ]

    def __str__(self) -> str:
        return f"trace {self.id}"
