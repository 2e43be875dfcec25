"""Jobs that ended, told to the webhooks of whoever asked for them (`marketplace.hooks`).

The rooms that end jobs lie below the one that sends webhooks, so nobody tells it: it looks. A job is told when its
``told_at`` is not the moment it ended; a job that is tried again ends again and is told again.
"""

from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from cloning.models import Job, JobKind
from cloning.selectors import output_id_of
from cloning.states import JobState
from marketplace.hooks import services as hooks

UNTOLD: Final = Q(finished_at__isnull=False) & (Q(told_at__isnull=True) | ~Q(told_at=F("finished_at")))
"""The index ``job_untold`` holds these and no others."""
BATCH: Final = 200
"""Jobs of one round."""
DONE: Final[dict[str, str]] = {
    JobKind.TRAIN: "training.done",
    JobKind.SPEAK: "speech.done",
    JobKind.MASK: "mask.done",
    JobKind.INSTANT: "instant.done",
}


def tell_due() -> int:
    """Writes the events of jobs that ended since the last round, each with its mark, in a transaction. Safe to run
    twice and beside itself. How many were told."""
    ended = Job.objects.filter(UNTOLD).order_by("finished_at").values_list("id", flat=True)[:BATCH]
    return sum(_tell(job_id) for job_id in list(ended))


@transaction.atomic
def _tell(job_id: UUID) -> bool:
    rows = Job.objects.select_for_update(skip_locked=True, of=("self",))
    job = rows.filter(UNTOLD, id=job_id).first()
    if job is None or job.finished_at is None:
        return False
    hooks.tell(
        people=[job.requester_id], event=_event(job), key=f"{job.id}:{job.finished_at.isoformat()}", data=_data(job)
    )
    Job.objects.filter(id=job_id).update(told_at=job.finished_at)
    return True


def _event(job: Job) -> str:
    if job.state != JobState.SUCCEEDED:
        return "job.failed"
    return DONE[job.kind]


def _data(job: Job) -> dict[str, Any]:
    """Ids and states; the words of an error stay behind the key."""
    speech = getattr(job, "speech", None) if job.kind == JobKind.SPEAK else None
    output = output_id_of(speech) if speech is not None else None
    return {
        "job": str(job.id),
        "kind": job.kind,
        "state": job.state,
        "error_code": job.error_code,
        "voice": str(job.voice_id),
        "speech": str(speech.id) if speech is not None else None,
        "output": str(output) if output is not None else None,
    }
