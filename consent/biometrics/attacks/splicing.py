"""Words cut together on a computer, each from another day: carelessly, with care, and with noise laid over it all."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.signal import lfilter

from consent.biometrics.audio import MODEL_RATE

#: Backgrounds of the sessions the words come from, dBFS; their colour and the microphone's (a first-order tilt: 0 is
#: white and flat); and the pause between words, seconds.
BACKGROUNDS: Final = (-75.0, -45.0)
COLOURS: Final = (0.0, 0.9)
MICROPHONES: Final = (-0.25, 0.25)
PAUSES: Final = (0.15, 0.45)
PRESSED_PAUSES: Final = (0.04, 0.12)
#: How long a careful editor fades one background into the next, seconds; and how loud the noise is that hides it, dBFS.
FADES: Final = (0.02, 0.08)
COVERS: Final = (-60.0, -40.0)

CRUDE, FADED, COVERED = "butt joints", "cross-faded", "under common noise"
PRESSED, ONE_SESSION = "without pauses", "of one session"
#: Where a look at the background may see something; in the others it cannot, and they are made to say so.
SEEN: Final = (CRUDE, FADED, COVERED)
JOINS: Final = (*SEEN, PRESSED, ONE_SESSION)


@dataclass(frozen=True)
class Session:
    """One day's recording: background in dBFS and its colour, the microphone's tilt, the level."""

    background: float
    colour: float
    microphone: float
    gain: float

    @classmethod
    def drawn(cls, rng: random.Random) -> Session:
        return cls(
            rng.uniform(*BACKGROUNDS), rng.uniform(*COLOURS), rng.uniform(*MICROPHONES), rng.uniform(0.5, 1.0)
        )  # fmt: skip

    def recorded(self, sound: np.ndarray, rng: random.Random) -> np.ndarray:
        """16 kHz sound (samples,) as this session's microphone hears it, float64."""
        heard = lfilter([1.0, self.microphone], [1.0], sound) * self.gain
        return heard + noise(sound.size, self.background, self.colour, rng)


def noise(size: int, decibels: float, colour: float, rng: random.Random) -> np.ndarray:
    """Steady noise at a level in dBFS; ``colour`` 0 is white, towards 1 it falls by 6 dB an octave. (size,)"""
    made = np.random.default_rng(rng.getrandbits(32)).standard_normal(size + 1_000)
    made = lfilter([1.0], [1.0, -colour], made)[1_000:]
    # The level of this colour, not of this drawing: a short stretch scatters as real noise does.
    return made * (10.0 ** (decibels / 20.0) * np.sqrt(1.0 - colour**2))


def spliced(recordings: Sequence[np.ndarray], rng: random.Random, *, join: str = CRUDE) -> np.ndarray:
    """16 kHz recordings (samples,) one after the other, each with the background and the level of its own session.

    ``join``: one of JOINS. COVERED is FADED with one noise over everything; PRESSED is FADED with hardly a pause;
    ONE_SESSION takes all words from one recording, joined with care.
    """
    one = Session.drawn(rng) if join == ONE_SESSION else None
    fade = 0 if join == CRUDE else int(rng.uniform(*FADES) * MODEL_RATE)
    made = np.zeros(0)
    for recording in recordings:
        pause = rng.uniform(*PRESSED_PAUSES) / 2.0 if join == PRESSED else rng.uniform(*PAUSES) / 2.0 + 0.1
        padded = np.pad(recording, int(pause * MODEL_RATE))
        part = (one or Session.drawn(rng)).recorded(padded, rng)
        over = min(fade, made.size, part.size)
        ramp = np.sin(np.linspace(0.0, np.pi / 2.0, over))
        mixed = made[made.size - over :] * ramp[::-1] + part[:over] * ramp
        made = np.concatenate([made[: made.size - over], mixed, part[over:]])
    if join == COVERED:
        made = made + noise(made.size, rng.uniform(*COVERS), rng.uniform(*COLOURS), rng)
    return made.astype(np.float32)
