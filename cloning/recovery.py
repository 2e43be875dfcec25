"""What a dead worker or a lost message leaves behind, put right: run by Celery beat every few seconds."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from cloning import approvals, jobs, revocation, services, trace_rules, tracing
from cloning.batches import advancing as batches
from cloning.models import Job, JobPoint, SpeechRequest, TextApproval, TraceJob, Voice
from cloning.states import JOB, ApprovalState, JobState, TraceState, VoiceState, move
from cloning.worker import LOST_AFTER
from foundation.clock import now
from foundation.errors import VouchError
from foundation.identity.actors import Actor
from safety.models import Case
from safety.states import CaseState

ACTOR: Final = Actor.system("cloning.recover")
MAX_ATTEMPTS: Final = 3
"""A job that has killed three workers is not given a fourth."""
SEND_AGAIN_AFTER: Final = timedelta(minutes=1)
"""A queued job nobody took is sent again: the broker may have lost it. A second message does no harm."""
POINTS_KEPT: Final = timedelta(days=30)
"""How long the curve of a training can be looked at."""
FAILED_TEXT_KEPT: Final = timedelta(hours=24)
"""How long the text of a failed request is kept, so that it can be tried again."""


class WorkerLost(VouchError):
    """The worker died several times in the middle of this job."""

    code, status = "worker_lost", 500


def recover() -> int:
    """Requeues or fails jobs whose worker fell silent, sends forgotten ones again, resumes decided holds, forgets old
    texts and curves, ends what stands on an ended consent. Safe to run twice and at once.
    """
    return (
        _ended_consents()
        + revocation.end_due()
        + _lost_runs()
        + _forgotten_jobs()
        + _decided_holds()
        + _asked_owners()
        + _old_texts()
        + _old_points()
        + _traces()
        + batches.look_again()
    )


def _older(field: str, age: timedelta) -> Q:
    """``field`` is older than ``age`` by the database's clock, which also wrote it."""
    return Q(**{f"{field}__lt": Now() - age})


def _ended_consents() -> int:
    """Consents that ran out: the room below cannot reach the voices under them, so they end here, keys and all.

    A withdrawal ends them in its own transaction; for those nothing is left to do.
    """
    ended = Voice.objects.exclude(state=VoiceState.DESTROYED).filter(consent__state__in=["expired", "withdrawn"])
    voices = 0
    for consent_id in list(ended.values_list("consent_id", flat=True).distinct()):
        with transaction.atomic():
            services.cancel_jobs_for_consent(consent_id=consent_id, actor=ACTOR)
            voices += len(services.destroy_voices_for_consent(consent_id=consent_id, actor=ACTOR))
    return voices


def _lost_runs() -> int:
    moved = 0
    silent = Job.objects.filter(_older("heartbeat_at", LOST_AFTER), state=JobState.RUNNING)
    for job_id, run, attempts in silent.values_list("id", "run", "attempts"):
        if run is None:
            continue
        if attempts >= MAX_ATTEMPTS:
            moved += jobs.end_run(job_id=job_id, run=run, to=JobState.FAILED, error=WorkerLost())
        else:
            moved += _queue_again(job_id, run)
    return moved


def _queue_again(job_id: UUID, run: UUID) -> bool:
    with transaction.atomic():
        # Skipped when somebody holds the row: a beat, an end, or another recovery. The next round looks again.
        rows = Job.objects.select_for_update(skip_locked=True, of=("self",)).filter(id=job_id, run=run)
        job = rows.filter(_older("heartbeat_at", LOST_AFTER)).first()
        if job is None:
            return False
        move(job, JobState.QUEUED, JOB)
        job.run, job.stage, job.seconds_left = None, "queued again", None
        job.save(update_fields=["state", "run", "stage", "seconds_left"])
        jobs.enqueue(job)
    return True


def _forgotten_jobs() -> int:
    with transaction.atomic():
        waiting = Job.objects.select_for_update(skip_locked=True, of=("self",)).filter(state=JobState.QUEUED)
        forgotten = list(waiting.filter(_older("heartbeat_at", SEND_AGAIN_AFTER)))
        for job in forgotten:
            jobs.enqueue(job)
    return len(forgotten)


def _decided_holds() -> int:
    """A decision whose requests were not resumed, because a process died between the two."""
    held = SpeechRequest.objects.filter(job__state=JobState.HELD, case_ref__isnull=False)
    waiting = [ref for ref in held.values_list("case_ref", flat=True).distinct() if ref is not None]
    decided = Case.objects.filter(id__in=waiting, state=CaseState.DECIDED).values_list("id", flat=True)
    return sum(len(services.resume_held(actor=ACTOR, case_id=case_id)) for case_id in decided)


def _asked_owners() -> int:
    """An owner's word whose requests were not moved, and texts nobody decided on in time: those are refused."""
    late = TextApproval.objects.filter(state=ApprovalState.OPEN, expires_at__lte=now())
    for approval_id in list(late.values_list("id", flat=True)):
        with transaction.atomic():
            found = TextApproval.objects.select_for_update(of=("self",)).get(id=approval_id)
            if found.state == ApprovalState.OPEN:
                approvals.end(found, ApprovalState.LAPSED, ACTOR)
    held = SpeechRequest.objects.filter(job__state=JobState.HELD).exclude(approval=None)
    decided = held.exclude(approval__state=ApprovalState.OPEN).values_list("approval_id", flat=True).distinct()
    return sum(len(services.resume_asked(actor=ACTOR, approval_id=one)) for one in list(decided) if one is not None)


def _old_texts() -> int:
    old = SpeechRequest.objects.filter(job__state=JobState.FAILED, job__finished_at__lt=now() - FAILED_TEXT_KEPT)
    return old.exclude(text="").update(text="")


def _old_points() -> int:
    return JobPoint.objects.filter(at__lt=now() - POINTS_KEPT).delete()[0]


def _traces() -> int:
    """Sends a forgotten search again; one that nobody answered within its recording's life never will be answered."""
    queued = TraceJob.objects.filter(state=TraceState.QUEUED)
    ended = queued.filter(created_at__lt=now() - tracing.KEPT).update(
        state=TraceState.FAILED,
        error_code="not_answered",
        error_detail="The search did not start in time.",
        finished_at=now(),
    )
    with transaction.atomic():
        rows = queued.select_for_update(skip_locked=True, of=("self",))
        forgotten = list(rows.filter(_older("sent_at", SEND_AGAIN_AFTER)))
        for job in forgotten:
            tracing.send(job)
    return ended + len(forgotten) + trace_rules.forget_callers()
