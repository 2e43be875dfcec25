"""The anti-aliased Snake of BigVGAN (Lee et al., arXiv 2206.04658): a periodic activation at twice the rate.

A nonlinearity makes harmonics above half the sample rate, which fold back as noise. So the signal is doubled in rate
by a low-pass filter of 12 taps, bent there, and halved through a second filter (Karras et al. 2021, alias-free
networks).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TAPS = 12
#: Frames of the input that a frame of the output depends on, on either side.
REACH = 6
#: Keeps the reciprocal of the magnitude finite (the official value).
MAGNITUDE_FLOOR = 1e-9


class SnakeBeta(nn.Module):
    """x + sin(a x)^2 / b for each channel, a and b stored as logarithms. B x C x T -> B x C x T."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def rates(self) -> tuple[Tensor, Tensor]:
        """a and 1 / b, each of C."""
        return self.alpha.exp(), 1.0 / (self.beta.exp() + MAGNITUDE_FLOOR)

    def forward(self, x: Tensor) -> Tensor:
        rate, gain = (value[None, :, None] for value in self.rates())
        return x + gain * torch.sin(x * rate).square()


def half_band() -> Tensor:
    """The low-pass filter of the published files, 1 x 1 x 12: a sinc that ends at half the band under a Kaiser window
    for a transition of 0.6 of it (Kaiser's formulas; harris 1978)."""
    attenuation = 2.285 * (TAPS // 2 - 1) * math.pi * 1.2 + 7.95
    window = torch.kaiser_window(TAPS, beta=0.1102 * (attenuation - 8.7), periodic=False)
    taps = window * torch.sinc(0.5 * (torch.arange(TAPS) - (TAPS - 1) / 2))
    return (taps / taps.sum()).view(1, 1, TAPS)


class _Filter(nn.Module):
    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", half_band())


class Upsample(_Filter):
    """B x C x T -> B x C x 2T; beyond the ends the outermost frames go on."""

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        x = F.pad(x, (5, 5), mode="replicate")
        x = 2.0 * F.conv_transpose1d(x, self.filter.expand(channels, -1, -1), stride=2, groups=channels)
        return x[..., 15:-15]


class Lowpass(_Filter):
    """B x C x 2T -> B x C x T; beyond the ends the outermost samples go on."""

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        x = F.pad(x, (5, 6), mode="replicate")
        return F.conv1d(x, self.filter.expand(channels, -1, -1), stride=2, groups=channels)


class Downsample(nn.Module):
    """Holds the low-pass filter under its official name."""

    def __init__(self) -> None:
        super().__init__()
        self.lowpass = Lowpass()

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.lowpass(x)
        return halved


class AntiAliasedSnake(nn.Module):
    """B x C x T -> B x C x T. Parameters and filters have their official names; filters come from the file."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = SnakeBeta(channels)
        self.upsample = Upsample()
        self.downsample = Downsample()

    def forward(self, x: Tensor) -> Tensor:
        bent: Tensor = self.downsample(self.act(self.upsample(x)))
        return bent
