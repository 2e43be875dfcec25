"""Have we heard this very recording before? Fingerprints of sound, after Haitsma and Kalker (ISMIR 2002).

Every 20 ms one word: 31 bits that say where the spectrum between 300 and 2,800 Hz rises over time and frequency, and
one bit that says whether anything was heard at all. Codecs, levels and mild noise flip some bits; another recording,
even of the same person saying the same words, agrees with half of them. A fingerprint cannot be played, but it is made
from a person's recording and belongs under the same deadline.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.fft import next_fast_len

from consent.biometrics.audio import MAX_TRAINING_SECONDS, MODEL_RATE, at_model_rate, checked

MODEL: Final = "haitsma-kalker-31/1"
#: Samples between words (20 ms) and of one look (256 ms): long looks make neighbouring words, and shifts, agree.
HOP: Final = 320
_FFT: Final = 4_096
_BANDS: Final = 32
_LOW_HZ: Final = 300.0
_HIGH_HZ: Final = 2_800.0
#: The highest bit of a word: sound within this many dB of the recording's loud parts.
_HEARD: Final = np.uint32(1 << 31)
_HEARD_DB: Final = 40.0
#: Words of one comparison (3 s), and how many of them must have been heard on both sides.
BLOCK: Final = 150
_LEAST_HEARD: Final = 60
#: Share of bits that may differ. Two recordings of different sound differ in about one half; the tests measure both.
MAX_DIFFERENT: Final = 0.32


@dataclass(frozen=True)
class Match:
    """A stretch of the query (seconds) that is the same recording as a stretch of the reference ``name``."""

    name: str
    start: float
    end: float
    reference_start: float
    different_bits: float


def of(wave: np.ndarray, rate: int) -> bytes:
    """Fingerprint of a recording (samples,) at ``rate``: 50 words of four bytes (little-endian) a second.

    Raises AudioError.
    """
    sound = at_model_rate(checked(wave, rate, max_seconds=MAX_TRAINING_SECONDS), rate)
    padded = np.pad(sound, (_FFT // 2, _FFT // 2 + HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::HOP]
    window, bank = np.hanning(_FFT).astype(np.float32), _filterbank()
    parts = [
        (np.abs(np.fft.rfft(frames[start : start + 512] * window, axis=1)) ** 2) @ bank
        for start in range(0, len(frames), 512)
    ]
    energy = np.concatenate(parts)
    level = energy.sum(1)
    heard = level[1:] > max(float(np.percentile(level, 95)) * 10.0 ** (-_HEARD_DB / 10.0), 1e-9)
    rises = np.diff(np.diff(np.log(energy + 1e-12), axis=1), axis=0) > 0.0
    words = (rises.astype(np.uint32) << np.arange(_BANDS - 1, dtype=np.uint32)).sum(1, dtype=np.uint32)
    return np.where(heard, words | _HEARD, words).astype("<u4").tobytes()


def compare(query: bytes, reference: bytes, *, name: str = "") -> Match | None:
    """The longest stretch of ``query`` that is also in ``reference``; None when no 3 s agree. Raises ValueError."""
    asked, known = _signs(query), _signs(reference)
    best: Match | None = None
    if min(len(asked[0]), len(known[0])) < _LEAST_HEARD:
        return None
    block = min(BLOCK, len(asked[0]), len(known[0]))
    open_run: tuple[int, int, list[float]] | None = None
    for start in [*range(0, len(asked[0]) - block, block // 2), len(asked[0]) - block]:
        found = _place(asked[0][start : start + block], asked[1][start : start + block], *known)
        if found is None:
            open_run = None
            continue
        place, share = found
        shift = place - start
        if open_run is None or abs(open_run[0] - shift) > 2:
            open_run = (shift, start, [])
        open_run[2].append(share)
        seconds = HOP / MODEL_RATE
        match = Match(
            name=name,
            start=round(open_run[1] * seconds, 2),
            end=round((start + block) * seconds, 2),
            reference_start=round((open_run[1] + shift) * seconds, 2),
            different_bits=round(float(np.mean(open_run[2])), 4),
        )
        if best is None or match.end - match.start > best.end - best.start:
            best = match
    return best


def search(query: bytes, known: Mapping[str, bytes]) -> list[Match]:
    """Every known recording that shares 3 s or more with the query, the longest first. Raises ValueError."""
    found = [compare(query, reference, name=name) for name, reference in known.items()]
    return sorted((match for match in found if match), key=lambda match: match.start - match.end)


@functools.cache
def _filterbank() -> np.ndarray:
    """(2049, 32): rectangles of equal width on a logarithmic scale."""
    edges = np.geomspace(_LOW_HZ, _HIGH_HZ, _BANDS + 1)
    bins = np.linspace(0.0, MODEL_RATE / 2.0, _FFT // 2 + 1)[:, None]
    return ((bins >= edges[:-1]) & (bins < edges[1:])).astype(np.float32)


def _signs(fingerprint: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Bits as -1 and +1, zero where nothing was heard: (words, 31); and heard (words,)."""
    if len(fingerprint) % 4 or len(fingerprint) > 4 * MAX_TRAINING_SECONDS * MODEL_RATE / HOP + 8:
        raise ValueError("not a fingerprint")
    words = np.frombuffer(fingerprint, dtype="<u4")
    heard = (words & _HEARD) > 0
    bits = (words[:, None] >> np.arange(_BANDS - 1, dtype=np.uint32)) & 1
    return (bits.astype(np.float32) * 2.0 - 1.0) * heard[:, None], heard.astype(np.float32)


def _place(
    block: np.ndarray, heard: np.ndarray, known: np.ndarray, known_heard: np.ndarray
) -> tuple[int, float] | None:
    """Where in ``known`` the block agrees best, and the share of bits that differ there; None above MAX_DIFFERENT."""
    size = next_fast_len(len(known) + len(block), real=True)

    def slide(pattern: np.ndarray, along: np.ndarray) -> np.ndarray:
        spectrum = np.fft.rfft(along, size, axis=0) * np.conj(np.fft.rfft(pattern, size, axis=0))
        both = spectrum.sum(1) if spectrum.ndim > 1 else spectrum
        return np.fft.irfft(both, size)[: len(known) - len(block) + 1]

    compared = slide(heard, known_heard)
    agreement = slide(block, known) / np.maximum(compared * (_BANDS - 1), 1.0)
    agreement[compared < min(_LEAST_HEARD, 0.9 * len(block))] = -1.0
    place = int(agreement.argmax())
    different = float(1.0 - agreement[place]) / 2.0
    return (place, different) if different <= MAX_DIFFERENT else None
