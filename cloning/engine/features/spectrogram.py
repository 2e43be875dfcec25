"""Linear and mel spectrograms with the framing the official models were trained on.

A wave of n samples gives exactly ``n // hop`` frames: it is reflected by ``(n_fft - hop) / 2`` samples at both ends and
cut without centring (HiFi-GAN, Kong et al. 2020). Mel filters follow Slaney's Auditory Toolbox: linear below
1 kHz, logarithmic above, every triangle with the same area.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

from cloning.engine.config import AudioConfig

#: Added under the root of the power, so that the gradient of silence is finite (the official value).
POWER_FLOOR = 1e-8
#: Smallest mel magnitude before the logarithm (the official value).
MEL_FLOOR = 1e-5

#: Mels of v3 (24 kHz, read by BigVGAN) and v4 (32 kHz); everything between silence and full scale lies in MEL_RANGE.
V3_MEL = AudioConfig(sample_rate=24_000, n_fft=1024, win=1024, hop=256, n_mels=100, fmin=0.0, fmax=12_000.0)
V4_MEL = AudioConfig(sample_rate=32_000, n_fft=1280, win=1280, hop=320, n_mels=100, fmin=0.0, fmax=16_000.0)
MEL_RANGE = (-12.0, 2.0)

_BREAK_HZ = 1000.0
_HZ_PER_MEL = 200.0 / 3
_LOG_STEP = math.log(6.4) / 27


@functools.lru_cache(maxsize=16)
def window(win: int) -> Tensor:
    """Periodic Hann window, (win,). Shared: never write into it."""
    # Outside inference mode, or a window first made there could never take part in training.
    with torch.inference_mode(False):
        return torch.hann_window(win)


@functools.lru_cache(maxsize=16)
def mel_filters(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> Tensor:
    """Slaney mel filters, (n_mels, n_fft // 2 + 1) float32. Shared: never write into them."""
    with torch.inference_mode(False):
        return _mel_filters(sample_rate, n_fft, n_mels, fmin, fmax)


def _mel_filters(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> Tensor:
    def mel(hz: float) -> float:
        if hz < _BREAK_HZ:
            return hz / _HZ_PER_MEL
        return _BREAK_HZ / _HZ_PER_MEL + math.log(hz / _BREAK_HZ) / _LOG_STEP

    points = torch.linspace(mel(fmin), mel(fmax), n_mels + 2, dtype=torch.float64)
    knee = _BREAK_HZ / _HZ_PER_MEL
    edges = torch.where(points < knee, points * _HZ_PER_MEL, _BREAK_HZ * torch.exp((points - knee) * _LOG_STEP))
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    rising = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    area = 2.0 / (edges[2:] - edges[:-2])
    return (torch.clamp(torch.minimum(rising, falling), min=0) * area[:, None]).float()


def magnitude(wave: Tensor, *, n_fft: int, win: int, hop: int) -> Tensor:
    """Wave (B, samples) to magnitudes (B, n_fft // 2 + 1, samples // hop), float32, on the wave's device.

    The wave must be longer than ``(n_fft - hop) / 2`` samples, as reflection needs that much.
    """
    edge = (n_fft - hop) // 2
    padded = F.pad(wave.float()[:, None], (edge, n_fft - hop - edge), mode="reflect")[:, 0]
    spectrum = torch.stft(
        padded, n_fft, hop_length=hop, win_length=win, window=window(win).to(wave.device), center=False,
        normalized=False, onesided=True, return_complex=True,
    )  # fmt: skip
    return torch.sqrt(torch.view_as_real(spectrum).square().sum(-1) + POWER_FLOOR)


def linear(wave: Tensor, audio: AudioConfig) -> Tensor:
    """Wave (B, samples) at ``audio.sample_rate`` to linear magnitudes (B, bins, samples // hop)."""
    return magnitude(wave, n_fft=audio.n_fft, win=audio.win, hop=audio.hop)


def log_mel(spectrum: Tensor, audio: AudioConfig) -> Tensor:
    """Linear magnitudes (B, bins, T) to natural-log mels (B, n_mels, T)."""
    filters = mel_filters(audio.sample_rate, audio.n_fft, audio.n_mels, audio.fmin, audio.fmax)
    return torch.log(torch.clamp(filters.to(spectrum.device) @ spectrum, min=MEL_FLOOR))


def to_unit(mels: Tensor) -> Tensor:
    """Log mels of any shape, MEL_RANGE to -1..1, as the flow matching of v3 and v4 takes them."""
    low, high = MEL_RANGE
    return (mels - low) / (high - low) * 2 - 1


def from_unit(mels: Tensor) -> Tensor:
    """The inverse of `to_unit`."""
    low, high = MEL_RANGE
    return (mels + 1) / 2 * (high - low) + low
