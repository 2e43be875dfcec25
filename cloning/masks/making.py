"""Seeking a mask, as a worker does it: the gate, the vault, the engine, the verifier. Runs in a worker only.

The voice says our sentences as it is and through one disturbance after another, in this process's memory. The first one
by which the verifier takes it for somebody else, also with the shift undone, and that is near to nobody who is
protected or enrolled, becomes the mask. How near the nearest was is kept as a bound; who that is, nobody learns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction

from cloning import errors, gate, jobs
from cloning import texts as rules
from cloning.engine.errors import EngineError
from cloning.masks import sentences
from cloning.masks.disturbance import ROUNDS, Disturbance, candidates
from cloning.masks.ending import ACTOR
from cloning.masks.models import VoiceMask
from cloning.states import MASK, MaskState, move
from cloning.worker import Heart, Reporter, Run, RunLost
from consent.models import Consent
from foundation.audit import log
from foundation.clock import now
from foundation.vault import services as vault
from safety import protected

if TYPE_CHECKING:
    import numpy as np

    from cloning.engine.disguise import Move
    from cloning.engine.shift import Wave
    from cloning.engine.voicefile import Voice as EngineVoice
    from cloning.models import Voice

LIMIT: Final = protected.SAME_VOICE
"""Cosine from which the platform takes two voices for one."""
MARGIN: Final = 0.03
"""A mask keeps so much further from everybody else than what an output is held back for: texts differ."""
STEP: Final = 0.05
LEAST_BOUND: Final = 0.5
"""The bound that is told is a multiple of STEP and never below this: nobody is to be found by many masks."""
SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Found:
    """A mask that was measured. ``likeness``: the nearest to the person; ``others_below``: nobody else is so near."""

    disturbance: Disturbance
    style: Move
    likeness: float
    others_below: float


@dataclass(frozen=True, slots=True)
class Plain:
    """The person's voice without a mask: sound of two texts at ``rate``, and what the verifier makes of them."""

    known: Wave
    asked: Wave
    rate: int
    embeddings: tuple[np.ndarray, ...]


def make(run: Run, heart: Heart) -> None:
    """Makes the job's mask. Raises what the gate, the vault and the engine refuse, MaskNotFound, MaskUnmeasured and
    RunLost."""
    from cloning.engine import bases, voicefile

    mask = VoiceMask.objects.select_related("voice", "voice__weights").get(job_id=run.job_id)
    report = Reporter(run)
    report("opening the voice", 0.0)
    token, digest = gate.clear_mask(actor=ACTOR, mask=mask), rules.digest(sentences.whole(mask.voice.language))
    if mask.voice.weights is None:
        raise errors.VoiceNotReady
    data = vault.open_voice(clearance=token, sealed_object=mask.voice.weights, digest=digest, actor=ACTOR)
    found = seek(voicefile.unpack(data, base=bases.shipped), mask.voice, mask.seed, report)
    del data
    _publish(run, mask, found)


def seek(voice: EngineVoice, record: Voice, seed: int, report: Reporter) -> Found:
    """The first candidate that will do. Raises MaskNotFound, MaskUnmeasured."""
    import numpy as np
    import torch

    from cloning.engine.disguise import away, disguised
    from cloning.engine.shift import shifted
    from consent.biometrics import speaker
    from consent.biometrics.audio import AudioError

    torch.set_num_threads(settings.VOUCH_TRAINING_THREADS)
    language, most = record.language, 4 * ROUNDS + 1
    report("hearing the voice as it is", 1 / most / 2)
    known, rate = _said(voice, sentences.KNOWN[language], language)
    asked, _ = _said(voice, sentences.ASKED[language], language)
    try:
        plain = Plain(known, asked, rate, tuple(speaker.embed(one, rate) for one in (known, asked)))
    except AudioError as error:
        raise errors.MaskUnmeasured from error
    for n, candidate in enumerate(candidates(seed), start=1):
        report("trying masks", n / most)
        try:
            style = away(voice, np.concatenate([known, asked]), rate, **candidate.kept())
            said, _ = _said(disguised(voice, style), sentences.ASKED[language], language)
            measured = _measured(plain, shifted(said, rate, **candidate.shift), candidate, record)
        except (EngineError, AudioError):
            continue  # nothing to be heard or measured: no voice, so no mask
        if measured is not None:
            return Found(candidate, style, *measured)
    raise errors.MaskNotFound


def _said(voice: EngineVoice, text: str, language: str) -> tuple[Wave, int]:
    from cloning.engine import synthesis

    made = synthesis.synthesise(voice, synthesis.SpeechRequest(text=text, language=language, seed=SEED))
    return made.pcm, made.rate


def _measured(plain: Plain, pcm: Wave, candidate: Disturbance, record: Voice) -> tuple[float, float] | None:
    """Likeness and bound of a candidate that will do, or None. Raises AudioError, BadEmbedding, Gone."""
    from cloning.engine.shift import shifted
    from consent.biometrics import speaker
    from consent.biometrics.evidence import Verdict

    heard = speaker.embed(pcm, plain.rate)
    undone = speaker.embed(
        shifted(pcm, plain.rate, **{name: -value for name, value in candidate.shift.items()}), plain.rate
    )
    near = [float(one @ known) for one in (heard, undone) for known in plain.embeddings]
    live = protected.likeness(embedding=_plain(heard), consent_ref=str(record.consent_id))
    likeness = max(near if live is None else [*near, live])
    if likeness >= LIMIT or speaker.verify([plain.known], pcm, plain.rate).verdict is not Verdict.REFUSE:
        return None
    others = protected.nearest(embedding=_plain(heard), besides=record.owner_id)
    if others.protected >= protected.SAME_VOICE - MARGIN or others.enrolled >= protected.SAME_ENROLLED - MARGIN:
        return None
    return likeness, bound(max(others.protected, others.enrolled))


def bound(nearest: float) -> float:
    """The next multiple of STEP above, from LEAST_BOUND on."""
    return round(max(LEAST_BOUND, STEP * (math.floor(nearest / STEP) + 1)), 2)


def _plain(embedding: np.ndarray) -> list[float]:
    return [float(number) for number in embedding]


def _publish(run: Run, mask: VoiceMask, found: Found) -> None:
    """Seals the style, then makes the mask ready in one transaction under the consent's lock. Raises RunLost."""
    from consent.biometrics import speaker

    key = vault.create_key(kind="mask", owner_ref=str(mask.id), actor=ACTOR)
    try:
        sealed = vault.store(
            key=key,
            kind="mask",
            owner_ref=str(mask.id),
            data=found.style.astype("<f4").tobytes(),
            not_after=None,
            actor=ACTOR,
        )
        with transaction.atomic():
            Consent.objects.select_for_update(of=("self",)).get(id=mask.voice.consent_id)
            _, job = jobs.lock_job(run.job_id)
            if job.run != run.token:
                raise RunLost(str(run.job_id))
            made = VoiceMask.objects.select_for_update(of=("self",)).select_related("voice").get(id=mask.id)
            move(made, MaskState.READY, MASK)
            made.disturbance, made.style, made.ready_at = found.disturbance.kept(), sealed, now()
            made.likeness, made.limit, made.others_below = round(found.likeness, 3), LIMIT, found.others_below
            made.model = speaker.MODEL
            made.save()
            jobs.succeed(job)
            log.record(
                kind="mask.ready",
                subject=f"mask:{made.id}",
                actor=ACTOR,
                data={
                    "voice": str(made.voice_id),
                    "job": str(job.id),
                    "likeness": made.likeness,
                    "limit": made.limit,
                    "others_below": made.others_below,
                    "model": made.model,
                },
                rehearsal=made.voice.rehearsal,
            )
    except BaseException:
        vault.destroy_key(key=key, reason="not_published", actor=ACTOR)
        raise
