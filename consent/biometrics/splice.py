"""Traces of a recording that was cut together on a computer. Thin: they catch the careless, not the careful.

A microphone is never perfectly silent and never repeats itself to the last bit; an editor does both. Lossy coding hides
them, so their absence proves nothing. What an editor does to the background is looked at in `background`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from consent.biometrics.speech import runs

#: A tenth of a second of one unchanging value is an inserted gap (except at the edges: devices start muted).
SILENCE_SECONDS: Final = 0.1
#: A twentieth of a second that occurs twice, bit for bit, was copied.
REPEAT_SECONDS: Final = 0.05
#: Only audible passages are searched for copies (RMS -50 dBFS): near silence, quantised noise can repeat.
_AUDIBLE: Final = 10.0 ** (-50.0 / 20.0)
_PRIME: Final = np.uint64(1_099_511_628_211)


def digital_silence(sound: np.ndarray, rate: int) -> list[tuple[float, float]]:
    """Start and end in seconds of unchanging stretches away from both ends of ``sound`` (samples,)."""
    least = int(SILENCE_SECONDS * rate)
    constant = runs(np.diff(sound) == 0.0)
    return [
        (start / rate, stop / rate)
        for start, stop in constant
        if stop - start >= least and start > 0 and stop < sound.size - 1
    ]


def repeats(sound: np.ndarray, rate: int) -> list[tuple[float, float]]:
    """Pairs of start times in seconds (first, second) of passages that are equal bit for bit; at most one a block."""
    length = int(REPEAT_SECONDS * rate)
    if sound.size < 2 * length:
        return []
    samples = np.round(np.clip(sound, -1.0, 1.0) * 32_767.0).astype(np.int16)
    # Polynomial rolling hash modulo 2**64 by prefix sums: equal passages get equal hashes wherever they lie.
    powers = np.ones(samples.size, dtype=np.uint64)
    powers[1:] = np.cumprod(np.full(samples.size - 1, _PRIME, dtype=np.uint64), dtype=np.uint64)
    sums = np.concatenate(([np.uint64(0)], np.cumsum(samples.astype(np.int64).astype(np.uint64) * powers)))
    hashes = (sums[length:] - sums[:-length]) * powers[::-1][: sums.size - length]
    energy = np.concatenate(([0.0], np.cumsum(np.clip(sound, -1.0, 1.0).astype(np.float64) ** 2)))
    audible = np.flatnonzero((energy[length:] - energy[:-length]) / length > _AUDIBLE**2)
    order = audible[np.argsort(hashes[audible], kind="stable")]
    same = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
    found: dict[int, tuple[float, float]] = {}
    for first, second in zip(order[same], order[same + 1], strict=True):
        block = int(second) // length
        if block in found or second - first < length:
            continue
        if np.array_equal(samples[first : first + length], samples[second : second + length]):
            found[block] = (first / rate, second / rate)
    return sorted(found.values())
