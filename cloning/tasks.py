"""What the workers run. Tasks take ids, are safe to run twice, and turn every failure into a job that says why.

A database or broker that goes away in the middle ends the task without a word: the job's heartbeat falls silent and
`recover_jobs` gives the job to another worker.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from celery import shared_task
from celery.signals import celeryd_after_setup, worker_process_init
from django.db.utils import InterfaceError, OperationalError

from cloning import jobs, preload
from cloning.errors import ConsentWithdrawn, GateRefused, ListenerLeft
from cloning.states import JobState
from cloning.worker import Heart, Run, RunLost, claim
from foundation.errors import VouchError

logger = logging.getLogger("cloning.tasks")
QUEUE: Final = "gpu"
_speaks = threading.Event()


@celeryd_after_setup.connect
def _know_the_queues(sender: str, instance: Any, **kwargs: Any) -> None:
    if QUEUE in instance.app.amqp.queues.consume_from:
        _speaks.set()


@worker_process_init.connect
def _read_ahead(**kwargs: Any) -> None:
    """Only a worker that speaks; after its fork."""
    if _speaks.is_set():
        preload.begin()


class WorkFailed(VouchError):
    """The work could not be done."""

    code, status = "internal_error", 500


@shared_task(name="cloning.train", acks_late=True)
def train(job_id: str) -> None:
    """Trains a voice."""
    preload.wait()
    from cloning import training

    _run(UUID(job_id), training.train)


@shared_task(name="cloning.speak", acks_late=True)
def speak(job_id: str) -> None:
    """Speaks a text, whole or as a stream."""
    preload.wait()
    from cloning import speaking, streaming
    from cloning.batches import advancing as batches

    _run(UUID(job_id), lambda run, _: streaming.stream(run) if streaming.is_asked(run) else speaking.speak(run))
    batches.went_on(UUID(job_id))


@shared_task(name="cloning.mask", acks_late=True)
def mask(job_id: str) -> None:
    """Seeks a mask of a voice."""
    from cloning.masks import making

    _run(UUID(job_id), making.make)


@shared_task(name="cloning.instant", acks_late=True)
def instant(job_id: str) -> None:
    """Makes a voice that speaks at once."""
    from cloning import instant

    _run(UUID(job_id), instant.make)


@shared_task(name="cloning.trace", acks_late=True)
def trace(trace_id: str) -> None:
    """Searches a found recording for marks."""
    from cloning import tracing

    tracing.search(UUID(trace_id))


@shared_task(name="cloning.recover_jobs", acks_late=True)
def recover_jobs() -> int:
    """Finds jobs whose worker or message was lost. Returns how many it moved or sent again."""
    from cloning import recovery

    return recovery.recover()


@shared_task(name="cloning.end_outputs", acks_late=True)
def end_outputs() -> int:
    """Ends the sound of outputs whose time is over. Returns how many."""
    from cloning import keeping

    return keeping.end_outputs()


def _run(job_id: UUID, work: Callable[[Run, Heart], None]) -> None:
    """One run of a job, whatever happens: done, ended with a named reason, or left to the recovery."""
    run = claim(job_id)
    if run is None:
        return
    try:
        with Heart(run) as heart:
            work(run, heart)
    except RunLost:
        logger.info("job.run_lost job=%s", job_id)
    except (OperationalError, InterfaceError):
        raise
    except ListenerLeft as left:
        jobs.end_run(job_id=job_id, run=run.token, to=JobState.CANCELLED, error=left)
    except GateRefused as refusal:
        jobs.end_run(job_id=job_id, run=run.token, to=_end_of(refusal), error=refusal)
    except Exception as error:
        named = _named(error)
        if named.code == WorkFailed.code:
            # The traceback names the place; messages may quote what was to be said, so they stay out of the logs.
            logger.error("job.failed job=%s error=%s", job_id, type(error).__name__, exc_info=_without_message(error))
        jobs.end_run(job_id=job_id, run=run.token, to=JobState.FAILED, error=named)


def _end_of(refusal: GateRefused) -> JobState:
    return JobState.CANCELLED if isinstance(refusal, ConsentWithdrawn) else JobState.REFUSED


def _named(error: Exception) -> VouchError:
    """Every failure as code and sentence: the rooms' own errors, the engine's, the seal's, and the unforeseen."""
    from cloning.engine.errors import EngineError
    from watermark.seal import SealError

    match error:
        case VouchError():
            return error
        case EngineError():
            return WorkFailed(error.message, code=error.code)
        case SealError():
            return WorkFailed(error.message, code="seal_" + error.step.replace(" ", "_"))
        case MemoryError():
            return WorkFailed("The worker ran out of memory.", code="out_of_memory")
        case _:
            return WorkFailed("Something unforeseen happened; it was logged.")


def _without_message(error: Exception) -> BaseException:
    return RuntimeError(type(error).__name__).with_traceback(error.__traceback__)
