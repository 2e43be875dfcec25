"""Where does this recording come from? Receiving a found recording, searching it for marks, showing the answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from cloning.jobs import deliver
from cloning.models import TraceJob
from cloning.selectors import trace_view
from cloning.states import TRACE, TraceState, move
from foundation import keys
from foundation.audit import log
from foundation.clock import now
from foundation.errors import VouchError
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from retention import custody
from retention.purposes import Purpose

ACTOR: Final = Actor.system("cloning.trace")
QUEUE: Final = "cpu"
MAX_BYTES: Final = 25 * 1024 * 1024
"""Largest recording accepted for tracing: ten minutes of 16-bit mono at 20 kHz, hours of MP3."""
KEPT: Final = timedelta(hours=1)
"""A found recording is somebody else's voice, brought by a stranger: held only as long as a busy queue may need."""


def request_trace(*, actor: Actor, stream: Iterable[bytes]) -> TraceJob:
    """Takes a recording into custody for an hour at most and queues the search. Anonymous callers may ask.

    Raises TooLarge, EmptyBody.
    """
    subject = Person.objects.filter(id=actor.person_id).first() if actor.person_id else None
    item = custody.receive(
        stream=stream,
        purpose=Purpose.TRACE,
        subject=subject,
        actor=actor,
        max_bytes=MAX_BYTES,
        deadline=now() + KEPT,
    )
    with transaction.atomic():
        job = TraceJob.objects.create(requester=subject, recording=item)
        send(job)
    return job


def send(job: TraceJob) -> None:
    """Hands a queued search to the workers after commit. Sending twice does no harm."""
    from cloning.tasks import trace

    TraceJob.objects.filter(id=job.id).update(sent_at=Now())
    trace_id = str(job.id)
    transaction.on_commit(lambda: deliver(trace, trace_id, QUEUE))


def search(trace_id: UUID) -> None:
    """Searches a queued recording; the recording is destroyed with the answer. Safe to run twice."""
    job = TraceJob.objects.select_related("recording").filter(id=trace_id, state=TraceState.QUEUED).first()
    if job is None or job.recording is None:
        return
    try:
        hits = _hits(custody.read(item=job.recording, actor=ACTOR))
    except VouchError as error:
        _finish(trace_id, TraceState.FAILED, error=error)
        return
    _finish(trace_id, TraceState.DONE, hits=hits)


class Untraceable(VouchError):
    """This recording cannot be searched for a mark."""

    code, status = "untraceable", 422


def _hits(data: bytes) -> list[dict[str, Any]]:
    from consent.decoding import decode
    from watermark.codec.errors import UnmarkableAudio
    from watermark.trace import trace

    wave, rate = decode(data)
    try:
        found = trace(wave, rate, key=keys.secret("mark"))
    except UnmarkableAudio as error:
        raise Untraceable(str(error)) from error
    return [
        {
            "output": hit.output_ref,
            "start_s": round(hit.start_s, 2),
            "end_s": round(hit.end_s, 2),
            "score": round(hit.score, 3),
            "false_positive_bound": hit.false_positive_bound,
            "sound": hit.sound,
            "agreement": round(hit.agreement, 3),
            "speed": round(hit.speed, 3),
            "pitch": round(hit.pitch, 3),
        }
        for hit in found
    ]


@transaction.atomic
def _finish(
    trace_id: UUID, to: TraceState, *, hits: list[dict[str, Any]] | None = None, error: VouchError | None = None
) -> None:
    job = TraceJob.objects.select_for_update(of=("self",)).select_related("recording").get(id=trace_id)
    if job.state != TraceState.QUEUED:
        return
    move(job, to, TRACE)
    job.hits, job.finished_at = hits or [], now()
    job.error_code, job.error_detail = (error.code[:60], error.detail[:500]) if error else ("", "")
    job.save()
    log.record(
        kind="mark.traced",
        subject=f"trace:{job.id}",
        actor=ACTOR,
        data={
            "state": job.state,
            "outputs": [hit["output"] for hit in job.hits],
            "code": job.error_code,
            "anonymous": job.requester_id is None,
        },
    )
    if job.recording is not None:
        custody.destroy(item=job.recording, reason="purpose_ended", actor=ACTOR)


def answer(job: TraceJob) -> list[dict[str, Any]]:
    """The hits as anybody may see them, each joined to voice, licence and consent as they stand at this moment.

    A hit whose mark leads to no output any more is shown as what it is: our mark, of something never delivered. One
    whose sound is not the output's is a mark laid on other speech: it must not point at anybody's output or voice.
    """
    return [
        {**hit, "output": "", "output_state": "transplanted"}
        if hit.get("sound") == "other"
        else {**hit, **(trace_view(hit["output"]) or {"output_state": "never_delivered"})}
        for hit in job.hits
    ]
