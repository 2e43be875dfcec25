"""Research voices that read challenges and training speech to the platform, as people and attackers would."""

import functools
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import time_machine

from consent import ceremony, recordings, tasks
from consent.models import Challenge, Examination, Recording
from consent.prompts import sentences
from demo.flite.speaker import speak
from foundation.clock import move_forward
from foundation.identity.actors import Actor

RATE = 16_000
SENTENCES = sentences("en")[:16]
"""About forty seconds of speech: training needs thirty."""
MISREAD = {"words_unclear", "wrong_words", "too_little_speech"}
"""Reasons that an honest reader may meet now and then."""

Reader = Callable[[list[str]], np.ndarray]


@functools.cache
def said(text: str, voice: str = "slt", pause: float = 0.5) -> np.ndarray:
    """Speech in a quiet room: noise at -60 dBFS, half a second of it on both sides."""
    wave, rate = speak(text, voice=voice)
    assert rate == RATE
    framed = np.pad(wave, int(pause * RATE))
    noise = np.random.default_rng(list(text.encode())).normal(0, 1e-3, framed.size)
    return (framed + noise).astype(np.float32)


def script(voice: str = "slt", lines: tuple[str, ...] = SENTENCES) -> np.ndarray:
    return np.concatenate([said(sentence, voice) for sentence in lines])


def wav(wave: np.ndarray, rate: int = RATE) -> bytes:
    """``wave``: (samples,) or (samples, channels)."""
    out = io.BytesIO()
    sf.write(out, wave, rate, format="WAV")
    return out.getvalue()


def reader(voice: str = "slt") -> Reader:
    return lambda words: said(", ".join(words), voice)


def answer(owner: Any, read: Reader | None = None, *, rehearsal: bool = True) -> Challenge:
    """Opens a challenge, answers it live and has the answer examined, twice, as a broker might.

    ``rehearsal=False``: examined as in production, where the spoof verdict blocks.
    """
    actor = Actor.of(owner)
    # The clock moves with the sound alone: how long this machine takes to make the voice is nobody's delay.
    with time_machine.travel(datetime.now(UTC), tick=False):
        challenge = ceremony.open_challenge(actor=actor)
        wave = (read or reader())(challenge.words)
        pcm = (np.clip(wave, -1, 1) * 32_767).astype("<i2").tobytes()
        move_forward(timedelta(seconds=1))
        for index, start in enumerate(range(0, len(pcm), 64_000)):
            ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=index, data=pcm[start : start + 64_000])
            move_forward(timedelta(seconds=2))
        found = ceremony.answer_challenge(actor=actor, challenge_id=challenge.id)
    Examination.objects.filter(id=found.id).update(rehearsal=rehearsal)
    tasks.examine_challenge(str(found.id))
    tasks.examine_challenge(str(found.id))
    return Challenge.objects.select_related("examination", "custody", "template").get(id=challenge.id)


def read_well(owner: Any, read: Reader | None = None) -> Challenge:
    """An answer whose words were understood: an honest reader's first, or nearly always."""
    return next(one for one in (answer(owner, read) for _ in range(4)) if one.examination.reason not in MISREAD)


def honest(owner: Any, voice: str = "slt") -> Challenge:
    """A passed challenge, read by a voice of its own."""
    challenge = read_well(owner, reader(voice))
    if challenge.state != "passed":
        pytest.fail(f"{challenge.examination.reason}: {challenge.examination.evidence}")
    return challenge


def offer(challenge: Challenge, data: bytes, *, rehearsal: bool = True) -> Recording:
    actor = Actor.of(challenge.person)
    made = recordings.create_recording(
        actor=actor, challenge_id=challenge.id, language="en", transcript=" ".join(SENTENCES)
    )
    found = recordings.receive_content(actor=actor, recording_id=made.id, stream=[data])
    Examination.objects.filter(id=found.id).update(rehearsal=rehearsal)
    tasks.examine_recording(str(found.id))
    tasks.examine_recording(str(found.id))
    return Recording.objects.select_related("examination").get(id=made.id)
