"""Log-mel filter banks as Kaldi computes them (Povey et al. 2011), which speaker models are trained on.

25 ms frames every 10 ms, only those that lie wholly inside the wave; mean removed, pre-emphasis, Povey's window (a Hann
window to the power of 0.85), power spectrum, triangles equally wide on the mel scale 1127 ln(1 + f / 700). No dither,
no energy term, no scaling of the wave.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

#: Rate of the wave in Hz, and everything in samples that follows from it.
SAMPLE_RATE = 16_000
FRAME, SHIFT, N_FFT = 400, 160, 512
PRE_EMPHASIS = 0.97
WINDOW_POWER = 0.85
#: Lower edge of the first triangle in Hz; the last one ends at half the sample rate.
LOWEST_HZ = 20.0
#: Smallest power before the logarithm: the step of float32 at one.
FLOOR = torch.finfo(torch.float32).eps


def fbank(wave: Tensor, *, bands: int = 80) -> Tensor:
    """Waves B x N at 16 kHz, -1..1 -> natural-log mels B x F x bands float32, F = 1 + (N - 400) // 160.

    Raises ValueError for a wave shorter than one frame.
    """
    if wave.dim() != 2 or wave.shape[1] < FRAME:
        raise ValueError(f"waves must have the shape (B, N) with at least {FRAME} samples")
    frames = wave.float().unfold(1, FRAME, SHIFT)
    frames = frames - frames.mean(2, keepdim=True)
    # The sample before the first one of a frame is taken to be the first one itself.
    before = torch.cat((frames[..., :1], frames[..., :-1]), dim=2)
    frames = (frames - PRE_EMPHASIS * before) * _window().to(wave.device)
    power = torch.fft.rfft(F.pad(frames, (0, N_FFT - FRAME))).abs().square()
    return torch.clamp(power @ _triangles(bands).to(wave.device), min=FLOOR).log()


@functools.cache
def _window() -> Tensor:
    # Outside inference mode, or a window first made there could never take part in training.
    with torch.inference_mode(False):
        return torch.hann_window(FRAME, periodic=False).pow(WINDOW_POWER)


@functools.lru_cache(maxsize=4)
def _triangles(bands: int) -> Tensor:
    """(bins, bands): how much each bin of the spectrum counts in each band; the topmost bin counts nowhere."""

    # In float32, as Kaldi has it: its rounding at the feet of the triangles is part of what models were trained on.
    low, high = (1127.0 * math.log(1.0 + hz / 700.0) for hz in (LOWEST_HZ, SAMPLE_RATE / 2))
    step = (high - low) / (bands + 1)
    with torch.inference_mode(False):
        band = torch.arange(bands)
        left, centre, right = (low + (band + place) * step for place in (0.0, 1.0, 2.0))
        bins = 1127.0 * (1.0 + SAMPLE_RATE / N_FFT * torch.arange(N_FFT // 2) / 700.0).log()[:, None]
        triangles = torch.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
        return F.pad(torch.clamp(triangles, min=0), (0, 0, 0, 1))
