"""The transformer of v3 and v4 arranged for speed on a CPU, for sampling only: the same function, by default in
bfloat16.

Nearly all its work is matrix products and attention. Their matrices are laid out once the way the processor's products
want them (oneDNN), query, key and value are one product, GELU is part of the one before it; attention goes a few heads
at a time, so that the scores stay in the cache (torch's own takes half as long again). Norms, gates and everything
around the blocks stay as they are; in bfloat16 `dit_blocks` runs all blocks as one function.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.dit import Dit, DitBlock, normed, turned
from cloning.engine.acoustic.dit_blocks import Blocks, fits
from cloning.engine.errors import EngineError
from cloning.engine.lowrank import Pair
from cloning.engine.processor import check_bfloat16

Precision = Literal["float32", "bfloat16"]
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
#: Heads whose scores are computed at once.
HEADS = 2
#: Rows for which oneDNN is asked to lay matrices out; other numbers work as well.
ROWS = 1024


class FastLinear(nn.Module):
    """A linear layer, laid out for oneDNN where torch has it. `gelu`: with the tanh form of GELU behind it."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, *, gelu: bool = False) -> None:
        super().__init__()
        self.gelu = gelu
        self.outputs, inputs = weight.shape
        kept = weight.detach().to(dtype).contiguous()
        self.bias = None if bias is None else nn.Parameter(bias.detach().to(dtype), requires_grad=False)
        # Neither a parameter nor a buffer: a state dict could not hold an opaque layout.
        self.matrix = kept
        self.opaque = torch.backends.mkldnn.is_available() and kept.device.type == "cpu" and inputs > 1
        if self.opaque:
            self.matrix = torch.ops.mkldnn._reorder_linear_weight(kept, ROWS)

    def forward(self, x: Tensor) -> Tensor:
        if self.opaque:
            act = "gelu" if self.gelu else "none"
            flat = x.reshape(-1, x.shape[-1])
            out: Tensor = torch.ops.mkldnn._linear_pointwise(
                flat, self.matrix, self.bias, act, [], "tanh" if self.gelu else ""
            )
            return out.view(*x.shape[:-1], self.outputs)
        plain = F.linear(x, self.matrix, self.bias)
        return F.gelu(plain, approximate="tanh") if self.gelu else plain


def _laid_out(source: nn.Module, name: str, dtype: torch.dtype, *, gelu: bool = False) -> FastLinear:
    layer = source.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    return FastLinear(layer.weight, layer.bias, dtype, gelu=gelu)


class FastBlock(nn.Module):
    def __init__(self, source: DitBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.attn_norm = source.attn_norm
        self.heads = source.attn.heads
        asked = (source.attn.to_q, source.attn.to_k, source.attn.to_v)
        weight, bias = (torch.cat([getattr(part, name) for part in asked]) for name in ("weight", "bias"))
        self.qkv = FastLinear(weight, bias, dtype)
        self.out = _laid_out(source, "attn.to_out.0", dtype)
        self.widen = _laid_out(source, "ff.ff.0.0", dtype, gelu=True)
        self.narrow = _laid_out(source, "ff.ff.2", dtype)
        self.adaptable = source.adaptable

    def forward(
        self, x: Tensor, time: Tensor, mask: Tensor | None, rope: tuple[Tensor, Tensor], adapters: Mapping[str, Pair]
    ) -> Tensor:
        shift, scale, gate, feed_shift, feed_scale, feed_gate = self.attn_norm(time)
        x = x + gate * self._attend(normed(x, scale, shift), mask, rope, adapters)
        return x + feed_gate * self.narrow(self.widen(normed(x, feed_scale, feed_shift)))

    def _attend(
        self, x: Tensor, mask: Tensor | None, rope: tuple[Tensor, Tensor], adapters: Mapping[str, Pair]
    ) -> Tensor:
        parts = []
        for name, part in zip(("to_q", "to_k", "to_v"), self.qkv(x).chunk(3, dim=-1), strict=True):
            beside = part + adapters[name](x) if name in adapters else part
            turn = beside if name == "to_v" else turned(beside, *rope)
            # B x N x (H D) -> (B H) x N x D, laid out anew: every head is read many times.
            parts.append(turn.unflatten(-1, (self.heads, -1)).transpose(1, 2).contiguous())
        query, key, value = parts
        mixed = attention(query, key, value, mask).transpose(1, 2).flatten(-2)
        out: Tensor = self.out(mixed)
        if "to_out.0" in adapters:
            out = out + adapters["to_out.0"](mixed)
        return out if mask is None else out * mask


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """B x H x N x D each, mask B x N x 1 of 0 and 1 (None: everything is seen) -> B x H x N x D."""
    query = query * query.shape[-1] ** -0.5
    unseen = None if mask is None else (mask == 0).transpose(1, 2)
    out = torch.empty_like(query)
    for row in range(query.shape[0]):
        for head in range(0, query.shape[1], HEADS):
            some = slice(head, head + HEADS)
            scores = torch.bmm(query[row, some], key[row, some].mT)
            if unseen is not None:
                scores.masked_fill_(unseen[row], float("-inf"))
            torch.bmm(scores.softmax(-1), value[row, some], out=out[row, some])
    return out


def prepare(dit: Dit, precision: Precision) -> Dit:
    """Turn the transformer into its fast form; it is changed in place, returned, and cannot be trained any more.

    Raises EngineError `unsupported_precision`, before anything is changed; on a CPU also for
    bfloat16 without products of its own.
    """
    if precision not in DTYPES:
        raise EngineError("unsupported_precision", f"no precision {precision!r:.40} here; known: {', '.join(DTYPES)}")
    on_cpu = dit.proj_out.weight.device.type == "cpu"
    if on_cpu and precision == "bfloat16":
        check_bfloat16()
    dtype = DTYPES[precision]
    if all(isinstance(block, FastBlock) for block in dit.transformer_blocks):
        if dit.proj_out.weight.dtype != dtype:
            raise EngineError("unsupported_precision", "this transformer is prepared already, in another precision")
        return dit
    blocks = [FastBlock(block, dtype) if isinstance(block, DitBlock) else block for block in dit.transformer_blocks]
    dit.transformer_blocks = nn.ModuleList(blocks)
    dit.to(dtype).eval().requires_grad_(False)
    if on_cpu and precision == "bfloat16" and fits(dit.config.width, dit.config.head_width):
        dit.run = Blocks(
            [block for block in blocks if isinstance(block, FastBlock)], dit.config.width, dit.config.head_width
        )
    return dit
