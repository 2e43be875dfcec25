"""Early stopping: what is held out, when it stops, what is kept, and that a resumed training stops the same."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from cloning.engine.training.base import Base
from cloning.engine.training.early import EarlyStop, Watch, Watched, acoustic_loss, divide
from cloning.engine.training.loop import freeze, restore, run, thaw
from cloning.engine.training.prepare import Item, prepare
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.semantic import SemanticStage, semantic_loss
from tests.cloning.engine.training.conftest import spoken


def item(number: int, *, text: bool = True) -> Item:
    return Item(torch.full((3,), float(number)), torch.zeros(1).long(), torch.zeros(1).long(), text)


def test_a_share_is_held_out_whatever_the_order() -> None:
    items = [item(n) for n in range(20)]
    train, held = divide(items, EarlyStop(share=0.2))
    assert len(held) == 4
    assert sorted(float(i.wave[0]) for i in train + held) == list(range(20))
    assert [float(i.wave[0]) for i in train] == sorted(float(i.wave[0]) for i in train)
    _, again = divide(items[::-1], EarlyStop(share=0.2))
    assert {float(i.wave[0]) for i in again} == {float(i.wave[0]) for i in held}


@pytest.mark.parametrize("count", [2, 3, 9])
def test_both_parts_keep_a_readable_item(count: int) -> None:
    items = [item(n, text=n < 2) for n in range(count)]
    train, held = divide(items, EarlyStop(share=0.5))
    assert any(i.has_text for i in train)
    assert any(i.has_text for i in held)


def test_nothing_is_held_out_of_one_readable_item() -> None:
    items = [item(0), item(1, text=False)]
    assert divide(items, EarlyStop()) == (items, [])


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"share": 0.9}, {"every": 0}, {"patience": 0}, {"least": 1.0}])
def test_a_rule_is_bounded(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        EarlyStop(**wrong)  # type: ignore[arg-type]


def test_a_watch_stops_after_its_patience_and_gives_the_best_back() -> None:
    state = torch.zeros(3)
    watch = Watch(EarlyStop(every=1, patience=2, least=0.01), {"x": state})
    told = []
    for step, loss in enumerate([3.0, 2.0, 1.999, math.nan], start=1):
        state.fill_(step)
        told.append(watch.look(step, loss, {"x": state}))
    assert told == [False, False, False, True]
    assert (int(watch.best_step), float(watch.loss), int(watch.stopped)) == (2, 2.0, 4)
    watch.give_back({"x": state})
    assert state.tolist() == [2, 2, 2]
    assert not watch.due(5, 5)


def test_a_watch_that_never_saw_a_finite_loss_keeps_the_state() -> None:
    state = torch.ones(3)
    watch = Watch(EarlyStop(patience=1), {"x": torch.zeros(3)})
    assert watch.look(1, math.inf, {"x": state})
    watch.give_back({"x": state})
    assert state.tolist() == [1, 1, 1]


@pytest.fixture(scope="module")
def items(base: Base) -> list[Item]:
    return prepare(
        list(spoken()), language="en", config=base.config, encoder=base.build_content(), codebook=base.codebook
    ).items


def watched(items: list[Item], base: Base, *, rate: float = 0.03) -> Watched:
    train, held = divide(items, EarlyStop(share=0.4))
    model = base.build_semantic(1)
    recipe = dataclasses.replace(TrainingRecipe.tiny().semantic, steps=16, learning_rate=rate)
    stage = SemanticStage(model, train, recipe, bfloat16=False, device="cpu")
    return Watched(stage, model, EarlyStop(every=1, patience=2), lambda: semantic_loss(model, held)[0])


def train(stage: Watched, start: int = 0, sink: list[bytes] | None = None) -> list[int]:
    steps: list[int] = []

    def save(step: int) -> None:
        steps.append(step)
        if sink is not None:
            sink.append(freeze({"step": step}, stage.modules(), stage.optimisers()))

    run(
        stage, seed=1, start=start, progress=lambda p: None, most_skipped=1, checkpoint_every=4,
        save_at=save, should_stop=None,
    )  # fmt: skip
    return steps


def test_training_stops_when_held_out_sentences_get_worse(items: list[Item], base: Base) -> None:
    stage = watched(items, base)
    train(stage)
    best, stopped = int(stage.watch.best_step), int(stage.watch.stopped)
    assert 0 < best < stopped < stage.steps
    assert stopped == best + 2
    assert stage.measure() == pytest.approx(float(stage.watch.loss), rel=1e-6)


def test_a_resumed_training_stops_where_the_undisturbed_one_did(items: list[Item], base: Base) -> None:
    whole, kept = watched(items, base), list[bytes]()
    steps = train(whole, sink=kept)
    for step, data in zip(steps, kept, strict=True):
        again = watched(items, base)
        restore(thaw(data)[1], again.modules(), again.optimisers())
        train(again, start=step)
        assert int(again.watch.stopped) == int(whole.watch.stopped)
        for mine, theirs in zip(again.model.parameters(), whole.model.parameters(), strict=True):
            assert torch.equal(mine, theirs)


def test_the_held_out_loss_of_sound_is_repeatable_and_finds_a_better_model(items: list[Item], base: Base) -> None:
    model = base.build_acoustic(1)
    first = acoustic_loss(model, items[:2], mel_weight=30.0)
    torch.manual_seed(np.random.default_rng().integers(2**31))
    assert acoustic_loss(model, items[:2], mel_weight=30.0) == first
    assert model.training
    with torch.no_grad():
        model.enc_p.proj.weight.mul_(3.0)
    assert acoustic_loss(model, items[:2], mel_weight=30.0) != first
    assert acoustic_loss(model, [], mel_weight=30.0) == math.inf
