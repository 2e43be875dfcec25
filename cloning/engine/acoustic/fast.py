"""S2 made ready for synthesis: the same function as the trained model, arranged for speed.

Nearly all work is HiFi-GAN's, and its narrow, long 1-d convolutions are where plain execution loses most. Four things
help on a CPU, none of which changes the mathematics: weight norm is folded; a convolution over B x C x 1 x N with
channels last in memory runs at the processor's matrix rate where conv1d does not; activations and residuals are
computed in place; and each stage runs over stretches of time short enough for the cache, with enough extra samples
on either side that every kept sample sees exactly what it saw before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.hifigan import FINAL_SLOPE, SLOPE, ResBlock1, ResBlock2, Upsampler, split
from cloning.engine.acoustic.int8 import Int8Conv, check_available
from cloning.engine.acoustic.layers import NormedConv, NormedTransposedConv, fold_weight_norm
from cloning.engine.errors import EngineError

Precision = Literal["float32", "bfloat16", "int8"]
#: What stages hand to each other in.
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.bfloat16}
#: Narrowest stage (channels) that "int8" computes in integers; below it bfloat16 is as fast.
LEAST_INT8_CHANNELS = 32
#: Samples of one stretch of a stage. Shorter ones lose to the extra samples at their ends, longer ones to the cache;
#: the optimum is flat.
STRETCH = 12_800


def prepare(model: AcousticModel, precision: Precision = "float32") -> AcousticModel:
    """Turn a model into its fast form for `decode` and streaming; it is changed in place and returned.

    Afterwards it has no posterior encoder and no weight-norm pairs, cannot be trained, and its state dict has no
    official names any more. "float32" gives the same wave to rounding. "bfloat16" computes the vocoder's stages in half
    the bytes, "int8" (CPU only) the convolutions of its wide stages in 8-bit integers; everything before the stages
    and the last convolution stay float32. Both pay only on processors with such arithmetic (AVX512-BF16 or AMX, VNNI),
    and bench/acoustic.py tells what they cost in signal to noise. Raises EngineError `unsupported_precision`, before
    anything is changed.
    """
    if precision not in DTYPES:
        raise EngineError("unsupported_precision", f"no precision {precision!r} here; known: {', '.join(DTYPES)}")
    if precision == "int8":
        check_available()
    if isinstance(model.dec, FastDecoder):
        if model.dec.precision != precision:
            raise EngineError("unsupported_precision", f"this model is prepared already, in {model.dec.precision}")
        return model
    model.eval().requires_grad_(False)
    model.enc_q = None
    fold_weight_norm(model)
    for part in (model.enc_p, model.flow):
        _replace_convolutions(part)
    model.dec = FastDecoder(model.dec, precision)  # type: ignore[assignment]
    return model


def _lay_out(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A 1-d convolution's weight as a 2-d one of height 1, channels last."""
    return weight.detach().unsqueeze(2).to(dtype).contiguous(memory_format=torch.channels_last)


class FastConv(nn.Module):
    """A same-length convolution over B x C x 1 x N."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, dilation: int = 1) -> None:
        super().__init__()
        self.register_buffer("weight", _lay_out(weight, dtype))
        self.register_buffer("bias", None if bias is None else bias.detach().to(dtype))
        self.dilation = dilation
        self.reach = (weight.shape[2] - 1) // 2 * dilation

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, 1, (0, self.reach), (1, self.dilation))


class FlatConv(FastConv):
    """The same over B x C x N, for the encoders and the flow. Its result keeps channels last in memory, so that from
    one convolution to the next nothing is copied.

    oneDNN is asked for by name: left to choose, torch runs kernels of size 1 and short inputs on one thread through
    code of half the speed.
    """

    def forward(self, x: Tensor) -> Tensor:
        laid_out = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        if x.device.type == "cpu" and torch.backends.mkldnn.is_available():
            out: Tensor = torch.mkldnn_convolution(
                laid_out, self.weight, self.bias, (0, self.reach), (1, 1), (1, self.dilation), 1
            )
            return out.squeeze(2)
        return super().forward(laid_out).squeeze(2)


def _replace_convolutions(module: nn.Module) -> None:
    """Every same-length convolution below `module` -> FlatConv, in float32."""
    for name, part in module.named_children():
        if isinstance(part, nn.Conv1d):
            module.add_module(name, FlatConv(part.weight, part.bias, torch.float32, part.dilation[0]))
        elif isinstance(part, NormedConv):
            module.add_module(name, FlatConv(part.effective(), part.bias, torch.float32, part.settings["dilation"]))
        else:
            _replace_convolutions(part)


class FastUp(nn.Module):
    """The transposed convolution of a stage, B x C x 1 x N -> B x C' x 1 x N * rate."""

    weight: Tensor
    bias: Tensor

    def __init__(self, source: NormedTransposedConv, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("weight", _lay_out(source.effective(), dtype))
        self.register_buffer("bias", source.bias.detach().to(dtype))
        self.stride = (1, source.rate)
        self.padding = (0, source.padding)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding)


Conv = FastConv | Int8Conv


class FastBlock(nn.Module):
    """A residual block; `steps` are its residuals, each of one or two convolutions."""

    def __init__(self, source: ResBlock1 | ResBlock2, make: Callable[[NormedConv], Conv]) -> None:
        super().__init__()
        rows = (source.convs1, source.convs2) if isinstance(source, ResBlock1) else (source.convs,)
        self.steps = nn.ModuleList(
            nn.ModuleList(make(conv) for conv in step)  # type: ignore[arg-type]
            for step in zip(*rows, strict=True)
        )
        #: Samples on either side that a sample of the result depends on.
        self.reach: int = sum(conv.reach for conv in self.modules() if isinstance(conv, Conv))

    def forward(self, x: Tensor, active: Tensor) -> Tensor:
        """`active` is leaky_relu(x), which the blocks of a stage share; neither is changed."""
        for index, step in enumerate(self.steps):
            assert isinstance(step, nn.ModuleList)
            inner = active if index == 0 else F.leaky_relu(x, SLOPE)
            for place, conv in enumerate(step):
                inner = conv(inner if place == 0 else F.leaky_relu_(inner, SLOPE))
            x = inner.add_(x)
        return x


class FastStage(nn.Module):
    """Upsampling, then the mean of the residual blocks, computed stretch by stretch."""

    def __init__(
        self, up: NormedTransposedConv, blocks: list[ResBlock1 | ResBlock2], precision: Precision = "float32"
    ) -> None:
        super().__init__()
        dtype = DTYPES[precision]
        self.up = FastUp(up, dtype)
        whole = precision == "int8" and len(up.bias) >= LEAST_INT8_CHANNELS
        #: What the blocks compute in: integer convolutions take and give float32.
        self.inner = torch.float32 if whole else dtype

        def make(conv: NormedConv) -> Conv:
            dilation = conv.settings["dilation"]
            if whole:
                return Int8Conv(conv.effective(), conv.bias, dilation)
            return FastConv(conv.effective(), conv.bias, dtype, dilation)

        self.blocks = nn.ModuleList(FastBlock(block, make) for block in blocks)
        self.reach = max(block.reach for block in self.blocks if isinstance(block, FastBlock))

    def forward(self, x: Tensor, joined: Tensor | None = None) -> Tensor:
        """`joined`: what is added to the upsampled samples (the source), B x C' x 1 x N * rate."""
        x = self.up(F.leaky_relu_(x, SLOPE))
        if joined is not None:
            x = x.add_(joined)
        out = torch.empty_like(x)
        count = x.shape[3]
        # The last stretch takes up what would be too short for one of its own.
        starts = range(0, max(1, count - STRETCH // 2), STRETCH)
        for start in starts:
            stop = count if start == starts[-1] else start + STRETCH
            # Beyond the ends of the sound the blocks' own zero padding stands, as in one whole run.
            left, right = max(0, start - self.reach), min(count, stop + self.reach)
            mean = self._mean(x[:, :, :, left:right])
            out[:, :, :, start:stop] = mean[:, :, :, start - left : stop - left]
        return out

    def _mean(self, x: Tensor) -> Tensor:
        x = x.to(self.inner)
        active = F.leaky_relu(x, SLOPE)
        total: Tensor | None = None
        for block in self.blocks:
            one = block(x, active)
            total = one if total is None else total.add_(one)
        assert total is not None
        return total.div_(len(self.blocks))


class FastDecoder(nn.Module):
    """`hifigan.Upsampler` for inference: the same inputs -> wave B x 1 x N float32, -1..1."""

    def __init__(self, source: Upsampler, precision: Precision) -> None:
        super().__init__()
        self.precision = precision
        self.dtype = DTYPES[precision]
        self.conv_pre = FastConv(source.conv_pre.weight, source.conv_pre.bias, torch.float32)
        self.cond = source.cond
        blocks = list(source.resblocks)
        width = source.kernels
        self.stages = nn.ModuleList(
            FastStage(up, blocks[stage * width : (stage + 1) * width], precision)  # type: ignore[arg-type]
            for stage, up in enumerate(source.ups)
        )
        self.source = source.source
        self.inputs, self.hop = source.inputs, source.hop
        self.conv_post = FastConv(source.conv_post.weight, source.conv_post.bias, torch.float32)

    def official_names(self) -> Iterator[tuple[str, nn.Module]]:
        """Every layer under the name that it has in `hifigan.Upsampler`."""
        yield from (("conv_pre", self.conv_pre), ("conv_post", self.conv_post))
        if self.cond is not None:
            yield "cond", self.cond
        if self.source is not None:
            yield from ((f"source.{stage}", join) for stage, join in enumerate(self.source))
        for number, stage in enumerate(self.stages):
            assert isinstance(stage, FastStage)
            yield f"ups.{number}", stage.up
            for place, block in enumerate(stage.blocks, number * len(stage.blocks)):
                assert isinstance(block, FastBlock)
                for residual, convs in enumerate(block.steps):
                    assert isinstance(convs, nn.ModuleList)
                    rows = ("convs1", "convs2") if len(convs) == 2 else ("convs",)
                    yield from (
                        (f"resblocks.{place}.{row}.{residual}", conv) for row, conv in zip(rows, convs, strict=True)
                    )

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        x, driven = split(x, self.inputs, self.hop)
        x = self.conv_pre(x.unsqueeze(2).contiguous(memory_format=torch.channels_last))
        if self.cond is not None:
            x = x.add_(self.cond(style).unsqueeze(2))
        x = x.to(self.dtype)
        for number, stage in enumerate(self.stages):
            x = stage(x, None if self.source is None else self.source[number](driven).unsqueeze(2).to(x.dtype))
        x = self.conv_post(F.leaky_relu_(x, FINAL_SLOPE).float())
        return x.squeeze(2).tanh_()
