"""BigVGAN arranged for speed, the same function: weight norm folded, convolutions channels last, the activation in one
pass (`fused`), every stage in stretches of time that stay in the cache (as `acoustic.fast` does for HiFi-GAN)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from cloning.engine.acoustic.fast import FastConv, FastUp
from cloning.engine.acoustic.layers import NormedConv
from cloning.engine.vocoders import fused
from cloning.engine.vocoders.bigvgan import AmpBlock, BigVgan
from cloning.engine.vocoders.snake import REACH, AntiAliasedSnake

Precision = Literal["float32", "bfloat16"]
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
#: Samples of one stretch of a stage; less is lost in the ends, more in the cache.
STRETCH = 6_400


class FastSnake(nn.Module):
    """The activation over B x C x 1 x N: one pass where the machine code takes the tensor, torch otherwise."""

    rates: Tensor
    gains: Tensor
    up: Tensor
    down: Tensor

    def __init__(self, source: AntiAliasedSnake) -> None:
        super().__init__()
        self.source = source
        rates, gains = (value.detach().float().contiguous() for value in source.act.rates())
        self.register_buffer("rates", rates)
        self.register_buffer("gains", gains)
        self.register_buffer("up", 2.0 * source.upsample.filter.detach().float().flatten())
        self.register_buffer("down", source.downsample.lowpass.filter.detach().float().flatten().contiguous())

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu":
            x = x.contiguous(memory_format=torch.channels_last)
            if fused.takes(x):
                return fused.snake(x, self.rates, self.gains, self.up, self.down)
        bent: Tensor = self.source(x.squeeze(2).float())
        return bent.to(x.dtype).unsqueeze(2).contiguous(memory_format=torch.channels_last)


def _laid_out(conv: nn.Module, dtype: torch.dtype) -> FastConv:
    assert isinstance(conv, NormedConv)
    return FastConv(conv.effective(), conv.bias, dtype, conv.settings["dilation"])


class FastAmpBlock(nn.Module):
    """`bigvgan.AmpBlock` over B x C x 1 x N."""

    def __init__(self, source: AmpBlock, dtype: torch.dtype) -> None:
        super().__init__()
        convs = [conv for pair in zip(source.convs1, source.convs2, strict=True) for conv in pair]
        self.convs = nn.ModuleList(_laid_out(conv, dtype) for conv in convs)
        self.bends = nn.ModuleList(FastSnake(bend) for bend in source.activations)  # type: ignore[arg-type]
        reaches = [conv.reach for conv in self.convs if isinstance(conv, FastConv)]
        #: Samples on either side that a sample of the result depends on.
        self.reach = sum(reaches) + REACH * len(reaches)

    def forward(self, x: Tensor) -> Tensor:
        """The input is not changed."""
        steps = list(zip(self.bends, self.convs, strict=True))
        for (bend1, first), (bend2, second) in zip(steps[::2], steps[1::2], strict=True):
            x = second(bend2(first(bend1(x)))).add_(x)
        return x


class FastAmpStage(nn.Module):
    """Upsampling, then the mean of the blocks, stretch by stretch."""

    def __init__(self, up: nn.Module, blocks: list[AmpBlock], dtype: torch.dtype) -> None:
        super().__init__()
        self.up = FastUp(up, dtype)  # type: ignore[arg-type]
        self.blocks = nn.ModuleList(FastAmpBlock(block, dtype) for block in blocks)
        self.reach = max(block.reach for block in self.blocks if isinstance(block, FastAmpBlock))

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(x)
        out = torch.empty_like(x)
        count = x.shape[3]
        starts = range(0, max(1, count - STRETCH // 2), STRETCH)
        for start in starts:
            stop = count if start == starts[-1] else start + STRETCH
            left, right = max(0, start - self.reach), min(count, stop + self.reach)
            piece = x[:, :, :, left:right].contiguous(memory_format=torch.channels_last)
            total: Tensor | None = None
            for block in self.blocks:
                one = block(piece)
                total = one if total is None else total.add_(one)
            assert total is not None
            out[:, :, :, start:stop] = total.div_(len(self.blocks))[:, :, :, start - left : stop - left]
        return out


class FastBigVgan(nn.Module):
    """Log mels B x mels x F -> wave B x 1 x (F * hop) float32, -1..1. Cannot be trained."""

    def __init__(self, source: BigVgan, precision: Precision = "float32") -> None:
        super().__init__()
        self.dtype = DTYPES[precision]
        self.final_tanh = source.config.final_tanh
        self.conv_pre = FastConv(source.conv_pre.effective(), source.conv_pre.bias, torch.float32)
        blocks, width = list(source.resblocks), len(source.config.block_kernels)
        self.stages = nn.ModuleList(
            FastAmpStage(up.get_submodule("0"), blocks[stage * width : (stage + 1) * width], self.dtype)  # type: ignore[arg-type]
            for stage, up in enumerate(source.ups)
        )
        self.bend = FastSnake(source.activation_post)
        self.conv_post = FastConv(source.conv_post.effective(), source.conv_post.bias, torch.float32)
        self.eval().requires_grad_(False)

    def forward(self, mels: Tensor) -> Tensor:
        x = mels.float().unsqueeze(2).contiguous(memory_format=torch.channels_last)
        x = self.conv_pre(x).to(self.dtype)
        for stage in self.stages:
            x = stage(x)
        x = self.conv_post(self.bend(x.float())).squeeze(2)
        return x.tanh_() if self.final_tanh else x.clamp_(-1.0, 1.0)
