import copy

import pytest
import torch

from cloning.engine.config import tiny
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.sampling import PlainRunner
from cloning.engine.starter.ears import shipped_ears
from cloning.engine.starter.practising import (
    Pair,
    PractisingRecipe,
    PractisingStage,
    chosen_pair,
    likelihoods,
    practise,
)
from cloning.engine.text import to_phones
from cloning.engine.training.base import starter_base
from cloning.engine.training.loop import run

RECIPE = PractisingRecipe(readings=4, steps=40, learning_rate=1e-3, warm_up=2, places=400, sharpness=1.0)


def model() -> Text2Semantic:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Text2Semantic(tiny().semantic).eval()


def reading(seed: int, length: int) -> torch.Tensor:
    return torch.randint(tiny().semantic.codes, (length,), generator=torch.Generator().manual_seed(seed))


def pairs(count: int = 12) -> list[Pair]:
    return [
        Pair(reading(n, 4 + n % 5) % 30, reading(100 + n, 8 + n % 7), reading(200 + n, 8 + n % 7)) for n in range(count)
    ]


def test_the_best_reading_is_paired_with_the_worst_of_about_its_length() -> None:
    said = [reading(n, length) for n, length in enumerate((100, 104, 97, 150, 100))]
    better, worse = chosen_pair(said, (-0.3, -0.5, -0.6, -3.0, -0.4), RECIPE) or (None, None)
    assert better is said[0]
    assert worse is said[2]


def test_what_is_clear_because_it_is_slow_is_no_pair() -> None:
    said = [reading(0, 150), reading(1, 100)]
    assert chosen_pair(said, (-0.1, -2.0), RECIPE) is None


@pytest.mark.parametrize(
    ("said", "scores"), [([], []), ([reading(0, 50)], [-0.1]), ([reading(0, 50)] * 2, [-0.5, -0.55])]
)
def test_there_is_no_pair_without_a_clear_difference(said: list[torch.Tensor], scores: list[float]) -> None:
    assert chosen_pair(said, scores, RECIPE) is None


def test_likelihoods_are_those_of_saying_the_reading_code_by_code_whatever_stands_beside_it() -> None:
    net = model()
    phones, codes = reading(1, 7) % 30, reading(2, 12)
    told, counts = likelihoods(net, [phones, reading(3, 30) % 30], [codes, reading(4, 40)], "cpu")
    assert counts.tolist() == [13, 41]
    runner = PlainRunner(net)
    with torch.inference_mode():
        state, scores = runner.begin(phones, torch.empty(0, dtype=torch.long), None, 20, None)
        total = 0.0
        for code in [*codes.tolist(), net.config.eos]:
            total += float(scores.log_softmax(-1)[code])
            if code != net.config.eos:
                scores = runner.advance([state], torch.tensor([code]))[0]
    assert float(told[0].detach()) == pytest.approx(total, abs=1e-3)


def test_the_better_readings_of_unseen_draws_become_likelier_than_the_worse_ones() -> None:
    net, some = model(), pairs()
    stage = PractisingStage(net, some, RECIPE, device="cpu")
    before = copy.deepcopy(net)
    losses: list[float] = []
    run(
        stage, seed=1, start=0, progress=lambda p: losses.append(p.loss), most_skipped=0, checkpoint_every=10**6,
        save_at=None, should_stop=None,
    )  # fmt: skip

    def ahead(what: Text2Semantic) -> float:
        with torch.no_grad():
            better = likelihoods(what, [p.phones for p in some], [p.better for p in some], "cpu")[0]
            worse = likelihoods(what, [p.phones for p in some], [p.worse for p in some], "cpu")[0]
        return float((better - worse).mean())

    assert losses[0] == pytest.approx(0.693, abs=0.01)  # nothing is preferred before the first step
    assert losses[-1] < 0.3
    assert ahead(net) > ahead(before) + 2.0


def test_practice_pairs_readings_that_the_ears_tell_apart_and_is_the_same_twice() -> None:
    ears, texts = shipped_ears(), [to_phones(text, "en").ids for text in ("A quick word.", "Where do we go?")]
    net = starter_base().build_semantic(1).eval()
    recipe = PractisingRecipe(readings=4, margin=0.01)
    read: list[int] = []
    first = practise(net, ears, texts, recipe, seed=3, report=read.append)
    again = practise(net, ears, texts, recipe, seed=3, report=lambda _: None)
    assert read == [1, 2]
    assert [p.better.tolist() for p in first] == [p.better.tolist() for p in again]
    for pair in first:
        better, worse = (ears.score(codes, pair.phones.tolist()) for codes in (pair.better, pair.worse))
        assert better >= worse + recipe.margin
    assert first
