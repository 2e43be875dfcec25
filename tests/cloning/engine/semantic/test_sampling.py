"""Choosing codes: the sampler's steps, the end rules, and the bound on babble."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cloning.engine.config import tiny
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.sampling import (
    MOST_CODES,
    STEPS_WITHOUT_END,
    Sampling,
    code_bound,
    decode,
    penalise,
    probabilities,
)


@pytest.fixture(scope="module")
def model() -> Text2Semantic:
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Text2Semantic(tiny().semantic).eval()


def say(model: Text2Semantic, seed: int = 1, most: int = 40, **settings: float) -> tuple[list[int], bool]:
    phones = torch.arange(8)[None]
    sampling = Sampling(**settings)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    decoded = decode(model, phones, generator=generator, sampling=sampling, most=most, prompt=torch.tensor([[1, 2]]))
    return decoded.codes.tolist(), decoded.ended


def test_one_seed_is_one_result_and_global_randomness_is_left_alone(model: Text2Semantic) -> None:
    state = torch.random.get_rng_state()
    assert say(model, 5) == say(model, 5)
    assert say(model, 5) != say(model, 6)
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_end_mark_cannot_come_first_and_ends_speech_when_it_may(model: Text2Semantic) -> None:
    with torch.no_grad():
        kept = model.ar_predict_layer.weight.clone()
        model.ar_predict_layer.weight[-1] = 0
    eager = Text2Semantic(model.config).eval()
    eager.load_state_dict(model.state_dict())

    def end_wins(hidden: torch.Tensor) -> torch.Tensor:
        scores = torch.zeros(*hidden.shape[:-1], model.config.vocabulary)
        scores[..., -1] = 5.0
        return scores

    eager.logits = end_wins  # type: ignore[method-assign,assignment]
    codes, ended = say(eager)
    assert ended
    assert len(codes) == STEPS_WITHOUT_END
    with torch.no_grad():
        model.ar_predict_layer.weight.copy_(kept)


def test_a_model_that_never_ends_is_cut_at_the_bound_and_says_so(model: Text2Semantic) -> None:
    endless = Text2Semantic(model.config).eval()
    endless.load_state_dict(model.state_dict())

    def never(hidden: torch.Tensor) -> torch.Tensor:
        scores = torch.zeros(*hidden.shape[:-1], model.config.vocabulary)
        scores[..., -1] = -50.0
        return scores

    endless.logits = never  # type: ignore[method-assign,assignment]
    codes, ended = say(endless, most=30, top_k=0)
    assert (len(codes), ended) == (30, False)


def test_temperature_zero_is_greedy(model: Text2Semantic) -> None:
    assert say(model, 1, temperature=0.0) == say(model, 2, temperature=0.0, top_k=1)


def test_the_penalty_lowers_said_codes_whatever_their_sign() -> None:
    scores = torch.tensor([[2.0, -2.0, 1.0, -1.0]])
    assert penalise(scores, torch.tensor([[0, 1]]), 2.0).tolist() == [[1.0, -4.0, 1.0, -1.0]]
    assert scores.tolist() == [[2.0, -2.0, 1.0, -1.0]]


@given(
    scores=st.lists(st.floats(-8, 8), min_size=3, max_size=12),
    top_k=st.integers(0, 12),
    top_p=st.floats(0.01, 1.0),
    temperature=st.floats(0, 3),
)
def test_probabilities_are_a_distribution_that_keeps_the_best_code(
    scores: list[float], top_k: int, top_p: float, temperature: float
) -> None:
    chances = probabilities(torch.tensor([scores]), Sampling(top_k, top_p, temperature, 1.0))[0]
    assert torch.isfinite(chances).all()
    assert float(chances.sum()) == pytest.approx(1.0, abs=1e-4)
    assert float(chances[torch.tensor(scores).argmax()]) == pytest.approx(float(chances.max()))
    if top_k and len(set(torch.tensor(scores).tolist())) == len(scores):  # two scores may be one float32
        assert int((chances > 0).sum()) <= top_k


@given(target=st.integers(1, 600), phones=st.integers(0, 600), codes=st.integers(0, 1500))
def test_the_bound_is_finite_grows_with_the_text_and_leaves_room_for_slow_speech(
    target: int, phones: int, codes: int
) -> None:
    bound = code_bound(target, phones, codes)
    assert 25 < bound <= MOST_CODES
    assert bound <= code_bound(target + 1, phones, codes)
    if phones and codes and codes <= 8 * phones:
        assert bound >= min(MOST_CODES, target * codes / phones)


@pytest.mark.parametrize(
    "wrong",
    [{"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}, {"temperature": float("nan")}, {"repetition_penalty": 0.0}],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"range|between"):
        Sampling(**wrong)  # type: ignore[arg-type]
