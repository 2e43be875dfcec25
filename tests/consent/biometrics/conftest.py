"""Synthetic people for the biometrics tests: research voices in a sandbox, with a room around them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from demo.flite.speaker import speak

RATE = 16_000
#: A quiet room: -60 dBFS of noise, half a second of it before and after the speech.
ROOM = 1e-3
SENTENCES = (
    "The harbour lights were burning low when the last boat came home from the north.",
    "Please remember to water the plants on the balcony before you leave for work.",
    "A small brown dog ran across the meadow and barked at the passing train.",
)

Say = Callable[..., np.ndarray]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@functools.cache
def _spoken(text: str, voice: str, seed: int) -> np.ndarray:
    wave, rate = speak(text, voice=voice)
    assert rate == RATE
    framed = np.pad(wave, RATE // 2)
    noise = np.random.default_rng(seed).normal(0.0, ROOM, framed.size)
    sound = (framed + noise).astype(np.float32)
    sound.flags.writeable = False
    return sound


@pytest.fixture(scope="session")
def say() -> Say:
    """say(text, voice="slt", seed=0): speech in a quiet room, read-only float32 at 16 kHz."""

    def call(text: str | Sequence[str], voice: str = "slt", seed: int = 0) -> np.ndarray:
        return _spoken(text if isinstance(text, str) else ", ".join(text), voice, seed)

    return call


@pytest.fixture(scope="session")
def sentences() -> tuple[str, ...]:
    return SENTENCES
