"""What a sound sounds like, in 63 bytes a second: kept with every output's record.

A mark says which output a sound claims to be; the fingerprint says whether it is that sound. Somebody who cuts a mark
out of one file and lays it on another person's speech moves the first, not the second. Bits are the signs of energy
differences over neighbouring bands and moments (after Haitsma and Kalker, ISMIR 2002): twelve from the telephone band
every 32 ms, and one that says whether the moment holds sound. Nobody can be understood from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watermark.codec import grid
from watermark.codec.grid import HOP, RATE
from watermark.codec.listen import SAME, Heard, Scale

#: Version of the bits; two fingerprints are compared only within one.
VERSION = 1
#: Hops from one frame to the next (32 ms), and over which each is averaged (64 ms).
STEP = 4
SPAN = 8
#: Bands of 125 Hz that are joined to one of 250 Hz, all in 312 to 3562 Hz.
JOINED = 2
BITS = 12
#: A frame holds sound when it is within this many dB of the loudest.
ACTIVE_DB = 35.0
#: Agreement (1 the same bits, 0 chance, over frames that sound in both) from which two are the same sound, and under
#: which they are not. Between them, or with less than LEAST_FRAMES that sound, nothing is said.
SAME_SOUND = 0.30
OTHER_SOUND = 0.22
LEAST_FRAMES = 25
#: Frames that must sound in both at a place, at least, and as a part of those that sound in the shorter.
LEAST_SHARED = 20
SHARED = 0.7
#: What two sounds of n frames agree in by chance stays under this over the root of n: of 2 400 pieces of strangers (1
#: to 3 s, against 30 s) the most was 2.1, and none of 5 520 others came to it.
CHANCE = 2.25
#: Bytes a fingerprint may have: that of the longest sound.
MAX_BYTES = 2 * (int(grid.MAX_SECONDS * RATE / HOP / STEP) + 2)


@dataclass(frozen=True)
class Agreement:
    """How well a sound fits a fingerprint: "same", "other" or "unclear", the agreement and the second in the
    fingerprint at which the sound would begin (negative if it begins earlier)."""

    verdict: str
    value: float
    at_s: float


def fingerprint(wave: object, rate: int) -> bytes:
    """The fingerprint of a sound, two bytes a frame, big-endian. Raises UnmarkableAudio."""
    return of_heard(Heard.of(wave, rate))


def of_heard(heard: Heard, scale: Scale = SAME, start_s: float = 0.0, end_s: float | None = None) -> bytes:
    """The fingerprint of a stretch of a recording, brought back to what it was before ``scale`` changed it."""
    levels = heard.levels(scale)
    stride = scale.time * HOP / RATE
    first = max(0, int(start_s / stride))
    last = len(levels) if end_s is None else min(len(levels), int(end_s / stride) + 1)
    energies = 10 ** (levels[first:last, : (BITS + 1) * JOINED] / 10)
    joined = energies.reshape(len(energies), BITS + 1, JOINED).sum(axis=2)
    total = np.concatenate([np.zeros((1, BITS + 1)), np.cumsum(joined, axis=0, dtype=np.float64)])
    starts = np.arange(0, len(joined) - SPAN + 1, STEP)
    level = 10 * np.log10((total[starts + SPAN] - total[starts]) / SPAN + 1e-7)
    across = np.diff(level, axis=1)
    along = across[2:] - across[:-2]
    loud = level.max(axis=1)
    active = loud[1:-1] > loud.max(initial=-np.inf) - ACTIVE_DB
    bits = np.concatenate([np.zeros((len(along), 3), bool), active[:, None], along > 0], axis=1)
    return np.packbits(bits, axis=1).tobytes()


def agreement(heard: bytes, kept: bytes) -> Agreement:
    """How well a sound's fingerprint fits a kept one, at the best place. Raises ValueError for what is none."""
    one, other = _signs(heard), _signs(kept)
    sounding = int((one != 0).any(axis=1).sum())
    if sounding < LEAST_FRAMES or len(other) < LEAST_FRAMES:
        return Agreement("unclear", 0.0, 0.0)
    size = 1 << (len(one) + len(other) - 1).bit_length()
    transformed = [np.fft.rfft(part, n=size, axis=0) for part in (one, other, np.abs(one), np.abs(other))]
    equal = np.fft.irfft((transformed[0].conj() * transformed[1]).sum(axis=1), n=size)
    shared = np.fft.irfft((transformed[2].conj() * transformed[3]).sum(axis=1), n=size)
    # Too little in common is no evidence; it may not win by chance.
    enough = shared > BITS * max(LEAST_SHARED, SHARED * min(sounding, int((other != 0).any(axis=1).sum()))) - 0.5
    if not enough.any():
        return Agreement("unclear", 0.0, 0.0)
    value = np.where(enough, equal / np.maximum(shared, 1), -1.0)
    root = np.sqrt(np.maximum(shared, 1) / BITS)
    at = int((value * root).argmax())
    best = float(max(value[at], 0.0))
    same = best >= max(SAME_SOUND, CHANCE / root[at])
    verdict = "same" if same else "other" if best <= OTHER_SOUND else "unclear"
    return Agreement(verdict, best, (at if at < len(other) else at - size) * STEP * HOP / RATE)


def _signs(data: bytes) -> NDArray[np.float32]:
    """+1 and -1 (frames, BITS), 0 where the frame holds no sound."""
    if not data or len(data) % 2 or len(data) > MAX_BYTES:
        raise ValueError("a fingerprint has two bytes a frame and at least one frame")
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).reshape(-1, 16)
    return (bits[:, 4:].astype(np.float32) * 2 - 1) * bits[:, 3:4]


def likeliest(heard: bytes, kept: dict[int, bytes], count: int = 1_000) -> list[int]:
    """The keys of the ``count`` fingerprints that fit best, best first; only such as fit better than others do."""
    values = {key: agreement(heard, data).value for key, data in kept.items()}
    fitting = [key for key, value in values.items() if value > OTHER_SOUND]
    return sorted(fitting, key=lambda key: -values[key])[:count]
