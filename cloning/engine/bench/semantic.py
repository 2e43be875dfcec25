"""Speed of S1 at full size, beside the plain reference in the same process.

Weights by rule (`parity.recipe`), 90 phones and 125 prompt codes: a sentence with a five-second reference. Every figure
is CPU time of the process; with one thread that is what one core needs.
"""

from __future__ import annotations

import copy
import functools
import gc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cloning.engine.bench.plain_semantic import PlainBatch
from cloning.engine.bench.timing import MEGABYTE, Timing, added_memory, interleaved
from cloning.engine.config import SemanticConfig, official
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.packed import PRECISIONS
from cloning.engine.semantic.runner import Runner
from cloning.engine.semantic.sampling import Row, Sampling, Utterance, choose, prepare

SEED = 5001
PHONES, PROMPT = 90, 125
#: Batch sizes, and how many steps one measurement takes.
STEPS = {1: 16, 8: 8, 32: 4}
SAMPLING = Sampling()
#: The float32 engine when half precision does not hold the weights (official files always can be held).
WHOLE = "float32, weights not half"


def run(
    threads: int = 1, quick: bool = False, *, config: SemanticConfig | None = None, rounds: int | None = None
) -> list[dict[str, Any]]:
    """One row for each part, batch and precision.

    part "semantic prefill" or "semantic decode"; variant "engine" or "reference"; precision: see `prepare`; seconds: of
    one prefill of the whole batch, or of one decode step;
    tokens_per_second (decode only); reference_seconds: the plain path's; ratio: how many times faster;
    wall_seconds; peak_memory_mb: what weights, caches and work add to the process. quick: batch 1 and 8, few rounds.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return _run(quick, config or official("v2").semantic, rounds or (2 if quick else 5))
    finally:
        torch.set_num_threads(before)


def recipe_model(config: SemanticConfig, seed: int = SEED) -> Text2Semantic:
    """A model with weights by rule, whose end mark never wins, so that every step of a measurement is full."""
    model = Text2Semantic(config).eval()
    shapes = {f"model.{name}": tuple(value.shape) for name, value in model.state_dict().items()}
    state = recipe_state(shapes, seed)
    model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
    with torch.no_grad():
        model.ar_predict_layer.weight[config.eos] = 0
    return model


def _run(quick: bool, config: SemanticConfig, rounds: int) -> list[dict[str, Any]]:
    model = recipe_model(config)
    memory = {name: added_memory(functools.partial(_short, model, name)) for name in PRECISIONS}
    plain_memory = added_memory(lambda: PlainBatch(model, *_inputs(model, 1), SAMPLING).step())
    gc.collect()
    runners = {name: prepare(model, name) for name in PRECISIONS}
    runners[WHOLE] = prepare(_not_half(model))
    rows = []
    for batch in (1, 8) if quick else STEPS:
        for part, make in (("prefill", _prefills), ("decode", _decodes)):
            if part == "prefill" and batch > 8:
                continue
            work, steps = make(model, runners, batch)
            times = interleaved(work, rounds=max(2, rounds // 2) if part == "prefill" else rounds)
            rows += [_row(part, name, batch, times, steps, memory.get(name)) for name in runners]
            plain = _row(part, "float32", batch, times, steps, plain_memory, reference=True)
            rows.append(plain)
            gc.collect()
    weights = sum(p.numel() * p.element_size() for p in model.parameters()) / MEGABYTE
    for row in rows:
        if row["variant"] == "reference" and row["peak_memory_mb"] is not None:
            row["peak_memory_mb"] = round(row["peak_memory_mb"] + weights, 1)
    return rows


def _not_half(model: Text2Semantic) -> Text2Semantic:
    """A copy whose matrices need all of float32."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for weight in other.h.parameters():
            weight.mul_(1.0001)
    return other


def _row(
    part: str,
    precision: str,
    batch: int,
    times: dict[str, Timing],
    steps: int,
    memory: float | None,
    *,
    reference: bool = False,
) -> dict[str, Any]:
    mine, plain = times["reference" if reference else precision], times["reference"]
    seconds = mine.cpu / steps
    return {
        "part": f"semantic {part}",
        "variant": "reference" if reference else "engine",
        "batch": batch,
        "precision": precision,
        "seconds": seconds,
        "wall_seconds": mine.wall / steps,
        "tokens_per_second": batch / seconds if part == "decode" else None,
        "reference_seconds": plain.cpu / steps,
        "ratio": plain.cpu / mine.cpu,
        "peak_memory_mb": None if memory is None else round(memory, 1),
    }


Work = tuple[dict[str, Callable[[], object]], int]


def _inputs(model: Text2Semantic, batch: int) -> tuple[list[Tensor], Tensor]:
    """Phones of each row and prompts B x P, the same for all rows but not the same within a row."""
    drawn = torch.Generator().manual_seed(1)
    phones = torch.randint(0, model.config.phonemes, (PHONES,), generator=drawn)
    prompt = torch.randint(0, model.config.codes, (PROMPT,), generator=drawn)
    return [phones] * batch, prompt.expand(batch, -1).contiguous()


def _prefills(model: Text2Semantic, runners: dict[str, Runner], batch: int) -> Work:
    phones, prompts = _inputs(model, batch)

    def engine(runner: Runner) -> Callable[[], object]:
        return lambda: [runner.begin(p, q, None, 1) for p, q in zip(phones, prompts, strict=True)]

    work: dict[str, Callable[[], object]] = {name: engine(runner) for name, runner in runners.items()}
    work["reference"] = lambda: PlainBatch(model, phones, prompts, SAMPLING)
    return work, 1


def _decodes(model: Text2Semantic, runners: dict[str, Runner], batch: int) -> Work:
    phones, prompts = _inputs(model, batch)
    steps = STEPS[batch]
    most = steps * 64  # room for every round
    work: dict[str, Callable[[], object]] = {}
    for name, runner in runners.items():
        work[name] = _Decoding(runner, phones, prompts, most, steps)
    plain = PlainBatch(model, phones[:1], prompts[:1], SAMPLING)
    keys, values = plain.keys, plain.values

    def reference() -> None:
        # Every measurement starts from the same short cache: growing caches would make later rounds slower.
        plain.keys, plain.values = ([t.expand(batch, -1, -1) for t in kept] for kept in (keys, values))
        plain.said, plain.scores = prompts, plain.scores[:1].expand(batch, -1)
        plain.mask = torch.ones(batch, 1, 1, PHONES + PROMPT, dtype=torch.bool)
        for _ in range(steps):
            plain.step()

    work["reference"] = reference
    return work, steps


class _Decoding:
    """Rows read once; every call says the next few codes from the same places again."""

    def __init__(self, runner: Runner, phones: list[Tensor], prompts: Tensor, most: int, steps: int) -> None:
        self.runner, self.steps = runner, steps
        self.rows = []
        first, self.scores = runner.begin(phones[0], prompts[0], None, most)
        self.batch = len(phones)
        for number in range(self.batch):
            generator = torch.Generator().manual_seed(number)
            utterance = Utterance(phones[number], generator, SAMPLING, most, prompt=prompts[number])
            seen = torch.zeros(runner.config.vocabulary, dtype=torch.bool)
            seen[prompts[number]] = True
            state = first if number == 0 else copy.deepcopy(first)
            self.rows.append(Row(number, utterance, state, seen))
        self.start: Any = copy.copy(first)

    def __call__(self) -> None:
        for row in self.rows:
            state: Any = row.state
            state.length, state.spoken = self.start.length, self.start.spoken
        scores = self.scores.expand(self.batch, -1)
        for _ in range(self.steps):
            codes = choose(self.rows, scores, 0, self.runner.config.eos)
            scores = self.runner.advance([row.state for row in self.rows], torch.tensor(codes))


def _short(model: Text2Semantic, precision: str) -> object:
    runner = prepare(model, precision)
    phones, prompts = _inputs(model, 1)
    state, _ = runner.begin(phones[0], prompts[0], None, 8)
    runner.advance([state], torch.tensor([1]))
    return runner, state
