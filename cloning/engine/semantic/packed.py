"""A model packed for decoding on a CPU: narrow weights in the order in which `native` reads them.

Reading an utterance (many places at once) and the decode step use the same generated matrix products over the same
packed weights; only the attention between many places is torch's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cloning.engine.errors import EngineError
from cloning.engine.semantic import native
from cloning.engine.semantic.adapters import MATRICES, SemanticAdapters, no_pairs
from cloning.engine.semantic.linears import GROUP, LAYER_POINTERS, PANEL, Sizes
from cloning.engine.semantic.model import Block, Text2Semantic, prefix_mask
from cloning.engine.semantic.runner import State
from cloning.engine.semantic.vectors import LANES

PRECISIONS = ("float32", "bfloat16", "int8")
#: Places of a cache come in steps of this, so that few sizes are ever allocated.
BUCKET = 128
#: Weights of a group that are looked at first to find a coarser grid, and how far from whole numbers they may be.
GRID_SAMPLES = 16
GRID_TOLERANCE = 1e-4
#: Every array of weights begins on its own cache line.
ALIGNMENT = 64


@dataclass(slots=True)
class PackedState:
    """Keys and values of one utterance, zero where nothing was said yet. `length` places of `capacity` are filled;
    `spoken` of them are codes. `adapters`: of the voice that speaks it."""

    keys: np.ndarray
    values: np.ndarray
    capacity: int
    length: int
    spoken: int
    adapters: SemanticAdapters | None = None


class PackedRunner:
    """See `runner.Runner`. The model's weights are copied: later changes to it are not seen.

    precision "float32": the sums are those of float32 weights; matrices whose values are all half-precision numbers
    (official files hold nothing else) are kept in half, which changes nothing and halves the memory read. "bfloat16":
    weights and caches rounded to bfloat16. "int8": one scale for 64 inputs of an output, caches in bfloat16. All sums
    are in float32, and the output head is never rounded.
    """

    def __init__(self, model: Text2Semantic, precision: str) -> None:
        if precision not in PRECISIONS:
            raise EngineError("bad_precision", f"precision must be one of {', '.join(PRECISIONS)}")
        config = model.config
        self.config = config
        self.precision = precision
        state = {name: value.detach().float().cpu() for name, value in model.state_dict().items()}
        kind = precision
        if precision == "float32" and native.reads_half() and _all_half(model):
            kind = "float16"
        # The output head is small and decides alone which code is best, so it is never rounded.
        head = kind if precision == "float32" else "float32"
        cache = "float32" if precision == "float32" else "bfloat16"
        self.sizes = Sizes(
            config.width, config.heads, config.layers, config.feed_forward, config.vocabulary, kind, head, cache
        )
        self._step = native.compiled(self.sizes)
        names = [f"h.layers.{n}.norm" for n in range(config.layers)]
        self._norms = [[(state[f"{n}{k}.weight"], state[f"{n}{k}.bias"]) for k in (1, 2)] for n in names]
        self._text = state["ar_text_embedding.word_embeddings.weight"]
        self._text_alpha = state["ar_text_position.alpha"]
        self._bert = None
        if config.bert_dim:
            self._bert = (state["bert_proj.weight"], state["bert_proj.bias"])
        self._codes = state["ar_audio_embedding.word_embeddings.weight"].numpy()
        self._code_alpha = state["ar_audio_position.alpha"]
        self._sine = model.ar_text_position.table
        self._places = np.zeros((0, config.width), dtype=np.float32)
        self._table = self._pack(state)
        self._no_pairs = no_pairs(config.layers)

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def nbytes(self) -> int:
        """Memory that the runner holds for as long as it lives, in bytes."""
        tables = (self._text, self._text_alpha, self._code_alpha, *(self._bert or ()))
        return self._weights.nbytes + self._codes.nbytes + self._places.nbytes + sum(t.nbytes for t in tables)

    # -- packing -------------------------------------------------------------------------------------------------------
    def _pack(self, state: dict[str, Tensor]) -> np.ndarray:
        """All weights in one block of memory, in the order of reading; -> their addresses, as `native` wants them."""
        sizes = self.sizes
        shapes = [(3 * sizes.width, sizes.width), (sizes.width, sizes.width)]
        shapes += [(sizes.feed_forward, sizes.width), (sizes.width, sizes.feed_forward)]
        norms = 4 * (4 * sizes.stride(sizes.width) + ALIGNMENT)
        room = sizes.layers * (norms + sum(_room(*shape, sizes.weights) for shape in shapes))
        # One large numpy array lies on huge pages where the system has them; many small ones do not. Pages that stay
        # untouched do not exist.
        self._weights = np.empty(room + _room(sizes.vocabulary, sizes.width, sizes.head), dtype=np.uint8)
        base = int(self._weights.ctypes.data)
        addresses, place = [], -base % ALIGNMENT
        for part in self._parts(state):
            self._weights[place : place + part.nbytes] = part.reshape(-1).view(np.uint8)
            addresses.append(base + place)
            place += -(-part.nbytes // ALIGNMENT) * ALIGNMENT
        return np.array(addresses, dtype=np.int64)

    def _parts(self, state: dict[str, Tensor]) -> Iterator[np.ndarray]:
        for n in range(self.config.layers):
            prefix = f"h.layers.{n}."
            for name in ("self_attn.in_proj_", "self_attn.out_proj.", "linear1.", "linear2."):
                yield from self._matrix(
                    state[f"{prefix}{name}weight"], state[f"{prefix}{name}bias"], self.sizes.weights
                )
            for name in ("norm1", "norm2"):
                for part in ("weight", "bias"):
                    yield self._vector(state[f"{prefix}{name}.{part}"])
        nothing = torch.zeros(self.config.vocabulary)
        yield from self._matrix(state["ar_predict_layer.weight"], nothing, self.sizes.head)

    def _vector(self, values: Tensor) -> np.ndarray:
        """Padded with zeros to whole panels."""
        room = np.zeros(self.sizes.stride(values.shape[0]), dtype=np.float32)
        room[: values.shape[0]] = values.numpy()
        return room

    def _matrix(self, weight: Tensor, bias: Tensor, kind: str) -> list[np.ndarray]:
        """N x K float32 -> panels, scales and bias."""
        narrow, scales = weight, torch.empty(0, 0)
        if kind == "int8":
            narrow, scales = quantised(weight)
        elif kind == "float16":
            narrow = weight.half()
        elif kind == "bfloat16":
            narrow = weight.to(torch.bfloat16).view(torch.int16)  # numpy has no bfloat16; only the bits are moved
        return [_panels(narrow), _panels(scales), self._vector(bias)]

    # -- reading an utterance ------------------------------------------------------------------------------------------
    @torch.inference_mode()
    def begin(
        self,
        phones: Tensor,
        prompt: Tensor,
        bert: Tensor | None,
        most: int,
        adapters: SemanticAdapters | None = None,
    ) -> tuple[PackedState, Tensor]:
        """See `Runner.begin`."""
        if adapters is not None:
            adapters.check(self.config)
        x = self._embed(phones, prompt, bert)
        count = x.shape[0]
        state = self._room(count + most)
        state.adapters = adapters
        visible = prefix_mask(phones.shape[0], prompt.shape[0])
        for number in range(self.config.layers):
            x = self._block(number, x, visible, state)
        state.length, state.spoken = count, prompt.shape[0]
        head = (LAYER_POINTERS * self.config.layers, self.sizes.head, self.config.vocabulary)
        return state, self._linear(x[-1:], *head)[0]

    def _block(self, number: int, x: Tensor, visible: Tensor, state: PackedState) -> Tensor:
        """One layer over all places, N x D; remembers their keys and values."""
        count, width = x.shape
        sizes = self.sizes
        fused = self._adapted(x, number, 0, 3 * width, state.adapters)
        query, keys, values = fused.reshape(count, 3, sizes.heads, sizes.head_width).permute(1, 2, 0, 3)
        self._remember(state, number, keys, values)
        mixed = F.scaled_dot_product_attention(query[None], keys[None], values[None], attn_mask=visible[None, None])
        mixed = mixed[0].transpose(0, 1).reshape(count, width)
        gains = self._norms[number]
        x = F.layer_norm(x + self._adapted(mixed, number, 1, width, state.adapters), (width,), *gains[0])
        inner = self._adapted(x, number, 2, sizes.feed_forward, state.adapters, relu=True)
        return F.layer_norm(x + self._adapted(inner, number, 3, width, state.adapters), (width,), *gains[1])

    def _adapted(
        self,
        x: Tensor,
        layer: int,
        matrix: int,
        outputs: int,
        adapters: SemanticAdapters | None,
        relu: bool = False,
    ) -> Tensor:
        """One of a layer's four linears, and what the adapters add to it."""
        first = layer * LAYER_POINTERS + 3 * matrix
        out = self._linear(x, first, self.sizes.weights, outputs, relu=relu and adapters is None)
        if adapters is not None:
            x = x.contiguous()
            down, up, rank = adapters.place(layer * len(MATRICES) + matrix)
            beside = self._step.besides[adapters.kind]
            panels, stride = -(-outputs // PANEL), out.stride(0)
            rows, inputs = x.shape
            beside(
                rows, panels, x.data_ptr(), inputs, inputs, down, up, rank, adapters.scale, out.data_ptr(), stride, relu
            )
        return out

    def _linear(self, x: Tensor, first: int, kind: str, outputs: int, relu: bool = False) -> Tensor:
        """rows x K -> rows x outputs, by the matrix whose addresses begin at place `first` of the table."""
        x = x.contiguous()
        rows, inputs = x.shape
        panels = -(-outputs // PANEL)
        out = torch.empty(rows, panels * PANEL)
        addresses = self._table[first : first + 3].tolist()
        linear = self._step.linears[kind, inputs]
        linear(rows, panels, x.data_ptr(), inputs, *addresses, out.data_ptr(), out.shape[1], relu)
        return out[:, :outputs]

    def _embed(self, phones: Tensor, prompt: Tensor, bert: Tensor | None) -> Tensor:
        x = F.embedding(phones, self._text)
        if self._bert is not None:
            x = x + (self._bert[1] if bert is None else F.linear(bert.float().T, *self._bert))
        elif bert is not None:
            raise EngineError("no_bert_input", "this model has no BERT input")
        x = x + self._text_alpha * self._sine(0, phones.shape[0], torch.device("cpu"))
        if not prompt.shape[0]:
            return x
        count = prompt.shape[0]
        codes = torch.from_numpy(self._codes)[prompt] + torch.from_numpy(self._position(count)[:count])
        return torch.cat((x, codes))

    def _position(self, count: int) -> np.ndarray:
        """alpha * sine table, at least `count` rows."""
        if count > self._places.shape[0]:
            rows = self._sine(0, -(-count // 1024) * 1024, torch.device("cpu"))
            self._places = (self._code_alpha * rows).numpy()
        return self._places

    def _room(self, places: int) -> PackedState:
        sizes = self.sizes
        capacity = -(-places // BUCKET) * BUCKET
        dtype = np.float32 if sizes.cache == "float32" else np.int16
        blocks = (sizes.layers, capacity // LANES, sizes.heads)
        # numpy's zeros are pages that do not exist before they are touched: a large bound costs little.
        keys = np.zeros((*blocks, sizes.head_width, LANES), dtype=dtype)
        values = np.zeros((*blocks, LANES, sizes.value_width), dtype=dtype)
        return PackedState(keys, values, capacity, 0, 0)

    def _remember(self, state: PackedState, layer: int, keys: Tensor, values: Tensor) -> None:
        """keys, values: heads x N x head width."""
        if self.sizes.cache == "bfloat16":
            keys, values = (t.to(torch.bfloat16).view(torch.int16) for t in (keys, values))
        heads, count, width = keys.shape
        blocks = -(-count // LANES)
        room = (0, 0, 0, blocks * LANES - count)
        keys, values = (F.pad(t, room).view(heads, blocks, LANES, width).transpose(0, 1) for t in (keys, values))
        state.keys[layer, :blocks] = keys.transpose(2, 3).numpy()
        state.values[layer, :blocks, :, :, :width] = values.numpy()

    # -- one step ------------------------------------------------------------------------------------------------------
    @torch.inference_mode()
    def advance(self, states: Sequence[State], codes: Tensor) -> Tensor:
        """See `Runner.advance`."""
        rows, sizes = len(states), self.sizes
        pointers = np.empty((4, rows), dtype=np.int64)
        x = np.zeros((rows, sizes.stride(sizes.width)), dtype=np.float32)
        longest = 0
        tables = np.full(rows, self._no_pairs.ctypes.data, dtype=np.int64)
        adapted = False
        for n, (state, code) in enumerate(zip(states, codes.tolist(), strict=True)):
            if not isinstance(state, PackedState):
                raise EngineError("wrong_state", "the utterance was begun by another runner")
            if state.length >= state.capacity or not 0 <= code < self.config.vocabulary:
                raise EngineError("no_room", "the cache of this utterance is full, or the code does not exist")
            pointers[:, n] = state.keys.ctypes.data, state.values.ctypes.data, state.length, state.capacity
            np.add(self._codes[code], self._position(state.spoken + 1)[state.spoken], out=x[n, : sizes.width])
            state.length += 1
            state.spoken += 1
            longest = max(longest, state.capacity)
            if state.adapters is not None:
                tables[n], adapted = state.adapters.table.ctypes.data, True
        scratch = np.empty(rows * sizes.scratch + sizes.heads * longest, dtype=np.float32)
        scores = np.empty((rows, sizes.stride(sizes.vocabulary)), dtype=np.float32)
        self._step.call(
            rows,
            x.ctypes.data,
            self._table.ctypes.data,
            *(pointers[n].ctypes.data for n in range(4)),
            scratch.ctypes.data,
            scores.ctypes.data,
            tables.ctypes.data if adapted else 0,
        )
        return torch.from_numpy(scores)[:, : sizes.vocabulary]


def _room(outputs: int, inputs: int, kind: str) -> int:
    """Most bytes that a matrix, its scales and its bias take."""
    rows = Sizes.stride(outputs)
    element = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}[kind]
    return rows * (inputs * element + 4 * (-(-inputs // GROUP) + 1)) + 4 * ALIGNMENT


def _panels(matrix: Tensor) -> np.ndarray:
    """N x K -> panels x K x 64, missing outputs zero."""
    outputs, inputs = matrix.shape
    panels = -(-outputs // PANEL)
    padded = F.pad(matrix, (0, 0, 0, panels * PANEL - outputs))
    packed: np.ndarray = padded.view(panels, PANEL, inputs).transpose(1, 2).contiguous().numpy()
    return packed


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """N x K float32 -> N x K int8 and scales N x ceil(K / GROUP): weight = int8 * scale of its group of inputs.

    The largest of a group lands on 127. Where a coarser scale makes all of a group whole numbers (weights that were
    kept in few steps before), that one is taken: such weights are held exactly.
    """
    outputs, inputs = weight.shape
    groups = -(-inputs // GROUP)
    grouped = F.pad(weight, (0, groups * GROUP - inputs)).view(outputs, groups, GROUP)
    largest = grouped.abs().amax(2, keepdim=True).clamp(min=1e-12)
    shares = (grouped / largest).view(-1, GROUP)
    levels = torch.full((shares.shape[0], 1), 127.0)
    part = shares[:, :: GROUP // GRID_SAMPLES].contiguous()
    for level in range(96, 127):  # one of these is a multiple of any number of steps up to 32
        likely = _whole(part * level).nonzero()[:, 0]
        levels[likely[_whole(shares[likely] * level)]] = float(level)
    levels = levels.view_as(largest)
    narrow = (grouped / largest * levels).round().to(torch.int8).view(outputs, -1)[:, :inputs]
    return narrow, (largest / levels)[:, :, 0]


def _whole(values: Tensor) -> Tensor:
    """For each row of N x M: whether all are whole numbers, but for rounding."""
    return (values - values.round()).abs().amax(1) < GRID_TOLERANCE


def _all_half(model: Text2Semantic) -> bool:
    """True when every matrix that decoding reads survives half precision unchanged."""
    matrices = [model.ar_predict_layer.weight]
    for block in model.h.layers:
        assert isinstance(block, Block)
        matrices += [
            block.self_attn.in_proj_weight,
            block.self_attn.out_proj.weight,
            block.linear1.weight,
            block.linear2.weight,
        ]
    return all(torch.equal(m.detach().half().float(), m.detach().float()) for m in matrices)
