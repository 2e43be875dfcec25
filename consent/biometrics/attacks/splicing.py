"""Words cut together on a computer, each from another day."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import numpy as np

from consent.biometrics.audio import MODEL_RATE

#: Backgrounds of the sessions the words come from, dBFS; and the pause between words, seconds.
BACKGROUNDS: Final = (-75.0, -45.0)
PAUSES: Final = (0.15, 0.45)


def spliced(recordings: Sequence[np.ndarray], rng: random.Random) -> np.ndarray:
    """16 kHz recordings (samples,) one after the other, each with the background and the level of its own session."""
    parts = []
    for recording in recordings:
        padded = np.pad(recording, int(rng.uniform(*PAUSES) * MODEL_RATE / 2.0 + 0.1 * MODEL_RATE))
        noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(padded.size)
        background = 10.0 ** (rng.uniform(*BACKGROUNDS) / 20.0)
        parts.append((padded * rng.uniform(0.5, 1.0) + noise * background).astype(np.float32))
    return np.concatenate(parts)
