"""Writes: statements of large months, which a worker computes while the web process goes on.

A month of up to ``AT_ONCE`` uses takes a fraction of a second and is made in the request. A larger one is a job: its
row says how far it is; the task takes its id and may run twice: who takes it writes when, and a job without a sign of
life is taken again.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from cloning.models import UsageAccount
from foundation.clock import now
from foundation.errors import NotAllowed, NotFound, VouchError
from foundation.identity.actors import Actor
from marketplace.sending import after_commit
from marketplace.statements import making
from marketplace.statements.models import JobState, Statement, StatementJob

AT_ONCE: Final = 20_000
"""Uses of a month that are priced while somebody waits."""
LEASE: Final = timedelta(minutes=2)
"""How long a job may give no sign of life before another worker takes it."""
TASK: Final = "marketplace.make_statement"


def ask(*, actor: Actor, period: str, payout_currency: str = "") -> Statement | StatementJob:
    """The statement of the actor's own month (as ``making.make``), or the job that makes it when the month is large.

    Asked again while a job is under way, it is the same job. Raises as ``making.make``.
    """
    actor.require_scope("market:write")
    if actor.person_id is None:
        raise NotAllowed("Only a person has statements.")
    account = UsageAccount.objects.filter(owner_id=actor.person_id, period=period).first()
    if account is None or account.uses <= AT_ONCE:
        return making.make(actor=actor, period=period, payout_currency=payout_currency)
    known = making.known(owner_id=actor.person_id, period=period, payout_currency=payout_currency)
    if known is not None:
        return known
    wanted = {"owner_id": actor.person_id, "period": period, "currency": payout_currency}
    under_way = StatementJob.objects.filter(**wanted, state__in=[JobState.QUEUED, JobState.RUNNING])
    with transaction.atomic():
        try:
            with transaction.atomic():
                job = StatementJob.objects.create(**wanted, uses=account.uses)
        except IntegrityError:
            return under_way.latest("made_at")
        after_commit(TASK, str(job.id))
    return job


def jobs_of(*, actor: Actor) -> QuerySet[StatementJob]:
    """The actor's own, newest first."""
    return StatementJob.objects.filter(owner_id=actor.person_id).order_by("-made_at")


def job_of(*, actor: Actor, job_id: UUID) -> StatementJob:
    """One of the actor's own. Raises NotFound."""
    found = jobs_of(actor=actor).filter(id=job_id).first()
    if found is None:
        raise NotFound
    return found


def run(*, job_id: UUID) -> bool:
    """Makes the statement of a job that nobody is at; whether it did. Safe to run twice."""
    free = Q(state=JobState.QUEUED) | Q(state=JobState.RUNNING, beat_at__lt=now() - LEASE)
    if not StatementJob.objects.filter(free, id=job_id).update(state=JobState.RUNNING, beat_at=now(), done=0):
        return False
    job = StatementJob.objects.select_related("owner").get(id=job_id)
    running = StatementJob.objects.filter(id=job_id, state=JobState.RUNNING)

    def progress(done: int) -> None:
        running.update(done=done, beat_at=now())

    try:
        made = making.make_for(
            actor=Actor.of(job.owner),
            owner_id=job.owner_id,
            period=job.period,
            payout_currency=job.currency,
            progress=progress,
        )
    except VouchError as error:
        running.update(state=JobState.FAILED, error=error.code[:60])
        return True
    except Exception:
        running.update(state=JobState.FAILED, error="internal")
        raise
    running.update(state=JobState.DONE, statement=made, done=made.uses, uses=made.uses)
    return True


def unfinished() -> list[UUID]:
    """Jobs that a lost broker or worker has left lying."""
    lost = Q(state=JobState.QUEUED, made_at__lt=now() - LEASE) | Q(state=JobState.RUNNING, beat_at__lt=now() - LEASE)
    return list(StatementJob.objects.filter(lost).order_by("made_at").values_list("id", flat=True)[:100])
