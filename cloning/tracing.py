"""Where does this recording come from? Receiving a found recording, searching it for marks, showing the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from cloning import findings, trace_rules
from cloning.jobs import deliver
from cloning.models import TraceJob
from cloning.states import TRACE, TraceState, move
from foundation import keys
from foundation.audit import log
from foundation.clock import now
from foundation.errors import VouchError
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from retention import custody
from retention.models import CustodyItem
from retention.purposes import Purpose

ACTOR: Final = Actor.system("cloning.trace")
QUEUE: Final = "cpu"
MAX_BYTES: Final = 25 * 1024 * 1024
"""Largest recording accepted for tracing: ten minutes of 16-bit mono at 20 kHz, hours of MP3."""
MODERATE: Final = "moderate"
KEPT: Final = timedelta(hours=1)
"""A found recording is somebody else's voice, brought by a stranger: held only as long as a busy queue may need."""


def request_trace(*, actor: Actor, stream: Iterable[bytes], caller: str = "") -> TraceJob:
    """Takes a recording into custody for an hour at most and queues the search. Anonymous callers may ask.

    ``caller`` tells callers apart (a person's id, an address); moderators are not counted. Raises TooLarge, EmptyBody.
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
    return queue(item, actor=actor, caller=caller)


@transaction.atomic
def queue(item: CustodyItem, *, actor: Actor, caller: str) -> TraceJob:
    """Has a recording that has arrived searched; whose it is, is whoever asks."""
    counted = bool(caller) and MODERATE not in actor.scopes
    tag = trace_rules.caller_tag(caller) if counted else ""
    job = TraceJob.objects.create(requester_id=item.subject_id, recording=item, caller=tag)
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
        hits, facts = _searched(custody.read(item=job.recording, actor=ACTOR))
    except VouchError as error:
        _finish(trace_id, TraceState.FAILED, error=error)
        return
    _finish(trace_id, TraceState.DONE, hits=hits, facts=facts)


class Untraceable(VouchError):
    """This recording cannot be searched for a mark."""

    code, status = "untraceable", 422


def _searched(data: bytes) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The hits, and what was measured beside them."""
    from cloning.speaking import second_mark
    from consent.decoding import decode
    from watermark import recording
    from watermark.codec.errors import UnmarkableAudio
    from watermark.trace import examine

    wave, rate = decode(data)
    try:
        found = examine(wave, rate, key=keys.secret("mark"), companion=second_mark())
    except UnmarkableAudio as error:
        raise Untraceable(str(error)) from error
    seconds = len(wave) / rate
    facts = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "seconds": round(seconds, 3),
        "rate": rate,
        "form": recording.form_of(data),
        "kbit_s": round(8 * len(data) / seconds / 1000, 1),
        "audible_label": found.label_end_s is not None,
        "metadata_label": recording.metadata_label(data),
        "issued": found.ids,
        "alignments": found.alignments,
        "search_verdict": found.verdict,
        "method": recording.method(),
        "outline": recording.outline(wave),
    }
    hits = [
        {
            "output": hit.output_ref,
            "start_s": round(hit.start_s, 2),
            "end_s": round(hit.end_s, 2),
            "mark": hit.mark,
            "score": round(hit.score, 3),
            "false_positive_bound": hit.false_positive_bound,
            "sound": hit.sound,
            "agreement": round(hit.agreement, 3),
            "speed": round(hit.speed, 3),
            "pitch": round(hit.pitch, 3),
        }
        for hit in found.hits
    ]
    return hits, facts


@transaction.atomic
def _finish(
    trace_id: UUID,
    to: TraceState,
    *,
    hits: list[dict[str, Any]] | None = None,
    facts: dict[str, Any] | None = None,
    error: VouchError | None = None,
) -> None:
    job = TraceJob.objects.select_for_update(of=("self",)).select_related("recording").get(id=trace_id)
    if job.state != TraceState.QUEUED:
        return
    move(job, to, TRACE)
    job.hits, job.facts, job.finished_at = hits or [], facts or {}, now()
    job.answer_at = trace_rules.answer_time(job)
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
    findings.of_trace(job)
    if job.recording is not None:
        custody.destroy(item=job.recording, reason="purpose_ended", actor=ACTOR)
