"""Programme loudness by ITU-R BS.1770-4 for one channel, at any sample rate."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.signal import lfilter

#: BS.1770-4 annex 1: blocks of 0.4 s, one every 0.1 s, gates at -70 LUFS and 10 LU below the mean.
BLOCK_SECONDS: Final = 0.4
STEP_SECONDS: Final = 0.1
ABSOLUTE_GATE: Final = -70.0
RELATIVE_GATE: Final = -10.0
_OFFSET: Final = -0.691


def _biquads(rate: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The K weighting at ``rate``: the analogue shelf and high-pass behind the standard's 48 kHz table, bilinear."""
    shelf_hz, gain_db, shelf_q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * shelf_hz / rate)
    high = 10.0 ** (gain_db / 20.0)
    mid = high**0.4996667741545416
    norm = 1.0 + k / shelf_q + k * k
    denominator = np.array([1.0, 2.0 * (k * k - 1.0) / norm, (1.0 - k / shelf_q + k * k) / norm])
    numerator = np.array([high + mid * k / shelf_q + k * k, 2.0 * (k * k - high), high - mid * k / shelf_q + k * k])
    shelf = (numerator / norm, denominator)
    pass_hz, pass_q = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * pass_hz / rate)
    norm = 1.0 + k / pass_q + k * k
    high_pass = (
        np.array([1.0, -2.0, 1.0]),
        np.array([1.0, 2.0 * (k * k - 1.0) / norm, (1.0 - k / pass_q + k * k) / norm]),
    )
    return [shelf, high_pass]


def integrated(sound: np.ndarray, rate: int) -> float | None:
    """Gated loudness in LUFS; None when the sound is shorter than one block or entirely below the absolute gate."""
    block, step = round(BLOCK_SECONDS * rate), round(STEP_SECONDS * rate)
    if sound.size < block:
        return None
    weighted = sound.astype(np.float64)
    for numerator, denominator in _biquads(rate):
        weighted = lfilter(numerator, denominator, weighted)
    sums = np.concatenate(([0.0], np.cumsum(weighted**2)))
    starts = np.arange(0, sound.size - block + 1, step)
    powers = np.maximum(sums[starts + block] - sums[starts], 1e-30) / block
    powers = powers[_OFFSET + 10.0 * np.log10(powers) > ABSOLUTE_GATE]
    if powers.size == 0:
        return None
    gate = _OFFSET + 10.0 * math.log10(float(powers.mean())) + RELATIVE_GATE
    powers = powers[_OFFSET + 10.0 * np.log10(powers) > gate]
    return _OFFSET + 10.0 * math.log10(float(powers.mean()))
