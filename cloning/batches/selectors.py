"""Reads: a person's batches, how far each is, its lines."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum

from cloning.batches.models import Batch, BatchKind, Line
from cloning.batches.states import OPEN_LINES, LineState
from cloning.states import JobState
from foundation.errors import NotFound
from foundation.identity.actors import Actor


@dataclass(frozen=True, slots=True)
class Progress:
    """``lines`` by state; ``share`` 0 to 1 of what can still become sound, 1 when nothing moves any more."""

    lines: dict[str, int]
    total: int
    share: float


def batches(*, actor: Actor) -> QuerySet[Batch]:
    """The actor's own, newest first, each with what `progress` and `narration_output` say of it."""
    return _counted(Batch.objects.filter(requester_id=actor.person_id)).order_by("-created_at", "-id")


def batch(*, actor: Actor, batch_id: UUID) -> Batch:
    """A batch of the actor's own. Raises NotFound."""
    found = Batch.objects.filter(id=batch_id, requester_id=actor.person_id).select_related("voice").first()
    if found is None:
        raise NotFound
    return found


def lines(batch: Batch) -> QuerySet[Line]:
    """In the table's order."""
    return Line.objects.filter(batch=batch).select_related("request__output", "request__job").order_by("number")


def progress(batch: Batch) -> Progress:
    """Of a batch as it was read by `batches`; of any other, read now."""
    seen = _seen(batch)
    counts = {state.value: getattr(seen, f"n_{state.value}") for state in LineState}
    total = sum(counts.values())
    done = total - sum(counts[state] for state in OPEN_LINES) + (seen.under_way or 0.0)
    return Progress(counts, total, done / total if total else 1.0)


def narration_output(batch: Batch) -> UUID | None:
    """The one recording of a narration, once there is one."""
    found: UUID | None = _seen(batch).spoken
    return found if batch.kind == BatchKind.NARRATION else None


def _seen(batch: Batch) -> Any:
    return batch if hasattr(batch, "under_way") else _counted(Batch.objects.filter(id=batch.id)).get()


def _counted(found: QuerySet[Batch]) -> QuerySet[Batch]:
    """One query for many batches: lines by state, the share of those at work, a narration's recording."""
    running = Q(lines__state=LineState.ASKED, lines__request__job__state=JobState.RUNNING)
    done = Line.objects.filter(batch=OuterRef("pk"), state=LineState.DONE)
    counts = {f"n_{state.value}": Count("lines", filter=Q(lines__state=state)) for state in LineState}
    return found.annotate(
        **counts,
        under_way=Sum("lines__request__job__progress", filter=running),
        spoken=Subquery(done.values("request__output__id")[:1]),
    )
