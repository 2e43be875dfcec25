"""Reads: a person's batches, how far each is, its lines."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, QuerySet, Sum

from cloning.batches.models import Batch, BatchKind, Line
from cloning.batches.services import own
from cloning.batches.states import OPEN_LINES, LineState
from cloning.states import JobState
from foundation.identity.actors import Actor


@dataclass(frozen=True, slots=True)
class Progress:
    """``lines`` by state; ``share`` 0 to 1 of what can still become sound, 1 when nothing moves any more."""

    lines: dict[str, int]
    total: int
    share: float


def batches(*, actor: Actor) -> QuerySet[Batch]:
    """The actor's own, newest first."""
    return Batch.objects.filter(requester_id=actor.person_id).order_by("-created_at", "-id")


def batch(*, actor: Actor, batch_id: UUID) -> Batch:
    """Raises NotFound."""
    return own(actor=actor, batch_id=batch_id)


def lines(batch: Batch) -> QuerySet[Line]:
    """In the table's order."""
    return Line.objects.filter(batch=batch).select_related("request__output", "request__job").order_by("number")


def progress(batch: Batch) -> Progress:
    counts = {state.value: 0 for state in LineState}
    counts |= dict(Line.objects.filter(batch=batch).values_list("state").annotate(Count("id")).order_by())
    total = sum(counts.values())
    still = sum(counts[state] for state in OPEN_LINES)
    done = float(total - still)
    running = Line.objects.filter(batch=batch, state=LineState.ASKED, request__job__state=JobState.RUNNING)
    done += running.aggregate(share=Sum("request__job__progress"))["share"] or 0.0
    return Progress(counts, total, done / total if total else 1.0)


def narration_output(batch: Batch) -> UUID | None:
    """The one recording of a narration, once there is one."""
    if batch.kind != BatchKind.NARRATION:
        return None
    done = Line.objects.filter(batch=batch, state=LineState.DONE)
    return done.values_list("request__output__id", flat=True).first()
