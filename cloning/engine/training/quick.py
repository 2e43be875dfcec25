"""Faster forms of both models for training on a processor with bfloat16 products: the same function, the same
parameters under the same names, the same files.

What is gained, and where: convolutions over channels-last rows with gradients of their own (`rows`); weight norm in one
step, in bfloat16, and once for a weight that does not change; random numbers for dropout drawn sixteen bits at a time;
attention without the checks of torch's general path. Weights, optimiser and losses stay float32.

The quick forms stand in for the plain ones within bfloat16 autocast alone. All else, such as judging held-out
utterances in float32, runs as if the model had never been made quick; hooks (`adapters`) and recomputation (`memory`)
find the modules they know. Not for speaking (see `acoustic.fast`, `semantic.packed`) and not for CUDA.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.discriminators import SLOPE, PeriodCritic
from cloning.engine.acoustic.layers import NormedConv, NormedTransposedConv
from cloning.engine.processor import has_bfloat16
from cloning.engine.semantic.model import Block, KeyValueCache, SelfAttention
from cloning.engine.training.adapters import CHILD
from cloning.engine.training.rows import Convolution, NormedWeight, Shape, Transposed, laid_out

#: Score of a place that must not be looked at: finite, so that a row without a visible place stays finite.
BLOCKED = -3e4
#: Names of what a module made quick carries: its plain forward, and a weight that need not be computed again.
PLAIN, HELD = "plain_forward", "held_weight"


def available(device: str = "cpu") -> bool:
    """Whether this processor gains: x86-64 with bfloat16 products in oneDNN."""
    return device == "cpu" and has_bfloat16()


def narrow(wanted: bool, device: str) -> bool:
    """Whether a training that is allowed bfloat16 shall use it: everywhere but on a processor without products of its
    own, where torch emulates them at a tenth of the speed of single precision (measured with AVX2 alone)."""
    return wanted and (device != "cpu" or available(device))


def quicken(model: nn.Module) -> None:
    """From now on passes of a Text2Semantic, an AcousticModel or Discriminators under bfloat16 autocast are quick.

    Modules, parameters and state dicts are not touched. Adapters must be attached before, recomputation may be asked
    for before or after. Doing it twice changes nothing.
    """
    for part in model.modules():
        form = _form(part)
        if form is not None:
            _exchange(part, form)
        if isinstance(part, Block):
            _exchange(part.drop, _dropped)


def _form(part: nn.Module) -> Callable[..., Any] | None:
    """The quick form of a module, None where there is none."""
    if isinstance(part, PeriodCritic):
        return _judged
    if isinstance(part, NormedTransposedConv):
        return _lengthened
    if isinstance(part, SelfAttention):
        return _attended
    if isinstance(part, NormedConv):
        narrow = (part.weight if part.folded else part.weight_v).dim() == 3
        return _convolved if narrow and part.settings["groups"] == 1 else None
    plain = isinstance(part, nn.Conv1d) and part.groups == 1 and part.padding_mode == "zeros"
    return _convolved if plain and isinstance(part.padding, tuple) else None


def _exchange(part: nn.Module, form: Callable[..., Any]) -> None:
    if PLAIN not in vars(part):
        vars(part)[PLAIN] = part.forward
        part.forward = functools.partial(_chosen, part, form)


def _chosen(part: nn.Module, form: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return (form if torch.is_autocast_enabled("cpu") else _plain)(part, *args, **options)


def _plain(part: nn.Module, *args: Any, **options: Any) -> Any:
    before: Callable[..., Any] = vars(part)[PLAIN]
    return before(*args, **options)


# -- convolutions ------------------------------------------------------------------------------------------------------
Convolving = nn.Conv1d | NormedConv | NormedTransposedConv


def weight(conv: Convolving) -> Tensor:
    """What the convolution multiplies with, O x C x K in bfloat16, `laid_out`.

    That of a weight which takes no gradient is kept until it changes: a base under its adapters, critics being asked.
    """
    normed = not isinstance(conv, nn.Conv1d) and not conv.folded
    sources = tuple(getattr(conv, name) for name in (("weight_v", "weight_g") if normed else ("weight",)))
    if any(source.requires_grad for source in sources):
        vars(conv).pop(HELD, None)
        return _effective(*sources)
    state = tuple((source.data_ptr(), source._version) for source in sources)
    if vars(conv).get(HELD, (None,))[0] != state:
        with torch.no_grad():
            vars(conv)[HELD] = (state, _effective(*sources))
    held: Tensor = vars(conv)[HELD][1]
    return held


def _effective(direction: Tensor, gain: Tensor | None = None) -> Tensor:
    if gain is None:
        return laid_out(direction)
    whole: Tensor = NormedWeight.apply(direction, gain)
    return whole


def rows(conv: nn.Conv1d | NormedConv, x: Tensor) -> Tensor:
    """B x L x C -> B x L' x O in bfloat16: the convolution over rows, its first dimension where it has two."""
    if isinstance(conv, nn.Conv1d):
        stride, padding, dilation = conv.stride[0], conv.padding[0], conv.dilation[0]
    else:
        stride, padding = _first(conv.settings["stride"]), _first(conv.settings["padding"])
        dilation = conv.settings["dilation"]
    whole = weight(conv)
    bias = None if conv.bias is None else conv.bias.to(torch.bfloat16)
    shape = Shape(whole.shape[2], stride, int(padding), dilation)
    done: Tensor = Convolution.apply(x.to(torch.bfloat16).contiguous(), whole, bias, shape)
    return done


def _convolved(conv: nn.Conv1d | NormedConv, x: Tensor) -> Tensor:
    """B x C x L -> B x O x L', channels last in memory."""
    return rows(conv, x.transpose(1, 2)).transpose(1, 2)


def _lengthened(conv: NormedTransposedConv, x: Tensor) -> Tensor:
    """The transposed convolution of a decoder stage, B x C x L -> B x C' x L * rate."""
    side = x.transpose(1, 2).to(torch.bfloat16).contiguous()
    whole = weight(conv)
    shape = Shape(whole.shape[2], conv.rate, conv.padding)
    count = side.shape[1] * conv.rate
    done: Tensor = Transposed.apply(side, whole, conv.bias.to(torch.bfloat16), shape, count)
    return done.transpose(1, 2)


def _judged(critic: PeriodCritic, wave: Tensor) -> tuple[Tensor, list[Tensor]]:
    """A period critic whose columns are items of their own: rows of samples `period` apart.

    Scores B x M and features, in another order than the plain form's; losses take means over them.
    """
    missing = -wave.shape[2] % critic.period
    if missing:
        wave = F.pad(wave, (0, missing), mode="reflect")
    batch = wave.shape[0]
    x = wave.view(batch, -1, critic.period).transpose(1, 2).reshape(batch * critic.period, -1, 1)
    features = []
    for conv in critic.convs:
        x = F.leaky_relu(rows(conv, x), SLOPE)  # type: ignore[arg-type]
        features.append(x.unflatten(0, (batch, critic.period)))
    x = rows(critic.conv_post, x).unflatten(0, (batch, critic.period))
    features.append(x)
    return x.flatten(1), features


def _first(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


# -- dropout and attention ---------------------------------------------------------------------------------------------
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


def _dropped(part: nn.Dropout, x: Tensor) -> Tensor:
    return dropout(x, part.p) if part.training else x


def _attended(
    part: SelfAttention, x: Tensor, visible: Tensor | None, cache: KeyValueCache | None = None, *more: Any
) -> Tensor:
    """S1's attention spelled out, its adapter included; the plain form outside training."""
    if cache is not None or not part.training:
        done: Tensor = _plain(part, x, visible, cache, *more)
        return done
    batch, count, width = x.shape
    fused = F.linear(x, part.in_proj_weight, part.in_proj_bias)
    if hasattr(part, CHILD):
        fused = fused + getattr(part, CHILD)(x)
    query, key, value = fused.view(batch, count, 3, part.heads, width // part.heads).permute(2, 0, 3, 1, 4)
    scores = (query * (width // part.heads) ** -0.5) @ key.transpose(2, 3)
    if visible is not None:
        scores = scores + torch.where(visible, 0.0, BLOCKED).to(scores.dtype)
    mixed = dropout(scores.softmax(-1), part.dropout) @ value
    out: Tensor = part.out_proj(mixed.transpose(1, 2).reshape(batch, count, width))
    return out
