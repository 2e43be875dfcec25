"""Training a voice, as a worker does it: the gate, the recordings, the engine, the vault. Runs in a worker only.

Everything that is made of the recordings stays in memory or in custody: checkpoints are sealed under a recording's own
key and deadline, so a training cannot outlive the speech it learns from.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction

from cloning import gate, jobs, mounted
from cloning.engine.errors import EngineError
from cloning.engine.versions import STARTER
from cloning.models import Job, Voice
from cloning.selectors import consent_stands, custody_of, digest_of, training_set
from cloning.states import VOICE, VoiceState, move
from cloning.worker import Heart, Reporter, Run, RunLost
from consent.models import Consent, Recording
from foundation.audit import log
from foundation.clock import now
from foundation.errors import VouchError
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from retention import custody
from retention.models import CustodyItem, CustodyState

if TYPE_CHECKING:
    from cloning.engine.training.loop import Progress
    from cloning.engine.training.prepare import Recording as Speech
    from cloning.engine.training.recipe import TrainingRecipe

ACTOR: Final = Actor.system("cloning.train")
CHECKPOINT: Final = "training_checkpoint"
SEED: Final = 20250901
"""One fixed seed: the same recordings give the same voice on the same machine, so a training can be re-run."""
STAGES: Final = {"prepare": (0.0, 0.1), "semantic": (0.1, 0.4), "acoustic": (0.4, 1.0)}
"""Which part of the progress bar each of the engine's stages fills, about as their times divide."""
TINY_STEPS: Final = 16
TINY_RATE: Final = 5e-3
"""Just enough for a tiny network from random weights to make sound instead of the silence that is refused (measured: 4
steps at 1e-3 are silent, 12 at 5e-3 are not)."""
STOPPED: Final = "stopped"
"""The engine's word for having been told to stop."""
STALE: Final = "bad_checkpoint"
"""The engine's word for a checkpoint of another training: other recordings, another recipe, another base."""
STAND_EVERY: Final = 10
"""``should_stop`` is asked every step; the consent is looked up in the database every so many of them."""


class UnknownRecipe(VouchError):
    """The configured training recipe does not exist."""

    code, status = "unknown_recipe", 500


def train(run: Run, heart: Heart) -> None:
    """Trains and seals the job's voice. Raises what the gate, custody, the vault and the engine refuse, and RunLost."""
    job = Job.objects.select_related("voice", "checkpoint").get(id=run.job_id)
    voice = job.voice
    recordings = training_set(voice)
    digest = digest_of(recordings)
    gate.check_training(actor=ACTOR, voice=voice, digest=digest)
    try:
        data = _run_engine(run, heart, job, voice, recordings)
    except EngineError as error:
        if error.code == STOPPED:
            # Stopped because the consent does not stand any more: the gate names the reason, and logs it.
            gate.check_training(actor=ACTOR, voice=voice, digest=digest)
        raise
    token = gate.clear_training(actor=ACTOR, voice=voice, digest=digest)
    _publish(run, voice, token, digest, data)
    if settings.VOUCH_PURGE_AFTER_TRAINING:
        _purge(recordings)


def _run_engine(run: Run, heart: Heart, job: Job, voice: Voice, recordings: list[Recording]) -> bytes:
    report = Reporter(run)
    report("reading recordings", 0.0)

    def progress(step: Progress) -> None:
        begin, end = STAGES.get(step.stage, (0.0, 1.0))
        share = begin + (end - begin) * step.step / max(step.steps, 1)
        report(step.stage, share, step.seconds_left, None if step.stage == "prepare" else step.loss)

    train_from = functools.partial(
        _trainer(voice.version),
        _read(recordings),
        language=voice.language,
        recipe=_recipe(settings.VOUCH_TRAINING_RECIPE, settings.VOUCH_TRAINING_THREADS),
        seed=SEED,
        progress=progress,
        checkpoint=_Checkpoints(run, voice, recordings),
        should_stop=_Watch(voice, heart),
    )
    try:
        return train_from(resume=_resume(job))
    except EngineError as error:
        if error.code != STALE or job.checkpoint is None:
            raise
        # Another release began this training, with another recipe or base: nothing is lost but the time.
        return train_from(resume=None)


def _trainer(version: str) -> Callable[..., bytes]:
    """What trains a voice of this version: on the shipped base, or beside a mounted one. Raises VersionNotOffered,
    BaseIncomplete.

    ``tiny`` recipes are for tests: from random weights, so they need no shipped base.
    """
    if version != STARTER:
        return functools.partial(mounted.deployed(version).train, version)
    from cloning.engine.config import tiny
    from cloning.engine.training.base import random_base, starter_base
    from cloning.engine.training.voice import train_voice

    base = random_base(tiny(), SEED) if settings.VOUCH_TRAINING_RECIPE == "tiny" else starter_base()
    return functools.partial(train_voice, base=base)


def _recipe(name: str, threads: int) -> TrainingRecipe:
    """The recipe of this name. Raises UnknownRecipe. ``tiny`` is for tests: a few steps on the smallest network."""
    from cloning.engine.training.recipe import TrainingRecipe

    if name == "tiny":
        recipe = TrainingRecipe.tiny()
        recipe = replace(recipe, acoustic=replace(recipe.acoustic, steps=TINY_STEPS, learning_rate=TINY_RATE))
        return replace(recipe, threads=threads)
    presets = {"demo": TrainingRecipe.demo, "thorough": TrainingRecipe.thorough}
    if name not in presets:
        raise UnknownRecipe(f"VOUCH_TRAINING_RECIPE must be one of demo, thorough, tiny; it is '{name}'.")
    return replace(presets[name](), threads=threads)


def _read(recordings: list[Recording]) -> list[Speech]:
    """The recordings as arrays. Raises PastDeadline, KeyDestroyed, and what decoding refuses."""
    from cloning.engine.training.prepare import Recording as Speech
    from consent.decoding import decode

    speech = []
    for recording in recordings:
        wave, rate = decode(custody.read(item=custody_of(recording), actor=ACTOR))
        speech.append(Speech(wave, rate, recording.transcript or None))
    return speech


class _Watch:
    """Tells the engine when to stop: the run was taken away, or the consent no longer stands."""

    def __init__(self, voice: Voice, heart: Heart) -> None:
        self._voice_id, self._heart = voice.id, heart
        self._asked = 0

    def __call__(self) -> bool:
        self._asked += 1
        if self._heart.lost.is_set():
            raise RunLost(str(self._heart.run.job_id))
        return self._asked % STAND_EVERY == 0 and not consent_stands(self._voice_id)


class _Checkpoints:
    """Seals a checkpoint beside the recording that must go first, and lets the previous one go."""

    def __init__(self, run: Run, voice: Voice, recordings: list[Recording]) -> None:
        self._run, self._consent_id = run, voice.consent_id
        self._parent = min((custody_of(r) for r in recordings), key=lambda item: item.deadline)

    def __call__(self, data: bytes) -> None:
        """Raises RunLost, PastDeadline."""
        with transaction.atomic():
            Consent.objects.select_for_update(of=("self",)).get(id=self._consent_id)
            self._run.write()
            old = CustodyItem.objects.filter(job_checkpoints__id=self._run.job_id).first()
            new = custody.derive(parent=self._parent, data=data, kind=CHECKPOINT, actor=ACTOR)
            self._run.write(checkpoint=new)
            if old is not None:
                custody.destroy(item=old, reason="superseded", actor=ACTOR)


def _resume(job: Job) -> bytes | None:
    if job.checkpoint is None or job.checkpoint.state != CustodyState.HELD:
        return None
    return custody.read(item=job.checkpoint, actor=ACTOR)


def _publish(run: Run, voice: Voice, token: str, digest: str, data: bytes) -> None:
    """Seals the weights, then makes the voice ready in one transaction under the consent's lock. Raises RunLost.

    Sealing spends the clearance and commits that by itself, so it comes first; weights no voice names are unreadable.
    """
    weights = vault.store_voice(
        clearance=token, key=voice.key, owner_ref=str(voice.id), data=data, digest=digest, actor=ACTOR
    )
    with transaction.atomic():
        Consent.objects.select_for_update(of=("self",)).get(id=voice.consent_id)
        voice = Voice.objects.select_for_update(of=("self",)).get(id=voice.id)
        _, job = jobs.lock_job(run.job_id)
        if job.run != run.token:
            raise RunLost(str(run.job_id))
        checkpoint, job.checkpoint = job.checkpoint, None
        jobs.succeed(job)
        move(voice, VoiceState.READY, VOICE)
        voice.weights, voice.ready_at = weights, now()
        voice.save(update_fields=["state", "weights", "ready_at"])
        log.record(
            kind="voice.ready",
            subject=f"voice:{voice.id}",
            actor=ACTOR,
            data={
                "consent": str(voice.consent_id),
                "job": str(job.id),
                "training_digest": digest,
                "bytes": len(data),
                "version": voice.version,
            },
            rehearsal=voice.rehearsal,
        )
        if checkpoint is not None:
            custody.destroy(item=checkpoint, reason="training_finished", actor=ACTOR)


def _purge(recordings: list[Recording]) -> None:
    """The purpose has ended, and with it the reason to hold the recordings."""
    for recording in recordings:
        custody.destroy(item=custody_of(recording), reason="purpose_ended", actor=ACTOR)
