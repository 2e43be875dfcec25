"""Adapters beside S1: what merged weights would say, whoever else is in the batch."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cloning.engine import lowrank
from cloning.engine.config import EngineConfig, tiny
from cloning.engine.errors import EngineError
from cloning.engine.semantic.adapters import SemanticAdapters
from cloning.engine.semantic.cuda_graphs import decode_static
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.packed import PRECISIONS, PackedRunner
from cloning.engine.semantic.runner import PlainRunner, Runner
from cloning.engine.semantic.sampling import Sampling, Utterance, decode_batch

#: Widths that are no whole vectors and no whole panels, too.
SIZES = [{}, {"width": 18, "heads": 6, "layers": 1}, {"width": 80, "heads": 5, "layers": 2}]


def configured(**sizes: int) -> EngineConfig:
    whole = tiny()
    return dataclasses.replace(whole, semantic=dataclasses.replace(whole.semantic, phone_classes=0, **sizes))


def built(config: EngineConfig) -> Text2Semantic:
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = Text2Semantic(config.semantic).eval()
    with torch.no_grad():
        model.ar_predict_layer.weight *= 4
    return model


def drawn(config: EngineConfig, rank: int, seed: int, only: frozenset[int] | None = None) -> dict[str, Tensor]:
    """Random pairs in half precision; those of other layers than `only` (numbers in order of names) are zero."""
    draw = torch.Generator().manual_seed(seed)
    shapes = lowrank.outline(config, "semantic", rank)
    layers = sorted({name.rpartition(".")[0] for name in shapes})
    kept = {name for number, name in enumerate(layers) if only is None or number in only}
    return {
        name: (0.2 * torch.randn(shape, generator=draw) * (name.rpartition(".")[0] in kept)).half()
        for name, shape in shapes.items()
    }


def merged(model: Text2Semantic, config: EngineConfig, tensors: Mapping[str, Tensor], scale: float) -> Text2Semantic:
    whole = built(config)
    whole.load_state_dict(lowrank.merged(model.state_dict(), tensors, lowrank.targets(config)["semantic"], scale))
    return whole


@torch.inference_mode()
def scores(runner: Runner, adapters: SemanticAdapters | None) -> Tensor:
    """Of a short utterance and three codes after it."""
    draw = torch.Generator().manual_seed(5)
    phones = torch.randint(0, runner.config.phonemes, (9,), generator=draw)
    prompt = torch.randint(0, runner.config.codes, (4,), generator=draw)
    state, first = runner.begin(phones, prompt, None, 8, adapters)
    return torch.stack([first, *(runner.advance([state], torch.tensor([code]))[0] for code in (3, 1, 5))])


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.sampled_from(SIZES),
    rank=st.integers(1, 21),
    scale=st.floats(0.1, 4),
    only=st.frozensets(st.integers(0, 7)),
)
def test_a_voice_beside_the_base_scores_as_merged(
    sizes: dict[str, int], rank: int, scale: float, only: frozenset[int]
) -> None:
    config = configured(**sizes)
    model, tensors = built(config), drawn(config, rank, 2, only)
    adapters = SemanticAdapters(config.semantic, tensors, scale)
    expected = scores(PlainRunner(merged(model, config, tensors, scale)), None)
    for runner in (PlainRunner(model), PackedRunner(model, "float32")):
        # Scores reach 7. Strong random pairs magnify the rounding of one sum: 3e-4 was met; a wrong layer moves tenths.
        torch.testing.assert_close(scores(runner, adapters), expected, atol=1e-3, rtol=1e-4)


def test_the_adapters_are_heard_and_the_base_stays() -> None:
    config = configured()
    runner = PackedRunner(built(config), "float32")
    before = scores(runner, None)
    other = scores(runner, SemanticAdapters(config.semantic, drawn(config, 4, 2), 1.0))
    assert float((other - before).abs().max()) > 0.1
    assert torch.equal(scores(runner, None), before)


def utterances(voices: list[SemanticAdapters | None], sampling: Sampling) -> list[Utterance]:
    rows = []
    for number, voice in enumerate(voices):
        draw = torch.Generator().manual_seed(number)
        phones = torch.randint(0, 60, (5 + 3 * number,), generator=draw)
        prompt = torch.randint(0, 60, (2 * number,), generator=draw) if number else None
        generator = torch.Generator().manual_seed(number)
        rows.append(Utterance(phones, generator, sampling, 25, prompt=prompt, adapters=voice))
    return rows


@pytest.fixture(scope="module")
def voices() -> list[SemanticAdapters | None]:
    """Different ranks, scales and kinds, and the base itself in between."""
    size = configured().semantic
    single = {name: value.float() * 1.0001 for name, value in drawn(configured(), 3, 3).items()}
    return [
        SemanticAdapters(size, drawn(configured(), 2, 1), 2.0),
        None,
        SemanticAdapters(size, drawn(configured(), 9, 2), 0.5),
        SemanticAdapters(size, single, 1.0),
        None,
    ]


@pytest.mark.parametrize("precision", PRECISIONS)
@torch.inference_mode()
def test_rows_of_many_voices_are_bit_equal_to_each_alone(precision: str, voices: list[SemanticAdapters | None]) -> None:
    runner = PackedRunner(built(configured()), precision)
    begun = [runner.begin(u.phones, torch.arange(3), None, 10, u.adapters)[0] for u in utterances(voices, Sampling())]
    alone = [copy.deepcopy(state) for state in begun]
    for code in (3, 7, 1, 2):
        together = runner.advance(begun, torch.full((len(begun),), code))
        for row, state in enumerate(alone):
            assert torch.equal(together[row], runner.advance([state], torch.tensor([code]))[0])


@pytest.mark.parametrize("sampling", [Sampling(top_k=1, repetition_penalty=1.0), Sampling()], ids=["greedy", "drawn"])
@pytest.mark.parametrize("kind", ["plain", "packed", "static"])
def test_a_mixed_batch_says_what_each_voice_says_alone(
    kind: str, sampling: Sampling, voices: list[SemanticAdapters | None]
) -> None:
    model = built(configured())
    runner = PlainRunner(model)
    expected = [decode_batch(runner, [utterance])[0] for utterance in utterances(voices, sampling)]
    rows = utterances(voices, sampling)
    if kind == "static":
        got = decode_static(model, rows)
    else:
        got = decode_batch(runner if kind == "plain" else PackedRunner(model, "float32"), rows)
    assert [(d.codes.tolist(), d.ended) for d in got] == [(d.codes.tolist(), d.ended) for d in expected]
    plain = decode_batch(runner, utterances([None] * len(voices), sampling))
    assert [d.codes.tolist() for d in got] != [d.codes.tolist() for d in plain]


def test_numbers_of_a_file_are_kept_as_narrow_as_they_are() -> None:
    config = configured()
    tensors = drawn(config, 8, 1)
    half = SemanticAdapters(config.semantic, tensors, 1.0)
    whole = SemanticAdapters(config.semantic, {k: v.float() + 1e-6 for k, v in tensors.items()}, 1.0)
    assert whole.kind == "float32"
    assert half.kind in ("float16", "float32")
    if half.kind == "float16":
        assert half.nbytes < 0.6 * whole.nbytes
    pair, like = half.pairs(config.semantic, torch.zeros(1))[1].narrowing, tensors["h.layers.1.linear2.down"]
    assert torch.equal(pair.down[:8], like.float())


def test_adapters_of_another_model_are_refused() -> None:
    config = configured()
    tensors = drawn(config, 4, 1)
    other = configured(width=80, heads=5)
    adapters = SemanticAdapters(config.semantic, tensors, 1.0)
    for runner in (PlainRunner(built(other)), PackedRunner(built(other), "float32")):
        with pytest.raises(EngineError) as refusal:
            runner.begin(torch.arange(3), torch.arange(2), None, 4, adapters)
        assert refusal.value.code == "wrong_adapters"


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("h.layers.0.linear1.up"),
        lambda t: t.update({"h.layers.0.linear1.up": torch.zeros(5, 4)}),
        lambda t: t.update({"h.layers.0.linear1.down": torch.zeros(3, 32)}),
        lambda t: t.update({"h.layers.0.linear1.down": torch.zeros(0, 32)}),
        lambda t: t.update({"h.layers.0.linear1.down": torch.zeros(200, 32)}),
        lambda t: t.update({"h.layers.0.linear1.down": torch.zeros(32)}),
    ],
)
def test_tensors_that_do_not_fit_are_refused(change: object) -> None:
    config = configured(width=32, heads=2)
    tensors = drawn(config, 4, 1)
    change(tensors)  # type: ignore[operator]
    with pytest.raises(EngineError) as refusal:
        SemanticAdapters(config.semantic, tensors, 1.0)
    assert refusal.value.code == "wrong_adapters"
