"""Linear-frequency cepstral statistics of a clip: what the spoof detector looks at.

Everything is brought to one channel first - telephone band, one level, one noise floor - because otherwise a classifier
learns microphones and corpora instead of synthesis (two REAL corpora were separated at 6-23 % EER).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.fft import dct

from consent.biometrics.audio import MODEL_RATE

#: 20 coefficients with first and second differences, mean and deviation of each.
COEFFICIENTS: Final = 20
DIMENSIONS: Final = COEFFICIENTS * 3 * 2
LOW_HZ: Final = 300.0
HIGH_HZ: Final = 3_400.0
_FILTERS: Final = 40
_FFT: Final = 512
_WINDOW: Final = 320
_HOP: Final = 160
_LEVEL: Final = 10.0 ** (-26.0 / 20.0)
_FLOOR: Final = 10.0 ** (-66.0 / 20.0)


def _filterbank() -> np.ndarray:
    """(40, 257): overlapping triangles, evenly spaced from 300 to 3,400 Hz."""
    edges = np.linspace(LOW_HZ, HIGH_HZ, _FILTERS + 2)
    bins = np.linspace(0.0, MODEL_RATE / 2.0, _FFT // 2 + 1)
    rising = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
    return np.maximum(0.0, np.minimum(rising, falling))


_BANK: Final = _filterbank()


def features(sound: np.ndarray) -> np.ndarray:
    """16 kHz speech without silences (samples,), at least 0.1 s, to (120,) float64 means and deviations."""
    frames = np.lib.stride_tricks.sliding_window_view(levelled(sound), _WINDOW)[::_HOP] * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(frames, _FFT)) ** 2
    cepstra = dct(np.log(power @ _BANK.T + 1e-10), type=2, norm="ortho", axis=1)[:, :COEFFICIENTS]
    first = np.gradient(cepstra, axis=0)
    stacked = np.concatenate([cepstra, first, np.gradient(first, axis=0)], axis=1)
    return np.concatenate([stacked.mean(0), stacked.std(0)])


def levelled(sound: np.ndarray) -> np.ndarray:
    """16 kHz speech (samples,) at one level over one noise floor, float64. Raises ValueError below 0.1 s."""
    if sound.size < MODEL_RATE // 10:
        raise ValueError("at least 0.1 s of speech is needed")
    level = float(np.sqrt(np.mean(sound.astype(np.float64) ** 2))) or 1.0
    # The noise is always the same, so that the same clip always gets the same score.
    noise = np.random.default_rng(0).standard_normal(sound.size)
    return np.asarray(sound * (_LEVEL / level) + noise * _FLOOR)
