"""Reads: what a person owns, what a voice is trained from, and what a found recording's output stands on now."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypedDict, TypeVar
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from cloning.errors import NoRecordings, OutputRevoked
from cloning.models import Job, JobKind, JobPoint, Output, SpeechRequest, SpeechStream, TraceJob, Voice
from cloning.states import OutputState, StreamState
from consent.models import Consent, Recording
from foundation.clock import now
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from retention.models import CustodyItem
from safety.selectors import active_restrictions, restricted_refs
from watermark.selectors import last_mark_position, mark_positions
from watermark.status import entry

T = TypeVar("T")
POINTS: Final = 500
"""Of a curve, read at once."""


class TraceView(TypedDict):
    """One traced output, as anybody may see it: no text, no requester, no speaker's name. ``voice`` of a masked one is
    the mask's name: whoever speaks behind a mask is not to be found by what they called their voice."""

    output: str
    made_at: datetime
    voice: str
    use: str
    consent_state: str
    licence_state: str | None
    output_state: str
    rehearsal: bool


def _state_now(output: Output) -> str:
    """A moderator's restriction counts before it has moved the output's own state."""
    handed_out = output.state in (OutputState.LIVE, OutputState.RELABELLED)
    if handed_out and active_restrictions(subjects=[("output", str(output.id))]):
        return OutputState.QUARANTINED.value
    return output.state


def voices(*, actor: Actor) -> QuerySet[Voice]:
    """The actor's own voices, newest first, each with the id of its ``training`` job."""
    newest = Job.objects.filter(voice=OuterRef("pk"), kind=JobKind.TRAIN).order_by("-created_at")
    own = Voice.objects.filter(owner_id=actor.person_id).annotate(training=Subquery(newest.values("id")[:1]))
    return own.order_by("-created_at", "-id")


def voice(*, actor: Actor, voice_id: UUID) -> Voice:
    """Raises NotFound."""
    return _found(voices(actor=actor).filter(id=voice_id).first())


def jobs(*, actor: Actor) -> QuerySet[Job]:
    """The actor's own jobs, newest first."""
    return Job.objects.filter(requester_id=actor.person_id).order_by("-created_at", "-id")


def speeches(*, actor: Actor) -> QuerySet[SpeechRequest]:
    """What the actor asked to be spoken, newest first."""
    own = SpeechRequest.objects.select_related("job", "output").filter(requester_id=actor.person_id)
    return own.order_by("-created_at", "-id")


def outputs(*, actor: Actor) -> QuerySet[Output]:
    """The actor's own recordings, newest first."""
    return Output.objects.filter(requester_id=actor.person_id).order_by("-created_at", "-id")


def job(*, actor: Actor, job_id: UUID) -> Job:
    """Raises NotFound."""
    return _found(jobs(actor=actor).filter(id=job_id).first())


def job_points(*, job_id: UUID, after: int) -> list[JobPoint]:
    """The curve of a training from behind a point on, in order; at most POINTS."""
    return list(JobPoint.objects.filter(job_id=job_id, id__gt=after).order_by("id")[:POINTS])


def speech(*, actor: Actor, request_id: UUID) -> SpeechRequest:
    """Raises NotFound."""
    return _found(speeches(actor=actor).filter(id=request_id).first())


def output(*, actor: Actor, output_id: UUID) -> Output:
    """Raises NotFound."""
    return _found(outputs(actor=actor).select_related("sealed", "voice", "request").filter(id=output_id).first())


def playable_output(*, actor: Actor, output_id: UUID) -> Output:
    """The output, when its sound may be handed out. Raises NotFound, OutputRevoked."""
    return _playable(output(actor=actor, output_id=output_id))


def linked_output(*, output_id: UUID) -> Output:
    """The output a valid link names, when its sound may be handed out. Raises NotFound, OutputRevoked."""
    return _playable(_found(Output.objects.select_related("sealed").filter(id=output_id).first()))


def _playable(found: Output) -> Output:
    if found.state not in (OutputState.LIVE, OutputState.RELABELLED):
        raise OutputRevoked(state=found.state)
    if active_restrictions(subjects=[("output", str(found.id))]):
        raise OutputRevoked("A moderator has withdrawn this recording.", state=OutputState.QUARANTINED.value)
    return found


def revoked_positions() -> list[int]:
    """Places in the registry of marks whose outputs are revoked, quarantined or withdrawn by a moderator, in order; and
    of streams that broke, which are no outputs."""
    withdrawn = restricted_refs(subject_kind="output")
    gone = Output.objects.exclude(state__in=[OutputState.LIVE, OutputState.RELABELLED]).values_list("id", flat=True)
    broken = SpeechStream.objects.filter(state=StreamState.BROKEN).exclude(output_ref=None)
    return mark_positions({*map(str, gone), *map(str, broken.values_list("output_ref", flat=True)), *withdrawn})


def relabelled_positions() -> list[int]:
    """Places in the registry of marks whose outputs need a note that their licence has ended, in order."""
    noted = Output.objects.filter(state=OutputState.RELABELLED).values_list("id", flat=True)
    return mark_positions(set(map(str, noted)))


def status_lists() -> int:
    """How many status lists there are: one from the beginning, one more for every LIST_SIZE marks."""
    return entry(max(last_mark_position(), 1))["list"]


def trace_job(*, trace_id: UUID) -> TraceJob:
    """A trace, by its unguessable id: whoever asked holds it. Raises NotFound."""
    return _found(TraceJob.objects.filter(id=trace_id).first())


def _found(thing: T | None) -> T:
    if thing is None:
        raise NotFound
    return thing


def training_job_id(voice: Voice) -> UUID | None:
    """The voice's training job: there is one, retried in place."""
    if hasattr(voice, "training"):
        return voice.training
    return voice.jobs.filter(kind=JobKind.TRAIN).order_by("-created_at").values_list("id", flat=True).first()


def output_id_of(request: SpeechRequest) -> UUID | None:
    """The finished recording of a request, or None."""
    try:
        return request.output.id
    except Output.DoesNotExist:
        return None


# -- training ---------------------------------------------------------------------------------------------------------


def training_recordings(consent: Consent, *, language: str) -> list[Recording]:
    """The accepted recordings of a consent in one language, in a fixed order."""
    return list(
        Recording.objects.select_related("custody")
        .filter(consents=consent, state="passed", language=language)
        .order_by("created_at", "id")
    )


def custody_of(recording: Recording) -> CustodyItem:
    """Where the recording's sound lies. Raises NoRecordings when its content never arrived."""
    if recording.custody is None:
        raise NoRecordings()
    return recording.custody


def digest_of(recordings: Sequence[Recording]) -> str:
    """SHA-256 (hex) over the ids and commitments of a training set, in order: what a training clearance is bound to."""
    lines = [[str(recording.id), custody_of(recording).commitment, recording.transcript] for recording in recordings]
    return hashlib.sha256(json.dumps(lines, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def training_set(voice: Voice) -> list[Recording]:
    """The recordings the voice was asked to be trained from."""
    items = voice.training_items.select_related("recording", "recording__custody").order_by("position")
    return [item.recording for item in items]


def consent_stands(voice_id: UUID) -> bool:
    """Is the consent still in force? A cheap look without a lock, for a running training; the gate decides."""
    return Voice.objects.filter(id=voice_id, consent__state="active", consent__valid_until__gt=now()).exists()


# -- tracing ----------------------------------------------------------------------------------------------------------


def trace_view(output_ref: str) -> TraceView | None:
    """Joins an output to its voice, licence and consent as they stand now; None for a mark without an output.

    A mark is drawn before sealing, so a sealing that failed leaves one behind that no recording carries. A stream that
    broke was heard in part: it leads back like an output that is revoked.
    """
    whole = Output.objects.select_related("request__voice__consent", "request__licence", "request__mask")
    found = whole.filter(id=output_ref).first()
    if found is None:
        stream = broken_stream(output_ref)
        return (
            None
            if stream is None or stream.opened_at is None
            else _joined(output_ref, stream.opened_at, stream.request, OutputState.REVOKED.value)
        )
    return _joined(output_ref, found.created_at, found.request, _state_now(found))


def broken_stream(output_ref: str) -> SpeechStream | None:
    """The stream that would have become this output."""
    streams = SpeechStream.objects.select_related(
        "request__voice__consent", "request__licence", "request__requester", "request__mask"
    )
    return streams.filter(output_ref=output_ref, state=StreamState.BROKEN).first()


def _joined(output_ref: str, made_at: datetime, request: SpeechRequest, state: str) -> TraceView:
    voice, licence, consent = request.voice, request.licence, request.voice.consent
    expired = consent.state == "active" and consent.valid_until <= now()
    return TraceView(
        output=output_ref,
        made_at=made_at,
        voice=request.mask.name if request.mask else voice.name,
        use="licence" if licence else "own_use",
        consent_state="expired" if expired else consent.state,
        licence_state=licence.state if licence else None,
        output_state=state,
        rehearsal=voice.rehearsal,
    )
