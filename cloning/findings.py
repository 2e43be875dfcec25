"""What this room finds that a moderator has to look at: each opens a case (`safety.services.open_case`)."""

from typing import Any, Final
from uuid import UUID

from cloning.models import Output, TraceJob
from cloning.states import OutputState
from foundation.identity.actors import Actor
from safety.selectors import active_restrictions
from safety.services import open_case
from safety.states import CaseKind, SubjectKind

ACTOR: Final = Actor.system("cloning.findings")
SEVERITY: Final = 2
TRANSPLANTED: Final = "other"
"""What the fingerprint says when a mark lies on sound that is not its output's."""


def of_trace(job: TraceJob) -> list[UUID]:
    """Cases for a finished trace: a mark on other sound, or a recording that was withdrawn and is still about.

    In the trace's own transaction. One case an output while it is undecided, however often it is traced.
    """
    cases = []
    for hit in job.hits:
        output = Output.objects.select_related("voice__consent").filter(id=hit["output"]).first()
        rule = _rule(hit, output) if output is not None else ""
        if output is None or not rule:
            continue
        case = open_case(
            actor=ACTOR,
            kind=CaseKind.TRACE,
            severity=SEVERITY,
            subject_kind=SubjectKind.OUTPUT,
            subject_ref=str(output.id),
            voice_ref=str(output.voice_id),
            rule=rule,
            clause="output.misused",
        )
        cases.append(case.id)
    return cases


def _rule(hit: dict[str, Any], output: Output) -> str:
    if hit.get("sound") == TRANSPLANTED:
        return "trace.transplanted-mark"
    withdrawn = output.state in (OutputState.REVOKED, OutputState.QUARANTINED) or active_restrictions(
        subjects=[("output", str(output.id))]
    )
    return "trace.withdrawn-output" if withdrawn else ""
