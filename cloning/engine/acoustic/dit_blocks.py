"""The transformer's blocks in bfloat16 on a CPU as one function: matrix products by oneDNN, everything between them by
`dit_kernels`.

What the outcome does not need is left out: in the last block the prompt's frames are only looked at (their own velocity
is thrown away), and every norm's numbers were made ahead for all steps of an integration (`Dit.ahead`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from cloning.engine.acoustic import dit_kernels
from cloning.engine.acoustic.dit import EPSILON, DitAdapters
from cloning.engine.lowrank import Pair
from cloning.engine.semantic.vectors import LANES

#: Heads whose scores are computed at once.
HEADS = 2


def fits(width: int, head_width: int) -> bool:
    """Whether the kernels take a transformer of these widths."""
    return width % LANES == 0 and head_width % LANES == 0 and width <= dit_kernels.MOST_WIDTH


class Block(Protocol):
    """What is used of a prepared block (`dit_fast.FastBlock`): its matrix products."""

    @property
    def heads(self) -> int: ...

    @property
    def qkv(self) -> Callable[[Tensor], Tensor]: ...

    @property
    def out(self) -> Callable[[Tensor], Tensor]: ...

    @property
    def widen(self) -> Callable[[Tensor], Tensor]: ...

    @property
    def narrow(self) -> Callable[[Tensor], Tensor]: ...


class Blocks:
    """See `dit.Run`. Holds prepared blocks of one width."""

    def __init__(self, blocks: Sequence[Block], width: int, head_width: int) -> None:
        self.blocks, self.width, self.head_width = list(blocks), width, head_width

    def __call__(
        self,
        hidden: Tensor,
        moment: Tensor,
        lengths: Tensor,
        angles: tuple[Tensor, Tensor],
        adapters: DitAdapters,
        skip: int,
    ) -> Tensor:
        calls = dit_kernels.compiled().calls
        width, frames = self.width, hidden.shape[1]
        cosines, sines = (part.contiguous() for part in angles)
        sines = sines * torch.tensor([-1.0, 1.0]).repeat(self.head_width // 2)
        rows = moment.view(-1, width)
        one = torch.ones(width)
        x = hidden.clone(memory_format=torch.contiguous_format)
        real = None if bool((lengths >= frames).all()) else _mask(lengths, frames, x.dtype)
        last = len(self.blocks) - 1
        state = F.layer_norm(x, (width,), eps=EPSILON) * (1 + rows[1]).to(x.dtype) + rows[0].to(x.dtype)
        for index, block in enumerate(self.blocks):
            beside = adapters[index] if adapters else {}
            begin = skip if index == last else 0
            _, _, gate, feed_shift, feed_scale, feed_gate = rows[6 * index : 6 * index + 6]
            mixed = self._attention(block, state, lengths, cosines, sines, beside, begin)
            y = block.out(mixed)
            if "to_out.0" in beside:
                y = y + beside["to_out.0"](mixed)
            if real is not None:
                y = y * real[:, begin:]
            x = x[:, begin:].contiguous() if begin else x
            state = _renewed(calls, x, y, gate, one + feed_scale, feed_shift)
            y = block.narrow(block.widen(state))
            # Blocks say shift and scale first, the last norm says scale and shift.
            following = rows[6 * index + 6 : 6 * index + 8]
            shift, scale = (following[0], following[1]) if index < last else (following[1], following[0])
            state = _renewed(calls, x, y, feed_gate, one + scale, shift)
        return state

    def _attention(
        self,
        block: Block,
        state: Tensor,
        lengths: Tensor,
        cosines: Tensor,
        sines: Tensor,
        adapters: Mapping[str, Pair],
        begin: int,
    ) -> Tensor:
        """State B x N x W -> the heads' mixtures B x (N - begin) x H D for the frames from `begin` on."""
        calls = dit_kernels.compiled().calls
        fused = block.qkv(state)
        heads, width = block.heads, self.head_width
        for part, name in enumerate(("to_q", "to_k", "to_v")):
            if name in adapters:
                fused[..., part * heads * width : (part + 1) * heads * width] += adapters[name](state)
        fused = fused.contiguous()
        batch, frames = state.shape[:2]
        places = -(-frames // LANES) * LANES
        query, key, value = torch.zeros(3, heads, places, width, dtype=state.dtype).unbind()
        asked = frames - begin
        scores = torch.empty(HEADS, asked, places, dtype=state.dtype)
        sums = torch.empty(heads, asked)
        mixed = torch.empty(heads, asked, width, dtype=state.dtype)
        out = torch.empty(batch, asked, heads * width, dtype=state.dtype)
        for row in range(batch):
            calls["divide"](
                *(t.data_ptr() for t in (fused[row], cosines, sines, query, key, value)), frames, heads, width, places
            )
            visible = min(int(lengths[row]), frames)
            for head in range(0, heads, HEADS):
                some = slice(head, min(head + HEADS, heads))
                seen = scores[: some.stop - some.start]
                torch.bmm(query[some, begin:frames], key[some].mT, out=seen)
                lines = seen.shape[0] * asked
                calls["soften"](seen.data_ptr(), sums[some].data_ptr(), width**-0.5, lines, visible, places)
                torch.bmm(seen, value[some], out=mixed[some])
            calls["unite"](mixed.data_ptr(), sums.data_ptr(), out[row].data_ptr(), asked, heads, width)
        return out


def _renewed(
    calls: Mapping[str, Callable[..., Any]], x: Tensor, y: Tensor, gate: Tensor, scale: Tensor, shift: Tensor
) -> Tensor:
    """x += gate y, in place -> norm(x) scale + shift."""
    out, y = torch.empty_like(x), y.contiguous()
    gate, shift = gate.contiguous(), shift.contiguous()
    places = (t.data_ptr() for t in (x, y, gate, scale, shift, out))
    calls["renew"](*places, x.shape[0] * x.shape[1], x.shape[2])
    return out


def _mask(lengths: Tensor, frames: int, dtype: torch.dtype) -> Tensor:
    return (torch.arange(frames)[None] < lengths[:, None]).to(dtype)[..., None]
