"""Traces of a recording that was cut together on a computer. Thin: they catch the careless, not the careful.

A microphone is never perfectly silent, never repeats itself to the last bit, and its background does not change from
one moment to the next in the middle of a pause; an editor does all three. Lossy coding hides the first two and a
careful editor the third, so their absence proves nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from consent.biometrics.audio import MODEL_RATE, at_model_rate
from consent.biometrics.speech import FRAME, frame_mask, runs

#: A tenth of a second of one unchanging value is an inserted gap (except at the edges: devices start muted).
SILENCE_SECONDS: Final = 0.1
#: A twentieth of a second that occurs twice, bit for bit, was copied.
REPEAT_SECONDS: Final = 0.05
#: Only audible passages are searched for copies (RMS -50 dBFS): near silence, quantised noise can repeat.
_AUDIBLE: Final = 10.0 ** (-50.0 / 20.0)
#: The background of a pause is compared 80 ms to either side of each moment, in steps of 10 ms.
_SIDE: Final = 8
_STEP_SECONDS: Final = 0.01
#: A jump is at least this much and stands out from the unrest on both sides this many times.
JUMP_DECIBELS: Final = 6.0
_UNREST: Final = 4.0
#: A pause begins and ends this far from speech (32 ms frames): breath and echo fall off there.
_MARGIN: Final = 3
_FLOOR: Final = 10.0 ** (-90.0 / 10.0)
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


def floor_jumps(sound: np.ndarray, rate: int, mask: np.ndarray | None = None) -> list[tuple[float, float]]:
    """Moments in seconds at which the background of a pause jumps, with the step in dB; at most one a pause.

    ``mask``: speech.frame_mask of the sound at 16 kHz, when it is known already.
    """
    sound = at_model_rate(sound, rate)
    mask = frame_mask(sound) if mask is None else mask
    hop = int(_STEP_SECONDS * MODEL_RATE)
    frames = sound[: sound.size // hop * hop].reshape(-1, hop).astype(np.float64)
    levels = 10.0 * np.log10(np.maximum((frames**2).mean(axis=1), _FLOOR))
    found = []
    for start, stop in runs(~mask):
        first = (start + (_MARGIN if start else 0)) * FRAME // hop + 1
        last = min((stop - (_MARGIN if stop < mask.size else 0)) * FRAME // hop, levels.size)
        jump = _largest_jump(levels[first:last])
        if jump is not None:
            found.append(((first + jump[0]) * _STEP_SECONDS, jump[1]))
    return found


def _largest_jump(levels: np.ndarray) -> tuple[int, float] | None:
    """Frame and size in dB of the largest step between two steady stretches of one pause's levels."""
    if levels.size < 2 * _SIDE:
        return None
    parts = np.lib.stride_tricks.sliding_window_view(levels, _SIDE)
    left, right = parts[:-_SIDE], parts[_SIDE:]
    step = right.mean(axis=1) - left.mean(axis=1)
    unrest = np.maximum(left.std(axis=1), right.std(axis=1))
    clear = np.where(np.abs(step) >= np.maximum(JUMP_DECIBELS, _UNREST * unrest), np.abs(step), 0.0)
    best = int(clear.argmax())
    return (best + _SIDE, float(step[best])) if clear[best] > 0.0 else None
