"""Marking sound as it comes: chunks in, marked chunks out, the same samples as if the whole had been marked at once.

Everything here looks ahead by a fixed 48 ms (the analysis window and the smoothing of steps), plus the resampler's
delay when the sound is not at 32 kHz. embed() runs this very code with one chunk, so the two cannot drift apart.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from watermark.codec import grid, loudness
from watermark.codec.codeword import check_key, check_payload, codewords
from watermark.codec.errors import UnmarkableAudio
from watermark.codec.grid import CHIPS, HOP, HOPS_PER_CHIP, RATE, WINDOW, Wave

#: Highest sample to which a mark may lift a sound; a sample that was higher already is not lifted at all.
CEILING = 0.98
#: Weights over five frames that smooth the steps between chips.
SMOOTHING = np.array([1, 3, 4, 3, 1], np.float32) / 12
_SIDE = len(SMOOTHING) // 2


class _Resampler:
    """A one-way resampler fed chunk by chunk, (channels, samples) in and out; nothing is done at equal rates."""

    def __init__(self, rate: int, to: int, channels: int) -> None:
        self._stream = soxr.ResampleStream(rate, to, channels, dtype="float32") if rate != to else None

    def __call__(self, chunk: Wave, *, last: bool) -> Wave:
        if self._stream is None:
            return chunk
        out = self._stream.resample_chunk(np.ascontiguousarray(chunk.T), last=last)
        return np.asarray(out.reshape(-1, chunk.shape[0]).T, np.float32)


class MarkSignal:
    """The difference that marks a 32 kHz sound, made as the sound comes. ``code`` is (CHIPS, BANDS), strength in dB."""

    def __init__(self, code: NDArray[np.float32], strength: float, channels: int) -> None:
        self._code, self._strength = code, strength
        # The first frame ends where the sound begins: frame k is centred at sample 256 k - 512, which is hop k - 2.
        self._host = np.zeros((channels, WINDOW), np.float32)
        self._frame = 0
        self._loudest = np.full((channels, 1), -np.inf, np.float32)
        self._spectra = np.zeros((channels, 0, WINDOW // 2 + 1), np.complex64)
        self._gains = np.zeros((channels, 0, grid.BANDS), np.float32)
        self._sum = np.zeros((channels, 0), np.float32)
        self._skip = WINDOW

    def __call__(self, host: Wave, *, last: bool) -> Wave:
        """The next part (channels, samples) of the difference; with ``last`` all that is left, and a little silence."""
        parts = [self._host, host]
        if last:
            parts.append(np.zeros((len(host), WINDOW + HOP), np.float32))
        self._host = np.concatenate(parts, axis=1)
        if self._host.shape[1] >= WINDOW:
            self._take(grid.framed(self._host))
        return self._give(last=last)

    def _take(self, spectra: NDArray[np.complex64]) -> None:
        count = spectra.shape[1]
        self._host = self._host[:, count * HOP :]
        chips = (np.arange(self._frame, self._frame + count) - 2) // HOPS_PER_CHIP % CHIPS
        gains, self._loudest = loudness.gains(grid.band_energies(spectra), self._strength, self._loudest)
        gains *= self._code[chips]
        if self._frame == 0:  # the first and last gains stand for those beyond the ends
            gains = np.concatenate([np.repeat(gains[:, :1], _SIDE, axis=1), gains], axis=1)
        self._frame += count
        self._spectra = np.concatenate([self._spectra, spectra], axis=1)
        self._gains = np.concatenate([self._gains, gains], axis=1)

    def _give(self, *, last: bool) -> Wave:
        if last and self._gains.shape[1]:
            self._gains = np.concatenate([self._gains, np.repeat(self._gains[:, -1:], _SIDE, axis=1)], axis=1)
        count = self._gains.shape[1] - 2 * _SIDE
        if count <= 0:
            return np.zeros((len(self._host), 0), np.float32)
        smooth = sum(weight * self._gains[:, shift : shift + count] for shift, weight in enumerate(SMOOTHING))
        edges = grid.EDGES
        factors = np.repeat(10 ** (np.asarray(smooth, np.float32) / 20) - 1, np.diff(edges), axis=2)
        difference = np.zeros((len(self._host), count, WINDOW // 2 + 1), np.complex64)
        difference[..., edges[0] : edges[-1]] = self._spectra[:, :count, edges[0] : edges[-1]] * factors
        self._spectra, self._gains = self._spectra[:, count:], self._gains[:, count:]
        new = grid.added(difference) / np.float32(grid.OVERLAP)
        new[:, : self._sum.shape[1]] += self._sum
        # A frame to come will add to everything from HOP after the start of the last one.
        ready = new.shape[1] if last else count * HOP
        self._sum = new[:, ready:]
        out = new[:, min(self._skip, ready) : ready]
        self._skip -= min(self._skip, ready)
        return np.asarray(out, np.float32)


class MarkStream:
    """Marks a sound that comes in chunks, (samples,) or (channels, samples), each at ``rate`` (grid.EMBED_RATES).

    push() returns what is ready, flush() the rest; together they are as long as what went in. The mark is not read
    back: only the whole can be, with Detector.score(). Raises BadKey, BadPayload, UnmarkableAudio, ValueError.
    """

    def __init__(self, rate: int, payload: int, key: bytes, *, strength: float, channels: int = 1) -> None:
        if rate not in grid.EMBED_RATES:
            raise UnmarkableAudio(f"a rate of {rate} Hz is not one of {', '.join(map(str, grid.EMBED_RATES))}")
        if not 1 <= channels <= grid.MAX_CHANNELS:
            raise UnmarkableAudio(f"{channels} channels; 1 to {grid.MAX_CHANNELS} can be marked")
        loudness.check_strength(strength)
        code = codewords(check_key(key), [check_payload(payload)])[0]
        self._down = _Resampler(rate, RATE, channels)
        self._signal = MarkSignal(code, strength, channels)
        self._up = _Resampler(RATE, rate, channels)
        self._waiting = np.zeros((channels, 0), np.float32)
        self._marks = np.zeros((channels, 0), np.float32)
        self._mono: bool | None = None
        self._closed = False

    def push(self, chunk: object) -> Wave:
        """Take the next samples and return those that are ready: none, fewer or more than came in."""
        return self._next(np.asarray(chunk), last=False)

    def flush(self) -> Wave:
        """All that is left; the stream ends."""
        stereo = self._mono is False or len(self._waiting) > 1
        empty = np.zeros((len(self._waiting), 0) if stereo else 0, np.float32)
        return self._next(empty, last=True)

    def _next(self, chunk: NDArray[np.float32], *, last: bool) -> Wave:
        if self._closed:
            raise ValueError("the stream has ended")
        if not np.issubdtype(chunk.dtype, np.floating) or not np.isfinite(chunk).all():
            raise UnmarkableAudio("samples must be finite floating point numbers in -1..1")
        mono = chunk.ndim == 1
        host = np.atleast_2d(chunk).astype(np.float32, copy=False)
        if (
            host.ndim != 2
            or len(host) != len(self._waiting)
            or mono is not (mono if self._mono is None else self._mono)
        ):
            raise UnmarkableAudio(f"every chunk must have {len(self._waiting)} channels, as the first one")
        if host.size and float(np.abs(host).max()) > 1.0:
            raise UnmarkableAudio("samples lie outside -1..1")
        self._mono, self._closed = mono, last
        marks = self._up(self._signal(self._down(host, last=last), last=last), last=last)
        self._waiting = np.concatenate([self._waiting, host], axis=1)
        self._marks = np.concatenate([self._marks, marks], axis=1)
        size = self._waiting.shape[1] if last else min(self._waiting.shape[1], self._marks.shape[1])
        marks = np.pad(self._marks[:, :size], ((0, 0), (0, max(0, size - self._marks.shape[1]))))
        out = limited(self._waiting[:, :size], marks)
        self._waiting, self._marks = self._waiting[:, size:], self._marks[:, size:]
        return out[0] if mono else out


def limited(host: Wave, difference: Wave) -> Wave:
    """The sum, kept within CEILING or, where the host is higher, within the host: no look-ahead, no pumping."""
    most = np.maximum(np.abs(host), np.float32(CEILING))
    return np.asarray(np.clip(host + difference, -most, most), np.float32)
