"""What a trace answers: to anybody who holds its id, and to a moderator. Nobody is told what was typed."""

from typing import Any
from uuid import UUID

from cloning import trace_rules
from cloning.errors import TraceNotReady
from cloning.models import Output, TraceJob
from cloning.selectors import broken_stream, trace_job, trace_view
from cloning.states import TraceState
from foundation.clock import now
from foundation.identity.actors import Actor

MODERATE = "moderate"
OURS, TRANSPLANTED, UNKNOWN_MARK = "ours", "transplanted", "unknown_mark"
NOT_FOUND, INCONCLUSIVE = "not_found", "inconclusive"
#: Figures of a hit that are shown late.
FIGURES = ("start_s", "end_s", "score", "false_positive_bound")


def public(*, trace_id: UUID) -> dict[str, Any]:
    """The answer as anybody may see it now. Joined to voice, licence and consent as they stand at this moment.

    Raises NotFound.
    """
    job = trace_job(trace_id=trace_id)
    told: dict[str, Any] = {
        "id": job.id, "state": job.state, "ready_at": None, "verdict": None, "label": None, "details_at": None,
        "hits": [], "error_code": job.error_code, "error_detail": job.error_detail,
    }  # fmt: skip
    if job.state != TraceState.DONE:
        return told
    if job.answer_at is not None and job.answer_at > now():
        return {**told, "state": "waiting", "ready_at": job.answer_at}
    hits = joined(job)
    if not details_due(job):
        hits = [{name: value for name, value in hit.items() if name not in FIGURES} for hit in hits]
    return {
        **told,
        "verdict": verdict(job, hits),
        "label": label(job),
        "details_at": trace_rules.detail_time(job),
        "hits": hits,
    }


def whole(*, actor: Actor, trace_id: UUID) -> dict[str, Any]:
    """Everything: figures at once, who owns the voice, who asked for the speech, what was measured on the recording.

    Raises NotFound, MissingScope, TraceNotReady.
    """
    actor.require_scope(MODERATE)
    job = finished(trace_id)
    hits = joined(job)
    found = Output.objects.select_related("voice__owner", "voice__consent", "requester", "licence", "request").in_bulk(
        [hit["output"] for hit in hits if "made_at" in hit]
    )
    return {
        "id": job.id,
        "state": job.state,
        "verdict": verdict(job, hits),
        "label": label(job),
        "asked_at": job.created_at,
        "searched_at": job.finished_at,
        "anonymous": job.requester_id is None,
        "recording": {k: v for k, v in job.facts.items() if k not in ("method", "audible_label", "metadata_label")},
        "method": job.facts.get("method", {}),
        "hits": [
            {**hit, **(_record(found.get(UUID(hit["output"]))) or _of_stream(hit["output"]))}
            if "made_at" in hit
            else {**hit, "mark_of": raw["output"]}
            for hit, raw in zip(hits, job.hits, strict=True)
        ],
    }


def _record(output: Output | None) -> dict[str, Any]:
    if output is None:
        return {}
    voice, consent, licence = output.voice, output.voice.consent, output.licence
    return {
        "voice_id": str(voice.id),
        "owner": {"id": str(voice.owner_id), "name": voice.owner.display_name},
        "requester": {"id": str(output.requester_id), "name": output.requester.display_name},
        "consent": {"id": str(consent.id), "given_at": consent.given_at, "ended_at": consent.ended_at},
        "licence": {"id": str(licence.id), "scope": licence.scope} if licence else None,
        "request": {
            "id": str(output.request_id),
            "language": output.request.language,
            "characters": output.request.characters,
            "case": str(output.request.case_ref) if output.request.case_ref else None,
        },
        "seconds": output.seconds,
        "media_type": output.media_type,
        "sha256": output.sha256,
        "leaf_index": output.leaf_index,
    }


def _of_stream(output_ref: str) -> dict[str, Any]:
    """The same of a stream that broke, as far as it has it."""
    stream = broken_stream(output_ref)
    if stream is None:
        return {}
    request, voice = stream.request, stream.request.voice
    return {
        "voice_id": str(voice.id),
        "owner": {"id": str(voice.owner_id), "name": voice.owner.display_name},
        "requester": {"id": str(request.requester_id), "name": request.requester.display_name},
        "request": {"id": str(request.id), "language": request.language, "characters": request.characters},
        "broken_off": stream.code,
        "seconds": stream.seconds,
    }


def finished(trace_id: UUID) -> TraceJob:
    """A trace that came to an answer. Raises NotFound, TraceNotReady."""
    job = trace_job(trace_id=trace_id)
    if job.state != TraceState.DONE:
        raise TraceNotReady(state=job.state)
    return job


def joined(job: TraceJob) -> list[dict[str, Any]]:
    """The hits, each with its output as it stands now.

    A hit whose mark leads to no output any more is shown as what it is: our mark, of something never delivered. One
    whose sound is not the output's is a mark laid on other speech: it must not point at anybody's output or voice.
    """
    return [
        {**hit, "output": "", "output_state": TRANSPLANTED}
        if hit.get("sound") == "other"
        else {**hit, **(trace_view(hit["output"]) or {"output_state": "never_delivered"})}
        for hit in job.hits
    ]


def verdict(job: TraceJob, hits: list[dict[str, Any]]) -> str:
    """``ours``, ``transplanted`` (our mark, laid on other sound), ``unknown_mark`` (our mark, of nothing that was
    delivered), ``inconclusive`` (too little sound to tell) or ``not_found``."""
    if any("made_at" in hit for hit in hits):
        return OURS
    if any(hit["output_state"] == TRANSPLANTED for hit in hits):
        return TRANSPLANTED
    if hits:
        return UNKNOWN_MARK
    return INCONCLUSIVE if job.facts.get("search_verdict") == INCONCLUSIVE else NOT_FOUND


def label(job: TraceJob) -> dict[str, Any]:
    """Which labels the recording still carries; see watermark.recording."""
    return {"audible": job.facts.get("audible_label"), "metadata": job.facts.get("metadata_label", "unreadable")}


def details_due(job: TraceJob) -> bool:
    due = trace_rules.detail_time(job)
    return due is not None and due <= now()
