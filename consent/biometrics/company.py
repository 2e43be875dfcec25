"""Is more than one person speaking in turns? Windows of speech, parted into the two most different sets.

Two people at the same moment are not told apart by this.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from consent.biometrics import encoder, speech
from consent.biometrics.audio import MODEL_RATE, at_model_rate, checked

#: Seconds of a window, and the most windows looked at (evenly spread over longer recordings).
WINDOW_SECONDS: Final = 3.0
MAX_WINDOWS: Final = 60
_ROUNDS: Final = 10


def apart(sound: np.ndarray) -> float | None:
    """Cosine of the two most different parts of 16 kHz speech without silences; None below two windows (6 s).

    One person measures near 0.9, two people near 0.6 (figures in ``docs/biometrics.md``).
    """
    length = int(WINDOW_SECONDS * MODEL_RATE)
    starts = np.arange(0, sound.size - length + 1, length)
    if len(starts) < 2:
        return None
    chosen = starts[np.unique(np.linspace(0, len(starts) - 1, min(len(starts), MAX_WINDOWS)).astype(int))]
    return parted(np.stack(encoder.embed_speeches([sound[start : start + length] for start in chosen])))


def measure(wave: np.ndarray, rate: int) -> float | None:
    """`apart` of a recording (samples,) at ``rate``. Raises AudioError."""
    return apart(speech.spoken(at_model_rate(checked(wave, rate), rate))[0])


def parted(windows: np.ndarray) -> float:
    """Cosine between the means of the two sets that unit vectors (2 or more, d) fall into (2-means on the sphere)."""
    centred = windows - windows.mean(0)
    side = centred @ np.linalg.svd(centred, full_matrices=False)[2][0] > 0.0
    means = np.zeros((2, windows.shape[1]))
    for _ in range(_ROUNDS):
        if side.all() or not side.any():
            return 1.0
        means = np.stack([windows[~side].mean(0), windows[side].mean(0)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        nearer = windows @ means[1] > windows @ means[0]
        if (nearer == side).all():
            break
        side = nearer
    return float(means[0] @ means[1])
