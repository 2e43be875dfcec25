"""Faster forms of both models for training on a processor with bfloat16 products: the same function, the same
parameters under the same names, the same files.

What is gained, and where: convolutions over channels-last rows with gradients of their own (`rows`); weight norm in one
step, in bfloat16; random numbers for dropout drawn sixteen bits at a time; attention without the checks of torch's
general path. Weights, optimiser and losses stay float32. A model made quick remains a model of its class: it can be
saved, restored and stepped as before. Not for speaking (see `acoustic.fast` and `semantic.packed`) and not for CUDA.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.discriminators import SLOPE, Discriminators, Judgement, PeriodCritic
from cloning.engine.acoustic.layers import NormedConv, NormedTransposedConv
from cloning.engine.semantic.model import Block, KeyValueCache, SelfAttention
from cloning.engine.training.rows import Convolution, NormedWeight, Shape, Transposed, laid_out

#: Score of a place that must not be looked at: finite, so that a row without a visible place stays finite.
BLOCKED = -3e4


class QuickConv(nn.Module):
    """A convolution over B x C x L with the parameters of `source`; its result lies channels last in memory."""

    def __init__(self, source: nn.Conv1d | NormedConv) -> None:
        super().__init__()
        self.normed = isinstance(source, NormedConv)
        if isinstance(source, NormedConv):
            self.weight_v, self.weight_g = source.weight_v, source.weight_g
            settings = source.settings
            self.shape = Shape(
                source.weight_v.shape[2], _first(settings["stride"]), _first(settings["padding"]), settings["dilation"]
            )
        else:
            self.weight = source.weight
            assert isinstance(source.padding, tuple)
            self.shape = Shape(source.kernel_size[0], source.stride[0], source.padding[0], source.dilation[0])
        self.bias = source.bias
        #: The weight computed once for several calls (`judging`).
        self.held: Tensor | None = None

    def effective(self) -> Tensor:
        """O x C x K in bfloat16."""
        if self.held is not None:
            return self.held
        if self.normed:
            weight: Tensor = NormedWeight.apply(self.weight_v, self.weight_g)
            return weight
        return laid_out(self.weight)

    def rows(self, x: Tensor) -> Tensor:
        """B x L x C -> B x L' x O."""
        bias = None if self.bias is None else self.bias.to(torch.bfloat16)
        done: Tensor = Convolution.apply(x.to(torch.bfloat16).contiguous(), self.effective(), bias, self.shape)
        return done

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(x.transpose(1, 2)).transpose(1, 2)


class QuickUp(nn.Module):
    """The transposed convolution of a decoder stage, B x C x L -> B x C' x L * rate."""

    def __init__(self, source: NormedTransposedConv) -> None:
        super().__init__()
        self.weight_v, self.weight_g, self.bias = source.weight_v, source.weight_g, source.bias
        self.shape = Shape(source.weight_v.shape[2], source.rate, source.padding)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.transpose(1, 2).to(torch.bfloat16).contiguous()
        weight = NormedWeight.apply(self.weight_v, self.weight_g)
        bias = self.bias.to(torch.bfloat16)
        count = rows.shape[1] * self.shape.stride
        done: Tensor = Transposed.apply(rows, weight, bias, self.shape, count)
        return done.transpose(1, 2)


class QuickPeriodCritic(nn.Module):
    """A period critic whose columns are items of their own: rows of samples `period` apart."""

    def __init__(self, source: PeriodCritic) -> None:
        super().__init__()
        self.period = source.period
        self.convs = nn.ModuleList(QuickConv(conv) for conv in source.convs)  # type: ignore[arg-type]
        self.conv_post = QuickConv(source.conv_post)

    def forward(self, wave: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores B x M and features, in another order than the plain form's; losses take means over them."""
        missing = -wave.shape[2] % self.period
        if missing:
            wave = F.pad(wave, (0, missing), mode="reflect")
        batch = wave.shape[0]
        x = wave.view(batch, -1, self.period).transpose(1, 2).reshape(batch * self.period, -1, 1)
        features = []
        for conv in self.convs:
            assert isinstance(conv, QuickConv)
            x = F.leaky_relu(conv.rows(x), SLOPE)
            features.append(x.unflatten(0, (batch, self.period)))
        x = self.conv_post.rows(x).unflatten(0, (batch, self.period))
        features.append(x)
        return x.flatten(1), features


class _Dropout(torch.autograd.Function):
    """x with a share of its places set to 0 and the others scaled up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, share: float) -> Tensor:
        places = x.numel()
        # Four places from each 64-bit draw: torch's own draw costs more than the products around it.
        drawn = torch.empty(-(-places // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:places]
        limit = round(share * 2**16)
        kept = (drawn >= limit - 2**15).view(x.shape)
        ctx.save_for_backward(kept)
        ctx.scale = 2**16 / (2**16 - limit)
        return torch.ops.aten.native_dropout_backward(x, kept, ctx.scale)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (kept,) = ctx.saved_tensors
        return torch.ops.aten.native_dropout_backward(gradient.contiguous(), kept, ctx.scale), None


def dropout(x: Tensor, share: float) -> Tensor:
    """Dropout (Srivastava et al. 2014) from torch's global generator; the share is rounded to 1/65536."""
    if share == 0.0:
        return x
    done: Tensor = _Dropout.apply(x.contiguous(), share)
    return done


class QuickDropout(nn.Module):
    """`dropout` in training, nothing otherwise."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.share) if self.training else x


class QuickAttention(SelfAttention):
    """S1's attention spelled out, with the parameters of `source`."""

    def __init__(self, source: SelfAttention) -> None:
        nn.Module.__init__(self)
        self.heads, self.dropout = source.heads, source.dropout
        self.in_proj_weight, self.in_proj_bias = source.in_proj_weight, source.in_proj_bias
        self.out_proj = source.out_proj

    def forward(self, x: Tensor, visible: Tensor | None, cache: KeyValueCache | None = None, layer: int = 0) -> Tensor:
        if cache is not None or not self.training:
            return super().forward(x, visible, cache, layer)
        batch, count, width = x.shape
        fused = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        query, key, value = fused.view(batch, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        scores = (query * (width // self.heads) ** -0.5) @ key.transpose(2, 3)
        if visible is not None:
            scores = scores + torch.where(visible, 0.0, BLOCKED).to(scores.dtype)
        share = dropout(scores.softmax(-1), self.dropout)
        mixed = share @ value
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, count, width))
        return out


def available(device: str = "cpu") -> bool:
    """Whether this processor gains: x86-64 with bfloat16 products in oneDNN."""
    return (
        device == "cpu" and torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def quicken(model: nn.Module) -> nn.Module:
    """Exchange the parts of a Text2Semantic, an AcousticModel or Discriminators for their quick forms, in place.

    Parameters stay the very same objects, so an optimiser made before or after works. Undone by building a new model
    from `state_dict`, which is that of the plain form.
    """
    for name, part in list(model.named_children()):
        if isinstance(part, PeriodCritic):
            setattr(model, name, QuickPeriodCritic(part))
        elif isinstance(part, NormedTransposedConv) and not part.folded:
            setattr(model, name, QuickUp(part))
        elif _fits(part):
            setattr(model, name, QuickConv(part))  # type: ignore[arg-type]
        elif isinstance(part, SelfAttention):
            setattr(model, name, QuickAttention(part))
        elif isinstance(part, nn.Dropout) and isinstance(model, Block):
            setattr(model, name, QuickDropout(part.p))
        else:
            quicken(part)
    return model


def _fits(part: nn.Module) -> bool:
    """One-dimensional, trained, not grouped."""
    if isinstance(part, NormedConv):
        return not part.folded and part.weight_v.dim() == 3 and part.settings["groups"] == 1
    return (
        isinstance(part, nn.Conv1d)
        and part.groups == 1
        and isinstance(part.padding, tuple)
        and part.padding_mode == "zeros"
        and part.weight.requires_grad
    )


def both(critics: Discriminators, real: Tensor, fake: Tensor) -> tuple[Judgement, Judgement]:
    """Judge real and generated waves (B x 1 x N each) in one pass: weights are normed and read once."""
    whole = critics(torch.cat((real, fake)))
    count = len(real)
    return tuple(  # type: ignore[return-value]
        Judgement([s[half] for s in whole.scores], [[f[half] for f in row] for row in whole.features])
        for half in (slice(None, count), slice(count, None))
    )


@contextmanager
def judging(critics: Discriminators) -> Iterator[None]:
    """Within: the critics are only asked. Their parameters take no gradient, and weights are normed once.

    The backward pass of what they judged must lie within too, if it may compute their insides again.
    """
    parts = [part for part in critics.modules() if isinstance(part, QuickConv)]
    critics.requires_grad_(False)
    try:
        with torch.no_grad():
            for part in parts:
                part.held = part.effective()
        yield
    finally:
        for part in parts:
            part.held = None
        critics.requires_grad_(True)


def _first(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]
