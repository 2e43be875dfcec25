"""The generated step: the same function as the module, for odd sizes too, and the same whatever stands beside a row."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from cloning.engine.config import SemanticConfig, tiny
from cloning.engine.errors import EngineError
from cloning.engine.semantic.linears import GROUP
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.packed import PackedRunner, quantised
from cloning.engine.semantic.runner import PlainRunner, State
from cloning.engine.semantic.sampling import prepare

SIZES = {
    "heads of 24": {"width": 96, "heads": 4, "layers": 2},
    "heads of 32": {"width": 64, "heads": 2, "layers": 1},
    "heads of 3": {"width": 18, "heads": 6, "layers": 2},
    "one head of 10": {"width": 10, "heads": 1, "layers": 1},
    "three panels": {"width": 144, "heads": 9, "layers": 1},
}


def built(seed: int = 1, **sizes: int) -> Text2Semantic:
    torch.set_num_threads(1)
    config: SemanticConfig = dataclasses.replace(tiny().semantic, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Text2Semantic(config).eval()
        with torch.no_grad():
            for name, value in model.named_parameters():
                if name.endswith("bias") or "norm" in name:
                    value.add_(0.1 * torch.randn_like(value))
    return model


def numbers(seed: int, count: int, most: int) -> Tensor:
    return torch.randint(0, most, (count,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
@torch.inference_mode()
def test_scores_are_those_of_the_module(sizes: dict[str, int]) -> None:
    model = built(**sizes)
    phones, prompt = numbers(1, 23, model.config.phonemes), numbers(2, 9, model.config.codes)
    plain, packed = PlainRunner(model), PackedRunner(model, "float32")
    mine, got = packed.begin(phones, prompt, None, 40)
    theirs, expected = plain.begin(phones, prompt, None, 40)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    for code in numbers(3, 40, model.config.codes):
        got, expected = packed.advance([mine], code[None]), plain.advance([theirs], code[None])
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_without_a_prompt_and_with_bert_features() -> None:
    model = built(bert_dim=12)
    phones = numbers(1, 7, model.config.phonemes)
    bert = torch.randn(12, 7, generator=torch.Generator().manual_seed(1))
    nothing = torch.empty(0, dtype=torch.long)
    for features in (None, bert):
        _, got = prepare(model).begin(phones, nothing, features, 4)
        _, expected = PlainRunner(model).begin(phones, nothing, features, 4)
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(EngineError, match="no_bert_input"):
        prepare(built(bert_dim=0)).begin(phones, nothing, bert, 4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@torch.inference_mode()
def test_a_row_s_scores_are_the_same_bit_for_bit_in_any_company(precision: str) -> None:
    model = built(width=96, heads=4, layers=2)
    runner = prepare(model, precision)

    def begun(n: int) -> State:
        phones, prompt = numbers(n, 5 + 3 * n, model.config.phonemes), numbers(n, n, model.config.codes)
        return runner.begin(phones, prompt, None, 20)[0]

    alone = [begun(n) for n in range(9)]
    together = [begun(n) for n in range(9)]
    for step in range(20):
        codes = numbers(100 + step, 9, model.config.codes)
        expected = torch.cat([runner.advance([state], codes[n : n + 1]) for n, state in enumerate(alone)])
        order = torch.randperm(9, generator=torch.Generator().manual_seed(step)).tolist()
        got = runner.advance([together[n] for n in order], codes[order])
        assert torch.equal(got, expected[order])


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@torch.inference_mode()
def test_reading_codes_as_a_prompt_is_saying_them(precision: str) -> None:
    model = built(width=64, heads=2, layers=2)
    runner = prepare(model, precision)
    phones, codes = numbers(1, 11, model.config.phonemes), numbers(2, 30, model.config.codes)
    state, _ = runner.begin(phones, codes[:4], None, 40)
    for code in codes[4:]:
        said = runner.advance([state], code[None])[0]
    read = runner.begin(phones, codes, None, 10)[1]
    torch.testing.assert_close(said, read, atol=1e-4 if precision == "float32" else 0.05, rtol=0)


@torch.inference_mode()
def test_narrow_weights_stay_near_the_module() -> None:
    model = built(width=96, heads=4, layers=2)
    phones, prompt = numbers(1, 23, model.config.phonemes), numbers(2, 9, model.config.codes)
    _, expected = PlainRunner(model).begin(phones, prompt, None, 1)
    scale = float(expected.std())
    for precision, most in (("bfloat16", 0.05), ("int8", 0.1)):
        _, got = prepare(model, precision).begin(phones, prompt, None, 1)
        assert 0 < float((got - expected).abs().max()) < most * scale, precision


def test_weights_that_half_precision_holds_are_kept_in_half_and_change_nothing() -> None:
    model = built(width=64, heads=2, layers=2)
    assert PackedRunner(model, "float32").sizes.weights == "float32"
    model.half().float()
    half = PackedRunner(model, "float32")
    with torch.no_grad():
        model.h.layers[0].linear1.weight[0, 0] += 1e-6  # type: ignore[index,operator,union-attr]
    whole = PackedRunner(model, "float32")
    assert whole.sizes.weights == "float32"
    if half.sizes.weights == "float32":
        pytest.skip("this machine does not widen half-precision numbers in hardware")
    phones, prompt = numbers(1, 9, model.config.phonemes), numbers(2, 5, model.config.codes)
    got, expected = half.begin(phones, prompt, None, 1)[1], whole.begin(phones, prompt, None, 1)[1]
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_threads_share_a_runner() -> None:
    model = built(width=96, heads=4, layers=2)
    runner = prepare(model)

    def speak(seed: int) -> Tensor:
        with torch.inference_mode():
            state, scores = runner.begin(numbers(seed, 20, model.config.phonemes), numbers(seed, 3, 60), None, 30)
            for code in numbers(seed + 1, 30, model.config.codes):
                scores = runner.advance([state], code[None])[0]
            return scores

    expected = [speak(seed) for seed in range(6)]
    with ThreadPoolExecutor(3) as pool:
        assert all(map(torch.equal, pool.map(speak, range(6)), expected))


def test_wrong_use_is_refused() -> None:
    model = built()
    runner = prepare(model)
    state, _ = runner.begin(numbers(1, 5, 20), torch.empty(0, dtype=torch.long), None, 1)
    with pytest.raises(EngineError, match="no_room"):
        runner.advance([state], torch.tensor([model.config.vocabulary]))
    while state.length < 128:
        runner.advance([state], torch.tensor([1]))
    with pytest.raises(EngineError, match="no_room"):
        runner.advance([state], torch.tensor([1]))
    plain = PlainRunner(model)
    begun, _ = plain.begin(numbers(1, 5, 20), torch.empty(0, dtype=torch.long), None, 1)
    with pytest.raises(EngineError, match="wrong_state"):
        runner.advance([begun], torch.tensor([1]))
    with pytest.raises(EngineError, match="wrong_state"):
        plain.advance([state], torch.tensor([1]))
    with pytest.raises(EngineError, match="bad_precision"):
        prepare(model, "float8")


@given(
    outputs=st.integers(1, 5),
    inputs=st.integers(1, 150),
    steps=st.integers(1, 24),
    exponent=st.integers(-12, 3),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_8_bit_weights_are_within_half_a_step_and_a_grid_is_kept_exactly(
    outputs: int, inputs: int, steps: int, exponent: int, seed: int
) -> None:
    drawn = torch.Generator().manual_seed(seed)

    def restored(weight: Tensor) -> Tensor:
        narrow, scales = quantised(weight)
        assert narrow.dtype == torch.int8
        return narrow.float() * scales.repeat_interleave(GROUP, dim=1)[:, :inputs]

    grid = torch.randint(-steps, steps + 1, (outputs, inputs), generator=drawn) * 2.0**exponent
    torch.testing.assert_close(restored(grid), grid, atol=0, rtol=1e-5)
    free = torch.randn(outputs, inputs, generator=drawn)
    largest = F.pad(free.abs(), (0, -inputs % GROUP)).view(outputs, -1, GROUP).amax(2)
    step = (largest / 96).repeat_interleave(GROUP, dim=1)[:, :inputs]
    assert bool(((restored(free) - free).abs() <= step / 2 * 1.001).all())
