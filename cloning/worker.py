"""One run of one job: taking it, showing that it lives, reporting progress. No engine code here, and no decisions.

Heartbeats use the database's clock, not the platform's: they measure whether a process lives, on hosts whose clocks may
differ, and a rehearsal that moves its clock by days must not declare every worker dead.
"""

import math
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, Self
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now
from django.db.utils import DatabaseError

from cloning.models import Job, JobPoint
from cloning.states import JOB, JobState, move

BEAT_SECONDS: Final = 3.0
"""How often a running job says that it lives."""
LOST_AFTER: Final = timedelta(seconds=30)
"""A running job that has been silent this long has lost its worker. Ten beats: a busy machine may miss a few."""
PROGRESS_SECONDS: Final = 1.0
"""Progress reaches the database at most this often."""


class RunLost(Exception):
    """This run is no longer the job's: it was cancelled, or taken for dead and given to another worker."""


@dataclass(frozen=True, slots=True)
class Run:
    """A job and the token every write of this worker must name."""

    job_id: UUID
    token: UUID

    def write(self, **fields: object) -> None:
        """Updates the job if this run still owns it. Raises RunLost."""
        own = Job.objects.filter(id=self.job_id, run=self.token, state=JobState.RUNNING)
        if not own.update(heartbeat_at=Now(), **fields):
            raise RunLost(str(self.job_id))


def claim(job_id: UUID) -> Run | None:
    """Takes a queued job. None when there is nothing to take: another worker has it, or it ended."""
    token = uuid.uuid4()
    with transaction.atomic():
        job = Job.objects.select_for_update(of=("self",)).filter(id=job_id).first()
        if job is None or job.state != JobState.QUEUED:
            return None
        move(job, JobState.RUNNING, JOB)
        job.run, job.attempts, job.stage = token, job.attempts + 1, "starting"
        job.heartbeat_at = Now()
        job.save(update_fields=["state", "run", "attempts", "stage", "heartbeat_at"])
    return Run(job_id, token)


class Heart:
    """Beats in a thread of its own while the worker computes, and notices when the run was taken away (``lost``)."""

    def __init__(self, run: Run, *, every: float = BEAT_SECONDS) -> None:
        self.run = run
        self.lost = threading.Event()
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heart-{run.job_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        try:
            while not self._stop.wait(self._every):
                try:
                    self.run.write()
                except RunLost:
                    self.lost.set()
                    return
                except DatabaseError:
                    # The database is away: the next beat tries on a fresh connection. If it stays away, the silence
                    # itself tells the recovery what it needs to know.
                    connection.close()
        finally:
            connection.close()


class Reporter:
    """Writes stage, progress (0 to 1) and the seconds left, at most once a second; a new stage at once."""

    def __init__(self, run: Run, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        self._stage = ""
        self._next = 0.0

    def __call__(
        self, stage: str, progress: float, seconds_left: float | None = None, loss: float | None = None
    ) -> None:
        """``loss`` also makes a point of the training's curve. Raises RunLost."""
        moment = self._clock()
        if stage == self._stage and moment < self._next:
            return
        self._stage, self._next = stage, moment + PROGRESS_SECONDS
        stage, progress = stage[:40], min(max(progress, 0.0), 1.0)
        self._run.write(stage=stage, progress=progress, seconds_left=seconds_left)
        if loss is not None and math.isfinite(loss):
            JobPoint.objects.create(
                job_id=self._run.job_id, stage=stage, progress=progress, seconds_left=seconds_left, loss=loss
            )
