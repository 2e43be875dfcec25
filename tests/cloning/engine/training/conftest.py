import functools

import numpy as np
import pytest

from cloning.engine.config import tiny
from cloning.engine.training.base import Base, random_base
from cloning.engine.training.prepare import Recording

TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "Nine small boats went out to sea before noon.",
    "Please give the letter to Martin, not to the doctor.",
    "Why is there a garden behind the old house?",
    "She said that the morning was cold and bright.",
)


@functools.lru_cache(maxsize=1)
def spoken() -> tuple[Recording, ...]:
    from demo.flite.speaker import speak

    return tuple(Recording(*speak(text, voice="awb"), transcript=text) for text in TEXTS)


@pytest.fixture
def recordings() -> list[Recording]:
    """Twelve seconds of synthesised speech in five sentences."""
    return list(spoken())


@pytest.fixture(scope="session")
def base() -> Base:
    return random_base(tiny(), 1)


@pytest.fixture
def minute() -> Recording:
    """A minute of speech in one recording with pauses between the sentences."""
    gap = np.zeros(12000, np.float32)
    parts = [part for r in spoken() for part in (r.wave, gap)] * 5
    return Recording(np.concatenate(parts), 16000, "text that cannot be matched to its parts")
