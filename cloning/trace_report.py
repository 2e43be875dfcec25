"""A detection report for use as evidence: one signed statement, and the same as a page to print.

It says what was searched, how, what was found and how likely a mistake is; and where an error rate for recordings of
that length and kind was not measured, it says that.
"""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from cloning import trace_answers, trace_proof, trace_rules
from cloning.errors import TraceNotReady
from cloning.models import TraceJob
from foundation import keys
from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from watermark.codec import measured

VERSION: Final = 1
LIMITS: Final = (
    "A match says that the recording holds the watermark of the named output. It does not say who spread it, nor that "
    "nothing was added or cut.",
    "No match does not show that a recording is genuine: it may be synthetic and made elsewhere, or damaged.",
    "The bound holds for one search by somebody without the key, over all payloads issued and all alignments tried.",
    "States of output, consent and licence are those at the time of the report.",
)


def report(*, actor: Actor, trace_id: UUID) -> dict[str, Any]:
    """``{"statement", "signature", "algorithm", "public_key"}``. A moderator has it at once, others when figures are
    shown to them.

    Raises NotFound, TraceNotReady.
    """
    job = trace_answers.finished(trace_id)
    if trace_answers.MODERATE not in actor.scopes and not trace_answers.details_due(job):
        due = trace_rules.detail_time(job)
        raise TraceNotReady("The report is given when the figures are.", ready_at=_time(due) if due else None)
    statement = _statement(job)
    with transaction.atomic():
        log.append(
            kind="mark.reported",
            subject=f"trace:{job.id}",
            actor=actor,
            data={"verdict": statement["verdict"], "as_of": statement["as_of"]},
        )
    return trace_proof.signed(statement, keys.private_key("provenance"))


def _statement(job: TraceJob) -> dict[str, Any]:
    hits = trace_answers.joined(job)
    facts = job.facts
    recording = {name: facts.get(name) for name in ("sha256", "bytes", "seconds", "rate", "form", "kbit_s")}
    return {
        "version": VERSION,
        "issuer": settings.VOUCH_LOG_ORIGIN,
        "trace": str(job.id),
        "asked_at": _time(job.created_at),
        "searched_at": _time(job.finished_at or job.created_at),
        "as_of": _time(now()),
        "recording": recording,
        "method": {
            **facts.get("method", {}),
            "payloads_searched": facts.get("issued"),
            "alignments_searched": facts.get("alignments"),
        },
        "verdict": trace_answers.verdict(job, hits),
        "labels": trace_answers.label(job),
        "matches": [_match(hit) for hit in hits],
        "measured_error": measured_error(recording),
        "limits": list(LIMITS),
        "rehearsal": any(hit.get("rehearsal") for hit in hits),
    }


def _match(hit: dict[str, Any]) -> dict[str, Any]:
    return {name: _time(value) if isinstance(value, datetime) else value for name, value in hit.items()}


def measured_error(recording: dict[str, Any]) -> dict[str, Any]:
    """How often marks in recordings of this length and kind were missed, and how often one was named wrongly, in the
    codec's bench; "not measured" where it holds no such row."""
    group = measured.group_of(str(recording["form"]), recording["kbit_s"])
    row = measured.row_for(float(recording["seconds"] or 0), group, measured.rows()) if group else None
    if row is None:
        return {
            "state": "not measured",
            "why": "No measurement of this detector at this length and form is at hand: only the bound counts.",
        }
    return {
        "state": "measured",
        "recordings": row.of,
        "seconds": row.seconds,
        "kind": row.group,
        "missed": row.missed,
        "missed_at_most": round(row.miss_rate_at_most, 4),
        "named_wrongly": row.wrong,
        "why": (
            "By length and by the coding of the file itself; what befell the sound before cannot be seen. Bench: "
            "docs/watermark.md; at most: 95 % one-sided (Clopper and Pearson)."
        ),
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
