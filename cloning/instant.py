"""A voice at once: the base with the style of one approved recording, while the fine-tune waits or runs.

It is a voice like others: made against a clearance to train from the recordings that the gate approved, sealed under
the voice's own key, spoken through the same gate, mark and log, and gone with the consent. Of the recording it keeps
what the engine calls its style, 256 numbers and no sound, so the 72 hours hold. It speaks for the owner alone, and
every output says that it was instant. When the trained voice is ready, that one speaks; the instant one stays beside it
for a comparison until the voice is destroyed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction

from cloning import errors, gate, jobs
from cloning.engine.versions import STARTER
from cloning.models import Job, JobKind, SpeechRequest, Voice
from cloning.selectors import custody_of, digest_of, training_set
from cloning.states import OPEN_JOB_STATES, VoiceState
from cloning.worker import Heart, Reporter, Run, RunLost
from consent.models import Consent, Recording
from foundation.audit import log
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from retention import custody

if TYPE_CHECKING:
    from uuid import UUID

    import numpy as np

    from foundation.vault.models import SealedObject

ACTOR: Final = Actor.system("cloning.instant")
LONGEST_SECONDS: Final = 30.0
"""Of the reference: the engine's own bound."""
BRIDGES: Final = (VoiceState.TRAINING, VoiceState.FAILED)


def is_offered(voice: Voice) -> bool:
    """Is there a wait that an instant voice would bridge?"""
    return voice.version == STARTER and voice.state in BRIDGES


def request(*, actor: Actor, voice_id: UUID) -> Job:
    """The queued job that makes the instant voice of a voice of the actor's own whose training waits, runs or failed.

    Raises NotFound, GateRefused, InstantNotOffered, InstantAlready.
    """
    voice = Voice.objects.filter(id=voice_id, owner_id=actor.person_id).first()
    if voice is None or actor.person_id is None:
        raise NotFound
    with transaction.atomic():
        judgement = gate.judge_training(
            consent_id=voice.consent_id, owner_id=actor.person_id, language=voice.language, voice=voice
        )
        voice = Voice.objects.select_for_update(of=("self",)).get(id=voice_id)
        if judgement.refusal is None:
            return _ask(actor, voice)
        gate.log_refusal(actor, judgement, purpose="train")
    raise judgement.refusal


def _ask(actor: Actor, voice: Voice) -> Job:
    if not is_offered(voice):
        raise errors.InstantNotOffered
    making = Job.objects.filter(voice=voice, kind=JobKind.INSTANT, state__in=OPEN_JOB_STATES)
    if voice.instant_id is not None or making.exists():
        raise errors.InstantAlready
    job = Job.objects.create(kind=JobKind.INSTANT, voice=voice, requester_id=voice.owner_id, stage="queued")
    log.record(
        kind="voice.instant_requested",
        subject=f"voice:{voice.id}",
        actor=actor,
        data={"consent": str(voice.consent_id), "job": str(job.id)},
        rehearsal=voice.rehearsal,
    )
    jobs.enqueue(job)
    return job


def make(run: Run, heart: Heart) -> None:
    """Makes and seals the job's instant voice. Raises what gate, custody, vault and engine refuse, and RunLost."""
    voice = Job.objects.select_related("voice").get(id=run.job_id).voice
    report = Reporter(run)
    report("reading recordings", 0.1)
    recordings = training_set(voice)
    digest = digest_of(recordings)
    gate.check_training(actor=ACTOR, voice=voice, digest=digest)
    data = _made(voice, *_reference(recordings))
    report("sealing", 0.9)
    token = gate.clear_training(actor=ACTOR, voice=voice, digest=digest)
    sealed = vault.store_voice(
        clearance=token, key=voice.key, owner_ref=str(voice.id), data=data, digest=digest, actor=ACTOR
    )
    with transaction.atomic():
        Consent.objects.select_for_update(of=("self",)).get(id=voice.consent_id)
        voice = Voice.objects.select_for_update(of=("self",)).get(id=voice.id)
        _, job = jobs.lock_job(run.job_id)
        if job.run != run.token:
            raise RunLost(str(run.job_id))
        jobs.succeed(job)
        voice.instant = sealed
        voice.save(update_fields=["instant"])
        log.record(
            kind="voice.instant_ready",
            subject=f"voice:{voice.id}",
            actor=ACTOR,
            data={
                "consent": str(voice.consent_id),
                "job": str(job.id),
                "training_digest": digest,
                "bytes": len(data),
            },
            rehearsal=voice.rehearsal,
        )


def _reference(recordings: list[Recording]) -> tuple[np.ndarray, int]:
    """The longest recording, as far as the engine takes one. Raises PastDeadline, KeyDestroyed, what decoding does."""
    from consent.decoding import decode

    sounds = [decode(custody.read(item=custody_of(one), actor=ACTOR)) for one in recordings]
    if not sounds:
        raise errors.NoRecordings
    wave, rate = max(sounds, key=lambda sound: len(sound[0]) / sound[1])
    return wave[: int(LONGEST_SECONDS * rate)], rate


def _made(voice: Voice, wave: np.ndarray, rate: int) -> bytes:
    import torch

    from cloning.engine import voicefile
    from cloning.engine.training.zero_shot import instant_voice

    torch.set_num_threads(settings.VOUCH_TRAINING_THREADS)
    return voicefile.pack(instant_voice(None, wave, rate, None, voice.language))


def chosen(request: SpeechRequest) -> SealedObject | None:
    """The weights that speak a request, right after the gate's yes: the trained ones where they are ready, unless the
    instant voice was asked for. What it came to is kept with the request, for whatever is said of the output."""
    voice = Voice.objects.select_related("weights", "instant").get(id=request.voice_id)
    if voice.state == VoiceState.READY and not request.instant:
        return voice.weights
    if not request.instant:
        request.instant = True
        SpeechRequest.objects.filter(id=request.id).update(instant=True)
    return voice.instant
