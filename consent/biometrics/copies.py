"""Copy-synthesis: a recording taken apart and put together again by a machine, in the same voice, words and channel.

Pairs of a clip before and after are what the spoof detector learns from: everything but the synthesis is equal, so that
speaker, corpus and microphone are no cue. Here are the vocoders that need no weights; those of this platform's engine
come from the caller (``consent`` does not know the engine).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from scipy.fft import irfft, rfft

from consent.biometrics.audio import MODEL_RATE

Copy = Callable[[np.ndarray], np.ndarray]

ITERATIONS: Final = 32
#: Frames of the source-filter vocoder: 5 ms apart, as WORLD (Morise et al. 2016) uses.
_HOP: Final = 80
_FFT: Final = 1_024
#: Pitch searched, Hz; and the autocorrelation from which a frame counts as voiced.
_PITCH: Final = (60.0, 400.0)
_VOICED: Final = 0.45


def griffin_lim(fft: int, hop: int, mels: int) -> Copy:
    """Magnitudes (through ``mels`` bands and back, 0: all bins), then Griffin and Lim (1984) from seeded phases."""
    window = torch.hann_window(fft)
    bank = inverse = None
    if mels:
        top = 1127.0 * np.log1p(MODEL_RATE / 2.0 / 700.0)
        edges = 700.0 * np.expm1(np.linspace(0.0, top, mels + 2) / 1127.0)
        bins = np.linspace(0.0, MODEL_RATE / 2.0, fft // 2 + 1)
        rising = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
        falling = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
        bank = torch.from_numpy(np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32))
        inverse = torch.linalg.pinv(bank)

    def copy(sound: np.ndarray) -> np.ndarray:
        wave = torch.from_numpy(np.array(sound, dtype=np.float32))
        magnitude = torch.stft(wave, fft, hop, window=window, return_complex=True).abs()
        if bank is not None and inverse is not None:
            magnitude = (inverse @ (bank @ magnitude)).clamp_min(1e-7)
        generator = torch.Generator().manual_seed(0)
        phase = torch.exp(2j * torch.pi * torch.rand(magnitude.shape, generator=generator))
        for _ in range(ITERATIONS):
            guess = torch.istft(magnitude * phase, fft, hop, window=window, length=wave.numel())
            again = torch.stft(guess, fft, hop, window=window, return_complex=True)
            phase = again / again.abs().clamp_min(1e-8)
        return np.asarray(torch.istft(magnitude * phase, fft, hop, window=window, length=wave.numel()).numpy())

    return copy


def source_filter(order: int, *, pitch: float = 1.0, formants: float = 1.0) -> Copy:
    """A source-filter vocoder in the manner of WORLD: cepstral envelope of ``order`` coefficients, pulses and noise.

    ``pitch`` multiplies the fundamental and ``formants`` stretches the envelope: away from 1 this is a voice mask.
    """

    def copy(sound: np.ndarray) -> np.ndarray:
        padded = np.pad(sound.astype(np.float64), _FFT // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
        periods = _periods(frames)
        envelope = _envelope(frames * np.hanning(_FFT), order)
        if formants != 1.0:
            bins = np.arange(envelope.shape[1]) / formants
            envelope = np.stack([np.interp(bins, np.arange(row.size), row) for row in envelope])
        source = _excitation(periods / pitch, padded.size)
        excited = np.lib.stride_tricks.sliding_window_view(source, _FFT)[::_HOP] * np.hanning(_FFT)
        spoken = irfft(rfft(excited, axis=1) * np.exp(envelope), n=_FFT, axis=1) * np.hanning(_FFT)
        out, weight = np.zeros(padded.size), np.zeros(padded.size)
        square = np.hanning(_FFT) ** 2
        for index, frame in enumerate(spoken):
            span = slice(index * _HOP, index * _HOP + _FFT)
            out[span] += frame
            weight[span] += square
        made = (out / np.maximum(weight, 1e-3))[_FFT // 2 : _FFT // 2 + sound.size]
        level = np.sqrt(np.mean(sound.astype(np.float64) ** 2)) / max(float(np.sqrt(np.mean(made**2))), 1e-9)
        return (made * level).astype(np.float32)

    return copy


def _periods(frames: np.ndarray) -> np.ndarray:
    """Samples of a pitch period in each frame (frames,); 0 where nothing is voiced."""
    spectra = rfft(frames * np.hanning(_FFT), 2 * _FFT, axis=1)
    correlation = irfft(np.abs(spectra) ** 2, axis=1)[:, :_FFT]
    # The window takes correlation away at long lags: give it back (Boersma 1993).
    taper = irfft(np.abs(rfft(np.hanning(_FFT), 2 * _FFT)) ** 2)[:_FFT]
    normal = correlation / np.maximum(correlation[:, :1], 1e-12) / np.maximum(taper / taper[0], 1e-3)
    least, most = int(MODEL_RATE / _PITCH[1]), int(MODEL_RATE / _PITCH[0])
    best = normal[:, least:most].argmax(axis=1) + least
    strong = normal[np.arange(best.size), best] >= _VOICED
    return np.where(strong, best, 0).astype(np.float64)


def _envelope(frames: np.ndarray, order: int) -> np.ndarray:
    """Log magnitudes (frames, bins), smoothed by keeping the first ``order`` cepstral coefficients."""
    cepstrum = irfft(np.log(np.abs(rfft(frames, axis=1)) + 1e-7), axis=1)
    cepstrum[:, order : _FFT - order + 1] = 0.0
    return np.asarray(rfft(cepstrum, axis=1).real)


def _excitation(periods: np.ndarray, length: int) -> np.ndarray:
    """Unit-power pulses where a frame is voiced (periods in samples), noise elsewhere: (length,)."""
    noise = np.random.default_rng(0).standard_normal(length)
    period = np.repeat(periods, _HOP)
    period = np.pad(period, (0, max(0, length - period.size)))[:length]
    phase = np.cumsum(np.where(period > 0, 1.0 / np.maximum(period, 1.0), 0.0))
    pulses = np.diff(np.floor(phase), prepend=0.0) * np.sqrt(np.maximum(period, 1.0))
    return np.asarray(np.where(period > 0, pulses + 0.1 * noise, noise))
