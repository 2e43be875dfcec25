"""Finding where blocks begin: the sync pattern of a key, correlated with the levels of all bins at all times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from watermark.codec.audiowmark.embed import DEFAULT_STRENGTH, WINDOW
from watermark.codec.audiowmark.layout import BINS, BLOCK_FRAMES, FRAME, SYNC_BITS, Layout, sync_bits

Levels = NDArray[np.float32]

#: Samples between the starts tried first, and between those tried around a find.
COARSE, FINE = 256, 8
#: Quality from which a start is believed; below it the best few are kept all the same.
THRESHOLD, BEST = 0.35, 8
#: Most starts that are looked at closely. A tone or a fifth of a second has thousands of peaks that mean nothing.
MOST = 24
#: Neighbouring scores whose mean is taken off, and those about the score that are left out of it.
MEAN_OVER, MEAN_WITHOUT = 20, 3
#: A peak this much smaller than one of the other sign, within so many scores, is its shadow.
SHADOW_FACTOR, SHADOW_DISTANCE = 3.0, 23
#: Level in dB of a bin of digital silence (amplitude at most SILENT). Quieter bins that do hold sound keep their own
#: level: they carry much of the mark, and cutting them off at this level halves the quality.
SILENT, SILENT_DB = 1e-10, -96.0

_FFT = 16_384  # frames transformed at once


@dataclass(frozen=True)
class Start:
    """A block may begin at ``sample``; quality about 1 at strength 10, positive for A, negative for B."""

    sample: int
    quality: float


def levels(sound: NDArray[np.float64], starts: NDArray[np.intp]) -> Levels:
    """Levels in dB (len(starts), 81) of the frames that begin at the samples ``starts``, summed over channels.

    ``sound`` is (channels, samples); a frame that does not lie wholly inside gives zeros.
    """
    out = np.zeros((len(starts), len(BINS)), np.float32)
    whole = (starts >= 0) & (starts + FRAME <= sound.shape[1])
    inside = starts[whole]
    window = WINDOW.astype(np.float32)
    for channel in sound.astype(np.float32, copy=False):
        for first in range(0, len(inside), 2048):
            part = inside[first : first + 2048]
            frames = np.lib.stride_tricks.sliding_window_view(channel, FRAME)[part] * window
            amplitude = np.abs(scipy.fft.rfft(frames, axis=1)[:, BINS[0] : BINS[-1] + 1])
            decibel = 20 * np.log10(np.where(amplitude > SILENT, amplitude, 10 ** (SILENT_DB / 20)))
            out[np.flatnonzero(whole)[first : first + 2048]] += decibel
    return out


class SyncSearch:
    """Starts of blocks in a sound. With ``pair`` the pattern is two blocks long, A then B or B then A."""

    def __init__(self, layout: Layout, *, pair: bool = False) -> None:
        self._pair = pair
        signs = layout.sync_signs
        if pair:  # the second block's bits are inverted
            signs = np.concatenate([signs, -signs], axis=1)
        self._frames = np.flatnonzero((signs != 0).any(axis=(0, 2)))
        self._signs = signs
        self._length = signs.shape[1]
        self._expected = sync_bits(is_b=False).astype(np.float64) * 2 - 1

    def find(self, sound: NDArray[np.float64], *, first: int, last: int) -> list[Start]:
        """Likely starts from sample ``first`` to ``last`` (44.1 kHz; may be negative), best first."""
        at = np.arange(first, last + 1, COARSE)
        if not len(at):
            return []
        scores = self._scores(sound, at)
        scores -= _local_mean(scores)
        kept = [Start(int(at[i]), float(scores[i])) for i in _peaks(scores, THRESHOLD * 0.75)]
        refined = [self._refined(sound, start) for start in kept]
        refined.sort(key=lambda start: -abs(start.quality))
        good = sum(abs(start.quality) > THRESHOLD for start in refined)
        return refined[: BEST if self._pair else max(good, BEST)]

    def _scores(self, sound: NDArray[np.float64], at: NDArray[np.intp]) -> NDArray[np.float64]:
        """Qualities at starts COARSE apart, by correlation: four interleaved series of whole frames."""
        out = np.empty(len(at))
        steps = FRAME // COARSE
        stride = _FFT - self._length
        for series in range(min(steps, len(at))):
            own = at[series::steps]
            for begin in range(0, len(own), stride):
                some = own[begin : begin + stride]
                span = some[0] + FRAME * np.arange(len(some) + self._length - 1)
                out[series::steps][begin : begin + stride] = self._correlated(sound, span)[: len(some)]
        return out

    def _correlated(self, sound: NDArray[np.float64], span: NDArray[np.intp]) -> NDArray[np.float64]:
        frames = levels(sound, span)
        present = (span >= 0) & (span + FRAME <= sound.shape[1])
        size = scipy.fft.next_fast_len(len(span))
        spectrum = scipy.fft.rfft(frames, size, axis=0)
        there = scipy.fft.rfft(present.astype(np.float32), size)

        def over(spectra: NDArray[np.complex64]) -> NDArray[np.float64]:
            return np.asarray(scipy.fft.irfft(spectra, size)[: len(span) - self._length + 1], np.float64)

        parts = []
        for bit in self._signs:
            up = scipy.fft.rfft((bit == 1).astype(np.float32), size, axis=0).conj()
            down = scipy.fft.rfft((bit == -1).astype(np.float32), size, axis=0).conj()
            count = over(there * scipy.fft.rfft((bit != 0).any(axis=1).astype(np.float32), size).conj())
            parts.append((over((spectrum * up).sum(axis=1)), over((spectrum * down).sum(axis=1)), np.round(count)))
        return self._quality(*(np.array(values) for values in zip(*parts, strict=True)))

    def _quality(
        self, up: NDArray[np.float64], down: NDArray[np.float64], count: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Qualities from level sums (6, starts) over raised and lowered bins, and how many frames each sum holds."""
        up, down = np.minimum(up, -1e-6), np.minimum(down, -1e-6)
        raw = np.where(up < down, 1 - up / down, down / up - 1)
        weights = np.maximum(count, 0)
        total = weights.sum(axis=0)
        mean = (raw * weights * self._expected[:, None]).sum(axis=0) / np.maximum(total, 1)
        return np.where(total > 0, mean / (min(DEFAULT_STRENGTH / 1000, 0.080) * 2.9), 0.0)

    def _refined(self, sound: NDArray[np.float64], start: Start) -> Start:
        """The best start near ``start``; the step is narrowed from 32 samples to FINE."""
        best = start.sample
        offset = start.quality - self._at(sound, np.array([best]))[0]  # the local mean that was taken off
        for reach, step in ((COARSE, 4 * FINE), (3 * FINE, FINE)):
            tried = np.arange(best - reach, best + reach + 1, step)
            scores = (self._at(sound, tried) + offset) * np.sign(start.quality)
            best = int(tried[scores.argmax()])
        return Start(best, float(scores.max() * np.sign(start.quality)))

    def _at(self, sound: NDArray[np.float64], starts: NDArray[np.intp]) -> NDArray[np.float64]:
        """Qualities at any starts, looking only at sync frames."""
        at = starts[:, None] + FRAME * self._frames
        inside = ((at >= 0) & (at + FRAME <= sound.shape[1])).astype(np.float64)
        frames = levels(sound, at.ravel()).reshape(len(starts), len(self._frames), len(BINS))
        signs = self._signs[:, self._frames]
        up = np.einsum("sfk,bfk->bs", frames, (signs == 1).astype(np.float32), optimize=True).astype(np.float64)
        down = np.einsum("sfk,bfk->bs", frames, (signs == -1).astype(np.float32), optimize=True).astype(np.float64)
        count = (signs != 0).any(axis=2).astype(np.float64) @ inside.T
        return self._quality(up, down, count.reshape(SYNC_BITS, len(starts)))


def _local_mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel = np.ones(2 * MEAN_OVER + 1)
    kernel[MEAN_OVER - MEAN_WITHOUT : MEAN_OVER + MEAN_WITHOUT + 1] = 0
    padded, ones = (np.pad(values, MEAN_OVER) for values in (scores, np.ones_like(scores)))
    return np.convolve(padded, kernel, "valid") / np.maximum(np.convolve(padded * 0 + ones, kernel, "valid"), 1)


def _peaks(scores: NDArray[np.float64], least: float) -> list[int]:
    """Places of local maxima of size that are no shadow of a larger one of the other sign: all above ``least``, and at
    any rate the BEST largest, but no more than MOST."""
    size = np.abs(scores)
    padded = np.pad(size, 1, constant_values=-1.0)
    top = np.flatnonzero((size >= padded[:-2]) & (size > padded[2:]) & (size > 0))

    def shadowed(i: int) -> bool:
        near = scores[max(0, i - SHADOW_DISTANCE) : i + SHADOW_DISTANCE + 1]
        return bool((-np.sign(scores[i]) * near).max() > SHADOW_FACTOR * size[i])

    ordered = [int(i) for i in top[np.argsort(-size[top])] if not shadowed(int(i))]
    return ordered[: min(max(int((size[ordered] > least).sum()), BEST), MOST)]


#: Samples in a block.
BLOCK_SAMPLES = BLOCK_FRAMES * FRAME
