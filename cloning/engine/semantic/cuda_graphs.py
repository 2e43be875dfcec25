"""Decoding a batch with fixed shapes and no waiting for the host, the form that a CUDA graph can record.

A row may have a voice's adapters: their pairs are copied into tensors of the step, and one product does all rows'.
Every tensor of a step is allocated once for a number of rows and a capacity (a bucket); a step reads and writes only
these, chooses codes on the device (per-row parameters and races), and so can be captured and replayed. The same step
runs uncaptured on any device. On a CPU it is proven against `decode_batch`; capture has not been run on a GPU by the
project yet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.lowrank import Pair
from cloning.engine.semantic.adapters import BlockPairs
from cloning.engine.semantic.choice import LEAST_TEMPERATURE
from cloning.engine.semantic.model import Block, Text2Semantic
from cloning.engine.semantic.runner import PlainRunner
from cloning.engine.semantic.sampling import MOST_CODES, STEPS_WITHOUT_END, Decoded, Utterance

#: Places of the static caches; an utterance takes the smallest that holds it.
BUCKETS = (256, 512, 1024, 2048, 4096)


class StaticStep:
    """The tensors of `rows` utterances in caches of `capacity` places, and the step over them.

    After `step`: `codes` B int64 the codes just chosen, `ended` B bool where the end mark was drawn or was the best
    score. Rows nobody uses compute nonsense that nobody reads.
    """

    def __init__(self, model: Text2Semantic, rows: int, capacity: int, *, rank: int = 0) -> None:
        """rank: the widest adapters that a row may have, 0 = none."""
        config, like = model.config, model.ar_predict_layer.weight
        device = like.device
        self.model, self.rows, self.capacity = model, rows, capacity
        shape = (config.layers, rows, config.heads, capacity, config.width // config.heads)
        self.keys = torch.zeros(shape, dtype=like.dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        self.scores = torch.zeros(rows, config.vocabulary, device=device)
        self.seen = torch.zeros(rows, config.vocabulary, dtype=torch.bool, device=device)
        self.race = torch.ones(rows, config.vocabulary, device=device)
        self.codes, self.places, self.spoken = (torch.zeros(rows, dtype=torch.long, device=device) for _ in range(3))
        self.ended = torch.zeros(rows, dtype=torch.bool, device=device)
        self.endless = torch.ones(rows, dtype=torch.bool, device=device)
        self.penalty, self.top_p, self.temperature = (torch.ones(rows, 1, device=device) for _ in range(3))
        self.top_k = torch.ones(rows, 1, dtype=torch.long, device=device)
        self._numbers = torch.arange(rows, device=device)
        self._columns = torch.arange(capacity, device=device)
        places = model.ar_audio_position.table(0, capacity, device)
        self._positions = (model.ar_audio_position.alpha.detach() * places).to(like.dtype)
        self._pairs = [_room(block, rows, rank) for block in model.h.layers] if rank else None

    @torch.inference_mode()
    def put(self, row: int, utterance: Utterance) -> None:
        """Read an utterance into a row. Its places must fit the capacity."""
        config, device = self.model.config, self.keys.device
        prompt = torch.empty(0, dtype=torch.long) if utterance.prompt is None else utterance.prompt
        bert = None if utterance.bert is None else utterance.bert.to(device)
        runner = PlainRunner(self.model)
        state, scores = runner.begin(utterance.phones.to(device), prompt.to(device), bert, 0, utterance.adapters)
        if state.length + utterance.most > self.capacity:
            raise ValueError("the utterance does not fit the static cache")
        self.keys[:, row, :, : state.length] = state.cache.keys[:, 0]
        self.values[:, row, :, : state.length] = state.cache.values[:, 0]
        self.scores[row] = scores
        self.seen[row] = False
        self.seen[row, prompt.to(device)] = True
        self._adapt(row, state.pairs)
        self.places[row], self.spoken[row] = state.length, prompt.shape[0]
        self.endless[row] = True
        sampling = utterance.sampling
        self.penalty[row], self.top_p[row] = sampling.repetition_penalty, sampling.top_p
        self.temperature[row] = max(sampling.temperature, LEAST_TEMPERATURE)
        self.top_k[row] = min(sampling.top_k, config.vocabulary) or config.vocabulary

    def _adapt(self, row: int, pairs: list[BlockPairs] | None) -> None:
        """Lay a voice's pairs into the row's place; None: the model as it is."""
        if self._pairs is None:
            if pairs is not None:
                raise ValueError("this static step has no room for adapters")
            return
        for number, room in enumerate(self._pairs):
            for name in ("fused", "output", "widening", "narrowing"):
                place: Pair = getattr(room, name)
                assert isinstance(place.scale, Tensor)
                place.down[row], place.up[row], place.scale[row] = 0.0, 0.0, 0.0
                if pairs is not None:
                    pair: Pair = getattr(pairs[number], name)
                    place.scale[row] = pair.scale
                    place.down[row, : pair.down.shape[0]] = pair.down
                    place.up[row, :, : pair.up.shape[1]] = pair.up

    @torch.inference_mode()
    def choose(self) -> None:
        """Scores to codes, in the order of `choice`, for all rows at once and without a shape that depends on data."""
        end = self.model.config.eos
        scores = self.scores.clone()
        scores[:, end] = torch.where(self.endless, -math.inf, scores[:, end])
        bent = torch.where(scores < 0, scores * self.penalty, scores / self.penalty)
        scores = torch.where(self.seen, bent, scores)
        best = scores.argmax(-1)
        ordered, order = scores.sort(dim=-1, descending=True)
        beyond = (ordered.softmax(-1).cumsum(-1) > self.top_p) & (self.top_p < 1)
        beyond[:, 0] = False
        ordered = ordered.masked_fill(beyond, -math.inf) / self.temperature
        least = ordered.gather(1, self.top_k - 1)
        kept = torch.zeros_like(scores).scatter(1, order, ordered.masked_fill(ordered < least, -math.inf))
        chosen = (kept.softmax(-1) / self.race).argmax(-1)
        self.ended.copy_((chosen == end) | (best == end))
        self.codes.copy_(chosen)
        self.seen[self._numbers, chosen] = True

    @torch.inference_mode()
    def advance(self) -> None:
        """The codes just chosen to the next scores; every row moves on by one place."""
        model = self.model
        x = model.ar_audio_embedding(self.codes[:, None]) + self._positions[self.spoken][:, None]
        visible = (self._columns[None] <= self.places[:, None])[:, None, None]
        for number, block in enumerate(model.h.layers):
            assert isinstance(block, Block)
            attention = block.self_attn
            pairs = None if self._pairs is None else self._pairs[number]
            query, key, value = attention.fused(x, pairs).view(self.rows, 3, attention.heads, -1).unbind(1)
            self.keys[number][self._numbers, :, self.places] = key
            self.values[number][self._numbers, :, self.places] = value
            mixed = F.scaled_dot_product_attention(
                query[:, :, None], self.keys[number], self.values[number], attn_mask=visible
            )
            x = block.norm1(x + attention.output(mixed.reshape(self.rows, 1, -1), pairs))
            x = block.norm2(x + block.fed(x, pairs))
        self.scores.copy_(model.logits(x[:, -1]))
        self.places.add_(1).clamp_(max=self.capacity - 1)
        self.spoken.add_(1).clamp_(max=self.capacity - 1)


def _room(block: nn.Module, rows: int, rank: int) -> BlockPairs:
    """A block's pairs for every row, all zero."""
    assert isinstance(block, Block)

    def pair(weight: Tensor) -> Pair:
        outputs, inputs = weight.shape
        shapes = ((rows, rank, inputs), (rows, outputs, rank), (rows, 1, 1))
        down, up, scale = (torch.zeros(shape, dtype=weight.dtype, device=weight.device) for shape in shapes)
        return Pair(down, up, scale)

    attention = block.self_attn
    weights = (attention.in_proj_weight, attention.out_proj.weight, block.linear1.weight, block.linear2.weight)
    return BlockPairs(*(pair(weight) for weight in weights))


class Replay:
    """One function of a `StaticStep`, captured as a CUDA graph on a GPU, called as it is elsewhere."""

    def __init__(self, step: StaticStep) -> None:
        self._step = step
        self._graph: torch.cuda.CUDAGraph | None = None
        if step.keys.is_cuda:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):  # libraries pick their kernels and buffers before the recording
                self._once()
            torch.cuda.current_stream().wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._once()

    def _once(self) -> None:
        self._step.advance()
        self._step.choose()

    def __call__(self) -> None:
        """Codes of the step before to scores to new codes."""
        if self._graph is None:
            self._once()
        else:
            self._graph.replay()


def decode_static(model: Text2Semantic, utterances: Sequence[Utterance]) -> list[Decoded]:
    """`decode_batch` by static steps: the same codes but for rounding (rows are computed together).

    Utterances must be short enough for the largest bucket. The races are drawn on the host from each row's own
    generator, so that a seed means the same everywhere.
    """
    if not utterances:
        return []
    lengths = [u.phones.shape[0] + (0 if u.prompt is None else u.prompt.shape[0]) + u.most for u in utterances]
    capacity = next((size for size in BUCKETS if size >= max(lengths)), 0)
    if not capacity:
        raise ValueError(f"an utterance needs more than {BUCKETS[-1]} places")
    rank = max(0 if u.adapters is None else u.adapters.rank for u in utterances)
    step = StaticStep(model, len(utterances), capacity, rank=rank)
    replay = Replay(step)  # before the rows are read: recording runs the step once
    for row, utterance in enumerate(utterances):
        step.put(row, utterance)
    codes: list[list[int]] = [[] for _ in utterances]
    ended = [False] * len(utterances)
    for number in range(min(MOST_CODES, max(u.most for u in utterances))):
        going = [n for n, u in enumerate(utterances) if not ended[n] and len(codes[n]) < u.most]
        if not going:
            break
        columns = model.config.eos + (number >= STEPS_WITHOUT_END)
        step.endless.fill_(number < STEPS_WITHOUT_END)
        for row in going:
            drawn = torch.empty(1, columns).exponential_(1.0, generator=utterances[row].generator)
            step.race[row, :columns] = drawn[0].to(step.race.device)
        if number:
            replay()
        else:
            step.choose()
        chosen, stopped = step.codes.tolist(), step.ended.tolist()
        for row in going:
            ended[row] = stopped[row]
            if not stopped[row]:
                codes[row].append(chosen[row])
    device = utterances[0].phones.device
    return [Decoded(torch.tensor(c, dtype=torch.long, device=device), e) for c, e in zip(codes, ended, strict=True)]
