"""A voice's adapters of S1, kept beside the model that many voices share.

They lie in one block of memory, in the order in which the generated decode step reads them, and as narrow as their
values allow: a file's half-precision numbers stay half, so that nothing is rounded and a voice costs what its file
costs. The plain path reads the same memory as tensors.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cloning.engine.config import SemanticConfig
from cloning.engine.errors import EngineError
from cloning.engine.lowrank import DOWN, MOST_RANK, UP, Pair
from cloning.engine.semantic import native
from cloning.engine.semantic.linears import (
    ADAPTER_HEADER,
    ADAPTER_KINDS,
    ADAPTER_POINTERS,
    PANEL,
    padded_rank,
)

#: The adapted matrices of a block, in the order of the decode step.
MATRICES = ("self_attn.in_proj", "self_attn.out_proj", "linear1", "linear2")


@dataclass(frozen=True, slots=True)
class BlockPairs:
    """The pairs of one block: fused query, key and value; output of the attention; feed-forward out and back."""

    fused: Pair
    output: Pair
    widening: Pair
    narrowing: Pair


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pair lies: rank with its filling, the layer's inputs and outputs, first numbers of down and of up."""

    rank: int
    inputs: int
    outputs: int
    down: int
    up: int

    @property
    def panels(self) -> int:
        return -(-self.outputs // PANEL)


class SemanticAdapters:
    """Immutable; threads may share it. `rank`: of its widest pair, with the filling."""

    def __init__(self, config: SemanticConfig, tensors: Mapping[str, Tensor], scale: float) -> None:
        """tensors: `h.layers.N.MATRIX.down` R x in and `.up` out x R, any float precision (see lowrank.outline).

        Raises EngineError `wrong_adapters` when they do not fit the configuration.
        """
        self.scale = scale
        self.size = _size(config)
        pairs = [
            (tensors.get(f"h.layers.{layer}.{name}.{DOWN}"), tensors.get(f"h.layers.{layer}.{name}.{UP}"), *shape)
            for layer in range(config.layers)
            for name, shape in zip(MATRICES, _shapes(config), strict=True)
        ]
        kept = [(_fitting(down, inputs, 1), _fitting(up, outputs, 0)) for down, up, outputs, inputs in pairs]
        if any(down.shape[0] != up.shape[1] for down, up in kept):
            raise _wrong("the two halves of an adapter have different ranks")
        self.rank = padded_rank(max(down.shape[0] for down, _ in kept))
        half = native.reads_half() and all(_is_half(value) for pair in kept for value in pair)
        self.kind = "float16" if half else "float32"
        self._places, count = [], 0
        for down, up in kept:
            rank = padded_rank(down.shape[0])
            place = _Place(rank, down.shape[1], up.shape[0], count, count + rank * down.shape[1])
            self._places.append(place)
            count = place.up + rank * place.panels * PANEL
        self._numbers = np.zeros(count, dtype=self.kind)
        for place, (down, up) in zip(self._places, kept, strict=True):
            self._put(place, down, up)
        self.table = self._table()

    @property
    def nbytes(self) -> int:
        """Memory that the adapters hold, in bytes."""
        return self._numbers.nbytes + self.table.nbytes

    def __deepcopy__(self, memo: object) -> SemanticAdapters:
        """Itself: its table holds addresses, and nothing in it changes."""
        return self

    def check(self, config: SemanticConfig) -> None:
        """Raises EngineError `wrong_adapters` unless a model of this configuration can be spoken with."""
        if self.size != _size(config):
            raise _wrong("the adapters belong to a model of another size")

    def place(self, number: int) -> tuple[int, int, int]:
        """Addresses of down and up, and the rank, of the pair of this number (layer by layer, in order of
        MATRICES)."""
        start = ADAPTER_HEADER + number * ADAPTER_POINTERS
        down, up, rank = self.table[start : start + ADAPTER_POINTERS].tolist()
        return down, up, rank

    def pairs(self, config: SemanticConfig, like: Tensor) -> list[BlockPairs]:
        """Block by block, on the device and in the precision of `like`. Raises as `check`."""
        self.check(config)
        found = [self._pair(place, like) for place in self._places]
        return [BlockPairs(*found[n : n + len(MATRICES)]) for n in range(0, len(found), len(MATRICES))]

    def _put(self, place: _Place, down: Tensor, up: Tensor) -> None:
        rank = down.shape[0]
        self._numbers[place.down : place.down + down.numel()] = down.reshape(-1).numpy()
        whole = F.pad(up, (0, place.rank - rank, 0, place.panels * PANEL - place.outputs))
        panels = whole.view(place.panels, PANEL, place.rank).transpose(1, 2)
        self._numbers[place.up : place.up + panels.numel()] = panels.reshape(-1).numpy()

    def _pair(self, place: _Place, like: Tensor) -> Pair:
        numbers = torch.from_numpy(self._numbers)
        down = numbers[place.down : place.up].view(place.rank, place.inputs)
        up = numbers[place.up : place.up + place.rank * place.panels * PANEL].view(place.panels, place.rank, PANEL)
        up = up.to(like).transpose(1, 2).reshape(-1, place.rank)
        return Pair(down.to(like), up[: place.outputs], self.scale)

    def _table(self) -> np.ndarray:
        """What the decode step reads: the kind of numbers, the scale's bits, then address, address and rank of every
        pair."""
        base, width = int(self._numbers.ctypes.data), self._numbers.itemsize
        table = np.zeros(ADAPTER_HEADER + ADAPTER_POINTERS * len(self._places), dtype=np.int64)
        table[:ADAPTER_HEADER] = ADAPTER_KINDS.index(self.kind), struct.unpack("<i", struct.pack("<f", self.scale))[0]
        for number, place in enumerate(self._places):
            start = ADAPTER_HEADER + number * ADAPTER_POINTERS
            table[start : start + ADAPTER_POINTERS] = base + place.down * width, base + place.up * width, place.rank
        return table


def no_pairs(layers: int) -> np.ndarray:
    """The table of a row without adapters in a batch where others have them."""
    return np.zeros(ADAPTER_HEADER + ADAPTER_POINTERS * len(MATRICES) * layers, dtype=np.int64)


def _shapes(config: SemanticConfig) -> list[tuple[int, int]]:
    """(out, in) of the four matrices of a block."""
    width, inner = config.width, config.feed_forward
    return [(3 * width, width), (width, width), (inner, width), (width, inner)]


def _size(config: SemanticConfig) -> tuple[int, int, int]:
    return config.layers, config.width, config.feed_forward


def _fitting(value: Tensor | None, length: int, dim: int) -> Tensor:
    if value is None or value.dim() != 2 or value.shape[dim] != length or not 1 <= value.shape[1 - dim] <= MOST_RANK:
        raise _wrong("the adapters do not have the names and shapes of this model's")
    return value.detach().float().cpu()


def _is_half(value: Tensor) -> bool:
    return torch.equal(value.half().float(), value)


def _wrong(sentence: str) -> EngineError:
    return EngineError("wrong_adapters", sentence)
