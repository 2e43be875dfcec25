"""Finding marks, with a proved bound on being wrong.

The statistic of a payload is tau = <V, c> / |V|, where V are the soft values folded over the period and c the
payload's signs. V is made without key or payload, so for any payload that is not in the sound the signs are fair
coins to it and Hoeffding's inequality gives P(tau > t) <= exp(-t^2 / 2), whatever the sound and however V came about.
Over M payloads and K alignments the chance that any of them is named wrongly is at most M K exp(-tau^2 / 2): that
figure, with the M and K really scored, stands with every answer. It does not cover someone who holds the key or who
may ask again and again and adapt: limit and log such questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watermark.codec import grid, soft
from watermark.codec.codeword import check_key, check_payload, codewords
from watermark.codec.errors import UnmarkableAudio
from watermark.codec.grid import BANDS, CHIPS, HOP, HOPS_PER_CHIP, RATE

#: Chance, at most, that one query names any payload wrongly.
FALSE_POSITIVE = 1e-6
#: Seconds of the sliding windows that are scored besides the whole sound.
WINDOWS = (3.0, 5.0)
#: Hops from one window to the next: 0.512 s, a whole number of chips.
WINDOW_STEP = 64
#: Starts within a chip that are tried, in hops: every 16 ms, so that no mark is more than 8 ms off.
OFFSETS = (0, 2, 4, 6)
#: Payloads and vectors scored at a time; bounds memory to about 100 MB whatever the number of payloads.
PAYLOAD_BLOCK = 1_024
VECTOR_BLOCK = 128


@dataclass(frozen=True)
class Match:
    """A payload found between two times (seconds), its score tau and the bound on this query being wrong."""

    payload: int
    start_s: float
    end_s: float
    score: float
    false_positive_bound: float


@dataclass(frozen=True)
class Presence:
    """Whether any of the payloads is there, with the best score and its bound (at most 1)."""

    present: bool
    score: float
    false_positive_bound: float


@dataclass(frozen=True)
class _Folded:
    """Unit vectors (vectors, CHIPS, BANDS) and the window of each (vectors, 2) in hops."""

    vectors: NDArray[np.float32]
    windows: NDArray[np.int64]

    @property
    def alignments(self) -> int:
        """K: every rotation of every vector is scored."""
        return len(self.vectors) * CHIPS


class Detector:
    """Searches sound for payloads marked with ``key``. Raises BadKey."""

    def __init__(self, key: bytes) -> None:
        self._key = check_key(key)

    def search(self, wave: object, rate: int, issued: Sequence[int]) -> list[Match]:
        """All payloads of ``issued`` found in ``wave`` (float mono (samples,), a rate of grid.ACCEPTED_RATES), best
        first, each with the window in which it scored best. Raises UnmarkableAudio, BadPayload."""
        payloads, best, where, folded, seconds = self._scored(wave, rate, issued)
        if not payloads:
            return []
        least = threshold(len(payloads), folded.alignments)
        matches = []
        for index in np.flatnonzero(best >= least)[np.argsort(-best[best >= least])]:
            first, last = folded.windows[where[index]]
            matches.append(
                Match(
                    payload=payloads[index],
                    start_s=float(first * HOP / RATE),
                    end_s=min(float(last * HOP / RATE), seconds),
                    score=float(best[index]),
                    false_positive_bound=bound(float(best[index]), len(payloads), folded.alignments),
                )
            )
        return matches

    def detect_presence(self, wave: object, rate: int, issued: Sequence[int]) -> Presence:
        """Whether any payload of ``issued`` is in ``wave``, without saying which. Raises as search()."""
        payloads, best, _, folded, _ = self._scored(wave, rate, issued)
        if not payloads:
            return Presence(False, 0.0, 1.0)
        score = float(best.max())
        return Presence(
            score >= threshold(len(payloads), folded.alignments),
            score,
            bound(score, len(payloads), folded.alignments),
        )

    def score(self, wave: object, rate: int, payload: int) -> float:
        """Best tau of one payload over the whole sound (no windows): what a mark's strength is judged by."""
        values, _ = _soft(wave, rate)
        folded = _fold(values, [(0, len(values))])
        best, _ = self._best(folded, [check_payload(payload)])
        return float(best[0])

    def _scored(
        self, wave: object, rate: int, issued: Sequence[int]
    ) -> tuple[list[int], NDArray[np.float32], NDArray[np.int64], _Folded, float]:
        payloads = list(dict.fromkeys(check_payload(payload) for payload in issued))
        values, seconds = _soft(wave, rate)
        folded = _fold(values, _windows(len(values)))
        best, where = self._best(folded, payloads)
        return payloads, best, where, folded, seconds

    def _best(self, folded: _Folded, payloads: list[int]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """For each payload the best tau and the index of its vector: (payloads,), (payloads,).

        A rotation of the period is a circular shift in time, so all 32 come from one product per frequency of the
        Fourier transform over chips: fifteen times less work than scoring them one by one.
        """
        best = np.full(len(payloads), -np.inf, np.float32)
        where = np.zeros(len(payloads), np.int64)
        heard = np.fft.rfft(folded.vectors, axis=1).astype(np.complex64).transpose(1, 2, 0)  # (freq, bands, vectors)
        for start in range(0, len(payloads), PAYLOAD_BLOCK):
            block = slice(start, start + PAYLOAD_BLOCK)
            code = np.fft.rfft(codewords(self._key, payloads[block]), axis=1).astype(np.complex64)
            code = np.ascontiguousarray(code.conj().transpose(1, 0, 2))  # (freq, payloads, bands)
            for first in range(0, heard.shape[2], VECTOR_BLOCK):
                product = code @ heard[:, :, first : first + VECTOR_BLOCK]
                tau = np.fft.irfft(product, n=CHIPS, axis=0).max(axis=0)  # over rotations: (payloads, vectors)
                index = tau.argmax(axis=1)
                value = tau[np.arange(len(tau)), index].astype(np.float32)
                better = value > best[block]
                best[block] = np.where(better, value, best[block])
                where[block] = np.where(better, index + first, where[block])
        return best, where


def bound(score: float, payloads: int, alignments: int) -> float:
    """M K exp(-tau^2 / 2), at most 1: the chance that a query naming a payload at this score is wrong."""
    return min(1.0, payloads * alignments * math.exp(-(max(score, 0.0) ** 2) / 2))


def threshold(payloads: int, alignments: int, false_positive: float = FALSE_POSITIVE) -> float:
    """The score at which bound() equals ``false_positive``."""
    return math.sqrt(2 * math.log(payloads * alignments / false_positive))


def _soft(wave: object, rate: int) -> tuple[NDArray[np.float32], float]:
    sound = grid.checked_wave(wave, rate, rates=grid.ACCEPTED_RATES)
    peak = float(np.abs(sound).max())
    if peak == 0:
        raise UnmarkableAudio("the sound is silent")
    # The level is no evidence; a file turned down by 40 dB must not count as silence.
    return soft.soft_values(grid.resampled(sound, rate, RATE) * np.float32(0.5 / peak)), len(sound) / rate


def _windows(hops: int) -> list[tuple[int, int]]:
    """The whole sound, then sliding windows shorter than it, as (first, last) hops."""
    windows = [(0, hops)]
    for seconds in WINDOWS:
        size = round(seconds * RATE / HOP)
        if size < hops:
            starts = list(range(0, hops - size, WINDOW_STEP))
            windows += [(start, start + size) for start in [*starts, hops - size]]
    return windows


def _fold(values: NDArray[np.float32], windows: list[tuple[int, int]]) -> _Folded:
    """Sum the periods of each window and each offset, and bring each vector to unit length.

    A chip is counted at its own place in the sound, not in the window: a rotation tells them apart anyway.
    """
    vectors = np.zeros((len(windows), len(OFFSETS), CHIPS, BANDS), np.float32)
    for column, offset in enumerate(OFFSETS):
        chips = values[offset::HOPS_PER_CHIP]
        for row, (first, last) in enumerate(windows):
            low = max(0, -(-(first - offset) // HOPS_PER_CHIP))
            high = max(low, -(-(last - offset) // HOPS_PER_CHIP))
            part = chips[low:high]
            padded = np.zeros((-(-(low % CHIPS + len(part)) // CHIPS) * CHIPS, BANDS), np.float32)
            padded[low % CHIPS : low % CHIPS + len(part)] = part
            vectors[row, column] = padded.reshape(-1, CHIPS, BANDS).sum(axis=0)
    flat = vectors.reshape(-1, CHIPS, BANDS)
    norms = np.sqrt((flat**2).sum(axis=(1, 2), keepdims=True))
    spans = np.repeat(np.array(windows, np.int64), len(OFFSETS), axis=0)
    return _Folded(flat / np.maximum(norms, 1e-12), spans)
