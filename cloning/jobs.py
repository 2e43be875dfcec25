"""What a job holds and how it moves: the queue, the reservation under a licence, the bad ends.

Everything here is called inside a transaction that already holds the consent's lock (see `gate` for the lock order),
except ``end_run`` and ``enqueue``, which say so themselves.
"""

import logging
import math
from typing import Final
from uuid import UUID

from celery import Task
from django.db import transaction
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerDown
from redis.exceptions import ConnectionError as RedisDown

from cloning import membership, streams, texts
from cloning.masks import ending as masks
from cloning.models import Job, JobKind, SpeechRequest
from cloning.states import JOB, OPEN_JOB_STATES, VOICE, JobState, VoiceState, move
from consent import licences
from consent.models import Consent
from foundation.audit import log
from foundation.clock import now
from foundation.errors import NotFound, VouchError
from foundation.identity.actors import Actor

logger = logging.getLogger("cloning.jobs")

QUEUE = "gpu"
BESIDE = "cpu"
"""Where instant voices are made and speak."""
FAILED: Final[dict[str, str]] = {
    JobKind.TRAIN: "voice.failed",
    JobKind.SPEAK: "output.failed",
    JobKind.MASK: "mask.failed",
    JobKind.INSTANT: "voice.instant_failed",
}
"""The leaf of a bad end, by the kind of job."""


def enqueue(job: Job) -> None:
    """Hands a queued job to the workers after commit. Sending twice does no harm: the second worker finds it taken.

    ``heartbeat_at`` of a queued job says when it was last handed over.
    """
    Job.objects.filter(id=job.id).update(heartbeat_at=Now())
    name, job_id, queue = f"cloning.{job.kind}", str(job.id), _queue(job)
    transaction.on_commit(lambda: _send(name, job_id, queue))


def _queue(job: Job) -> str:
    """What an instant voice is for must not wait behind the very training that it bridges."""
    waits = job.kind == JobKind.SPEAK and job.voice.state != VoiceState.READY
    return BESIDE if waits or job.kind == JobKind.INSTANT else QUEUE


def _send(name: str, job_id: str, queue: str) -> None:
    from cloning import tasks

    work = {"cloning.train": tasks.train, "cloning.speak": tasks.speak, "cloning.mask": tasks.mask}
    work["cloning.instant"] = tasks.instant
    deliver(work[name], job_id, queue)


def deliver(task: Task, argument: str, queue: str) -> None:
    """Sends a task with one id.

    A broker that is away is no error of the caller's: what to do stands in the database, `recovery` sends it again.
    """
    try:
        task.apply_async(args=[argument], queue=queue)
    except (BrokerDown, RedisDown) as error:
        logger.warning("broker.down task=%s id=%s error=%s", task.name, argument, type(error).__name__)


def end_run(*, job_id: UUID, run: UUID, to: JobState, error: VouchError) -> bool:
    """A worker's (or the recovery's) word that this run ended badly. False when the run is no longer the job's.

    Releases the reservation, keeps the text of a failed job only (it may be tried again), and writes the leaf.
    """
    consent_id = Job.objects.values_list("voice__consent_id", flat=True).get(id=job_id)
    with transaction.atomic():
        Consent.objects.select_for_update(of=("self",)).get(id=consent_id)
        request, job = lock_job(job_id)
        if job.run != run:
            return False
        voice = job.voice
        end(request, job, to, error)
        if job.kind == JobKind.TRAIN and voice.state == VoiceState.TRAINING:
            move(voice, VoiceState.FAILED, VOICE)
            voice.save(update_fields=["state"])
        log.record(
            kind=FAILED[job.kind],
            subject=f"job:{job.id}",
            actor=Actor.system("worker"),
            data={"voice": str(voice.id), "code": job.error_code},
            rehearsal=voice.rehearsal,
        )
    return True


def end(request: SpeechRequest | None, job: Job, to: JobState, error: VouchError) -> None:
    """Moves a locked job to a bad end and gives back what its request held."""
    if request is not None:
        release(request)
        # What was being streamed has no listener any more: asking again is another stream, with the text sent again.
        if streams.broken(request, error.code) or to != JobState.FAILED:
            forget_text(request)
    masks.failed(job)
    move(job, to, JOB)
    job.run, job.seconds_left, job.finished_at = None, None, now()
    job.error_code, job.error_detail = error.code[:60], error.detail[:500]
    job.save()


def cancel(*, job_id: UUID, error: VouchError, actor: Actor) -> bool:
    """Ends an open job as cancelled, with ``error``'s code, and writes the leaf. False when it was over already.

    A worker in the middle of it finds its run gone and can publish nothing.
    """
    request, job = lock_job(job_id)
    if job.state not in OPEN_JOB_STATES:
        return False
    end(request, job, JobState.CANCELLED, error)
    log.record(
        kind="output.failed",
        subject=f"job:{job.id}",
        actor=actor,
        data={"voice": str(job.voice_id), "code": error.code},
        rehearsal=job.voice.rehearsal,
    )
    return True


def forget_text(request: SpeechRequest) -> None:
    """Empties the text; its digest stays."""
    request.text = ""
    request.save(update_fields=["text"])


def reserve(request: SpeechRequest) -> None:
    """Sets the text's characters aside under the licence, or of the requester's own quota, once.

    Raises what `consent.licences.reserve` and `membership.reserve` raise.
    """
    if request.licence_id is None and not request.quota_reserved:
        request.quota = membership.reserve(person_id=request.requester_id, characters=request.characters)
        request.quota_reserved = request.characters if request.quota else 0
        request.save(update_fields=["quota", "quota_reserved"])
    if request.licence_id is None or request.reserved:
        return
    milliseconds = texts.longest_ms(request.text)
    licences.reserve(licence_id=request.licence_id, characters=request.characters, milliseconds=milliseconds, outputs=1)
    request.reserved, request.reserved_ms = request.characters, milliseconds
    request.save(update_fields=["reserved", "reserved_ms"])


def release(request: SpeechRequest) -> None:
    """Gives a reservation back, once."""
    _settle_quota(request, used=0)
    if request.licence_id is None or not request.reserved:
        return
    licences.release(licence_id=request.licence_id, characters=request.reserved, **_sound(request))
    request.reserved, request.reserved_ms = 0, 0
    request.save(update_fields=["reserved", "reserved_ms"])


def settle(request: SpeechRequest, *, seconds: float) -> None:
    """Turns the reservation of a locked request into use, with the output of so many ``seconds`` of speech, in the
    caller's transaction. Raises LicenceCapReached when it came out longer than the licence has room for."""
    _settle_quota(request, used=request.quota_reserved)
    if request.licence_id is None:
        return
    licences.settle(
        licence_id=request.licence_id,
        characters=request.reserved,
        milliseconds=math.ceil(seconds * 1000),
        **_sound(request),
    )
    request.reserved, request.reserved_ms = 0, 0
    request.save(update_fields=["reserved", "reserved_ms"])


def _settle_quota(request: SpeechRequest, *, used: int) -> None:
    if request.quota_id is not None and request.quota_reserved:
        membership.settle(quota_id=request.quota_id, reserved=request.quota_reserved, used=used)
        request.quota_reserved = 0
        request.save(update_fields=["quota_reserved"])


def _sound(request: SpeechRequest) -> dict[str, int]:
    """What was set aside besides characters; nothing by a request from before sound was counted."""
    return {"reserved_ms": request.reserved_ms, "outputs": 1 if request.reserved_ms else 0}


def lock_request(request_id: UUID) -> tuple[SpeechRequest, Job]:
    """The request and its job, locked. Raises NotFound."""
    request, job = lock_job(SpeechRequest.objects.values_list("job_id", flat=True).get(id=request_id))
    if request is None:
        raise NotFound
    return request, job


def lock_job(job_id: UUID) -> tuple[SpeechRequest | None, Job]:
    """The job with its voice, and the request when it speaks; both rows locked."""
    job = Job.objects.select_for_update(of=("self",)).select_related("voice").get(id=job_id)
    return SpeechRequest.objects.select_for_update(of=("self",)).filter(job=job).first(), job


def succeed(job: Job) -> None:
    """Moves a locked job to its good end."""
    move(job, JobState.SUCCEEDED, JOB)
    job.run, job.progress, job.seconds_left, job.stage, job.finished_at = None, 1.0, 0.0, "done", now()
    job.save()
