"""Under which conditions was this speech recorded, in the few numbers that a speaker score depends on.

Measured on speech alone (silences cut out), so that they exist for every recording, however tightly it was trimmed.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from consent.biometrics.audio import MODEL_RATE
from consent.biometrics.measures import fastest_decay

VERSION: Final = "condition-1"
#: Log of the net seconds; how far the loud frames stand above the quiet ones (dB, 90th over 5th and over 20th
#: percentile of 20 ms frames: noise and rooms fill the dips); the level above the telephone band against the level
#: inside it (dB); seconds of the fastest decays of `measures` (0.2: none could be measured).
NAMES: Final = ("log_seconds", "depth_db", "shallow_db", "treble_db", "decay_seconds")
#: Below this no recording differs from digital silence.
_SILENCE: Final = 1e-12
_FRAME: Final = 320
_FFT: Final = 512
_DRY: Final = 0.2


def facts(sound: np.ndarray, net_seconds: float) -> np.ndarray:
    """16 kHz speech without silences (samples,) to float64 (5,), in the order of NAMES."""
    frames = sound[: sound.size // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64)
    levels = 10.0 * np.log10((frames**2).mean(1) + _SILENCE) if len(frames) else np.zeros(1)
    quiet, low, loud = np.percentile(levels, (5, 20, 90))
    windows = sound[: sound.size // _FFT * _FFT].reshape(-1, _FFT)
    power = (np.abs(np.fft.rfft(windows * np.hanning(_FFT), axis=1)) ** 2).sum(0) + _SILENCE
    hertz = np.arange(power.size) * MODEL_RATE / _FFT
    treble = power[(hertz > 3_700) & (hertz < 7_000)].sum() / power[(hertz > 300) & (hertz < 3_400)].sum()
    room = fastest_decay(sound)
    return np.array(
        [
            math.log(max(net_seconds, 0.1)),
            min(loud - quiet, 60.0),
            min(loud - low, 60.0),
            max(10.0 * math.log10(treble), -60.0),
            _DRY if room is None else min(room, 2.0),
        ]
    )


def quiet(net_seconds: float) -> np.ndarray:
    """The facts of a good microphone in a quiet, dry room at a length: (5,)."""
    return np.array([math.log(max(net_seconds, 0.1)), 60.0, 60.0, 0.0, _DRY])
