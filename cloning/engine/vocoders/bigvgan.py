"""BigVGAN v2 (Lee et al., arXiv 2206.04658; NVIDIA's release 2): mels into a wave, v3's vocoder.

HiFi-GAN's shape with the anti-aliased Snake in place of every leaky ReLU. Names follow the published files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cloning.engine.acoustic.layers import NormedConv, NormedTransposedConv
from cloning.engine.errors import CheckpointError
from cloning.engine.features.pretrained import whole_number
from cloning.engine.vocoders.snake import AntiAliasedSnake

DEVIATION = 0.01
#: Most stages; the published model has 6. Most channels after the first convolution; it has 1536.
MOST_STAGES = 8
MOST_CHANNELS = 2048


@dataclass(frozen=True, slots=True)
class BigVganConfig:
    """Widths in channels; the product of `rates` is the samples of one mel frame."""

    mels: int
    initial: int
    rates: tuple[int, ...]
    kernels: tuple[int, ...]
    block_kernels: tuple[int, ...]
    dilations: tuple[tuple[int, ...], ...]
    sample_rate: int
    final_tanh: bool
    final_bias: bool

    @property
    def hop(self) -> int:
        return math.prod(self.rates)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> BigVganConfig:
        """The published `config.json`. Raises CheckpointError `bad_config` for what is missing, out of range or another
        architecture."""
        expected = {"resblock": "1", "activation": "snakebeta", "snake_logscale": True}
        for name, value in expected.items():
            if settings.get(name) != value:
                raise CheckpointError("bad_config", f"`{name}` is not {value!r}, which alone is built here")
        rates, kernels = _row(settings, "upsample_rates", 32), _row(settings, "upsample_kernel_sizes", 64)
        sizes = _row(settings, "resblock_kernel_sizes", 31)
        raw = settings.get("resblock_dilation_sizes")
        if not isinstance(raw, list) or len(raw) != len(sizes):
            raise CheckpointError("bad_config", "`resblock_dilation_sizes` does not have a row for each kernel")
        dilations = tuple(_row({"resblock_dilation_sizes": row}, "resblock_dilation_sizes", 32) for row in raw)
        tanh, bias = (settings.get(name, True) for name in ("use_tanh_at_final", "use_bias_at_final"))
        initial = whole_number(settings, "upsample_initial_channel", 2, MOST_CHANNELS)
        pairs = len(rates) == len(kernels) and all(
            k >= r and (k - r) % 2 == 0 for r, k in zip(rates, kernels, strict=False)
        )
        odd = all(size % 2 == 1 for size in sizes)
        if not pairs or not odd or initial % 2 ** len(rates) or type(tanh) is not bool or type(bias) is not bool:
            raise CheckpointError("bad_config", "the vocoder's rates, kernels and channels contradict each other")
        return cls(
            mels=whole_number(settings, "num_mels", 8, 512),
            initial=initial,
            rates=rates,
            kernels=kernels,
            block_kernels=sizes,
            dilations=dilations,
            sample_rate=whole_number(settings, "sampling_rate", 8000, 96_000),
            final_tanh=tanh,
            final_bias=bias,
        )


def _row(settings: Mapping[str, Any], name: str, most: int) -> tuple[int, ...]:
    value = settings.get(name)
    fits = isinstance(value, list) and 0 < len(value) <= MOST_STAGES
    if not fits or not all(type(item) is int and 0 < item <= most for item in value or ()):
        raise CheckpointError("bad_config", f"`{name}` is not a short list of whole numbers from 1 to {most}")
    return tuple(value or ())


class AmpBlock(nn.Module):
    """Residual pairs of a dilated and a plain convolution, an activation of its own before each."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()

        def conv(dilation: int) -> NormedConv:
            padding = dilation * (kernel - 1) // 2
            return NormedConv(channels, channels, (kernel,), padding=padding, dilation=dilation, deviation=DEVIATION)

        self.convs1 = nn.ModuleList(conv(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(conv(1) for _ in dilations)
        self.activations = nn.ModuleList(AntiAliasedSnake(channels) for _ in range(2 * len(dilations)))

    def forward(self, x: Tensor) -> Tensor:
        bends = list(self.activations)
        for first, second, bend1, bend2 in zip(self.convs1, self.convs2, bends[::2], bends[1::2], strict=True):
            x = x + second(bend2(first(bend1(x))))
        return x


class BigVgan(nn.Module):
    """Log mels B x mels x F -> wave B x 1 x (F * hop), -1..1."""

    def __init__(self, config: BigVganConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.initial
        self.conv_pre = NormedConv(config.mels, channels, (7,), padding=3)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        for rate, kernel in zip(config.rates, config.kernels, strict=True):
            up = NormedTransposedConv(channels, channels // 2, kernel, rate, deviation=DEVIATION)
            self.ups.append(nn.ModuleList([up]))
            channels //= 2
            for size, dilations in zip(config.block_kernels, config.dilations, strict=True):
                self.resblocks.append(AmpBlock(channels, size, dilations))
        self.activation_post = AntiAliasedSnake(channels)
        self.conv_post = NormedConv(channels, 1, (7,), padding=3, deviation=DEVIATION, bias=config.final_bias)

    def forward(self, mels: Tensor) -> Tensor:
        x = self.conv_pre(mels)
        blocks, width = list(self.resblocks), len(self.config.block_kernels)
        for stage, up in enumerate(self.ups):
            x = up.get_submodule("0")(x)
            own = blocks[stage * width : (stage + 1) * width]
            total = own[0](x)
            for block in own[1:]:
                total = total + block(x)
            x = total / width
        x = self.conv_post(self.activation_post(x))
        return torch.tanh(x) if self.config.final_tanh else x.clamp(-1.0, 1.0)
