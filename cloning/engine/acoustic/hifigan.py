"""The HiFi-GAN generator (Kong et al. 2020): latent frames into a wave in S2 (`dec`), mels into a wave for v4.

Each stage: leaky ReLU, transposed convolution, then the mean of residual blocks with different kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.excitation import Injection, drive
from cloning.engine.acoustic.layers import NormedConv, NormedTransposedConv
from cloning.engine.config import AcousticConfig

#: Slope of the leaky ReLU inside stages; before the last convolution torch's default of 0.01 stands.
SLOPE = 0.1
FINAL_SLOPE = 0.01
#: Spread of the initial weights of the residual and upsampling convolutions.
DEVIATION = 0.01


def _dilated(channels: int, kernel: int, dilation: int) -> NormedConv:
    padding = dilation * (kernel - 1) // 2
    return NormedConv(channels, channels, (kernel,), padding=padding, dilation=dilation, deviation=DEVIATION)


class ResBlock1(nn.Module):
    """Three pairs of a dilated and a plain convolution, each pair with a residual."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_dilated(channels, kernel, d) for d in dilations)
        self.convs2 = nn.ModuleList(_dilated(channels, kernel, 1) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for first, second in zip(self.convs1, self.convs2, strict=True):
            x = x + second(F.leaky_relu(first(F.leaky_relu(x, SLOPE)), SLOPE))
        return x


class ResBlock2(nn.Module):
    """The light form: one dilated convolution for each residual."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_dilated(channels, kernel, d) for d in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = x + conv(F.leaky_relu(x, SLOPE))
        return x


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths in channels. `condition` 0: nothing is added after the first convolution."""

    inputs: int
    initial: int
    rates: tuple[int, ...]
    kernels: tuple[int, ...]
    block_kernels: tuple[int, ...]
    dilations: tuple[tuple[int, ...], ...]
    resblock: Literal["1", "2"] = "1"
    condition: int = 0
    final_bias: bool = False
    #: Samples of a frame where a source is injected, whose channels follow the inputs (`excitation`); 0: none.
    driven: int = 0


def split(x: Tensor, inputs: int, hop: int) -> tuple[Tensor, Tensor | None]:
    """The decoder's inputs, and the source that what is carried behind them stands for (hop 0: None)."""
    return (x[:, :inputs], drive(x[:, inputs:], hop)) if hop else (x, None)


class Upsampler(nn.Module):
    """B x inputs x F, condition B x condition x 1 where there is one -> wave B x 1 x (F * product of rates), -1..1."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        block = ResBlock1 if shape.resblock == "1" else ResBlock2
        self.kernels = len(shape.block_kernels)
        channels = shape.initial
        self.conv_pre = nn.Conv1d(shape.inputs, channels, 7, padding=3)
        self.cond = nn.Conv1d(shape.condition, channels, 1) if shape.condition else None
        self.inputs = shape.inputs
        self.hop = shape.driven
        widths = [channels // 2 ** (stage + 1) for stage in range(len(shape.rates))]
        self.source = Injection(widths, shape.rates) if shape.driven else None
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        for rate, kernel in zip(shape.rates, shape.kernels, strict=True):
            self.ups.append(NormedTransposedConv(channels, channels // 2, kernel, rate, deviation=DEVIATION))
            channels //= 2
            for size, dilations in zip(shape.block_kernels, shape.dilations, strict=True):
                self.resblocks.append(block(channels, size, dilations))
        self.conv_post = nn.Conv1d(channels, 1, 7, padding=3, bias=shape.final_bias)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        x, driven = split(x, self.inputs, self.hop)
        x = self.conv_pre(x)
        if self.cond is not None:
            x = x + self.cond(style)
        blocks = list(self.resblocks)
        for stage, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, SLOPE))
            if self.source is not None:
                x = x + self.source[stage](driven)
            own = blocks[stage * self.kernels : (stage + 1) * self.kernels]
            total = own[0](x)
            for block in own[1:]:
                total = total + block(x)
            x = total / self.kernels
        return torch.tanh(self.conv_post(F.leaky_relu(x, FINAL_SLOPE)))


class Decoder(Upsampler):
    """S2's own: B x latent x F, style B x style x 1 -> wave B x 1 x (F * hop), -1..1.

    With a source the latent comes as `excitation.carry` gives it.
    """

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__(
            Shape(
                inputs=config.latent,
                initial=config.upsample_initial,
                rates=config.upsample_rates,
                kernels=config.upsample_kernels,
                block_kernels=config.resblock_kernels,
                dilations=config.resblock_dilations,
                resblock=config.resblock,
                condition=config.style,
                driven=math.prod(config.upsample_rates) if config.pitch_hidden else 0,
            )
        )
