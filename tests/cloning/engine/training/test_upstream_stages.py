"""The official recipes as stages: the same weights as their rules written out as plain loops, and repeatable."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.training.loop import freeze, restore, thaw
from cloning.engine.training.recipe import OfficialRecipe, TrainingRecipe
from cloning.engine.training.scaled_adam import ScaledAdam
from cloning.engine.training.stages import build_stages
from cloning.engine.training.upstream_acoustic_stage import RATE, UpstreamAcousticStage, acoustic_rate
from cloning.engine.training.upstream_batches import semantic_batches, semantic_items
from cloning.engine.training.upstream_semantic import upstream_forward, upstream_rate
from cloning.engine.training.upstream_semantic_stage import UpstreamSemanticStage
from tests.cloning.engine.official import FIXTURES, needs_fixtures
from tests.cloning.engine.training.made import CONFIG, base, finish, items, same

RULES = OfficialRecipe(semantic_epochs=2, semantic_batch=16, acoustic_epochs=2, acoustic_batch=8)
LENGTHS = (20, 25, 31, 38, 44, 50, 55, 60)
MOST = 8


def reading(rules: OfficialRecipe = RULES, seed: int = 1) -> UpstreamSemanticStage:
    return UpstreamSemanticStage(
        base().build_semantic(seed), items(LENGTHS), rules, code_rate=CONFIG.code_rate, bfloat16=False, device="cpu"
    )


def sound(rules: OfficialRecipe = RULES) -> UpstreamAcousticStage:
    return UpstreamAcousticStage(
        base().build_acoustic(1), items(LENGTHS[:3]), rules, bfloat16=False, device="cpu", seed=2
    )


def plain_reading(model: Text2Semantic) -> Text2Semantic:
    """Two epochs as the official training step has them: count batches, sum gradients, step now and then."""
    pool = semantic_items(items(LENGTHS), CONFIG.code_rate)
    seconds = [len(one.codes) / CONFIG.code_rate for one in pool]
    optimiser = ScaledAdam(model.parameters(), lr=0.01, compat=True)
    steps = 0
    for epoch in range(2):
        for number, batch in enumerate(semantic_batches(seconds, 16, epoch)):
            chosen = [pool[place] for place in batch]
            width = max(len(one.phones) for one in chosen), max(len(one.codes) for one in chosen)
            phones, codes = torch.zeros(len(chosen), width[0]).long(), torch.zeros(len(chosen), width[1]).long()
            for row, one in enumerate(chosen):
                phones[row, : len(one.phones)] = one.phones
                codes[row, : len(one.codes)] = one.codes
            phone_lengths = torch.tensor([len(one.phones) for one in chosen])
            upstream_forward(
                model, phones, phone_lengths, codes, torch.tensor([len(one.codes) for one in chosen])
            ).loss.backward()
            if number > 0 and number % 4 == 0:
                for group in optimiser.param_groups:
                    group["lr"] = upstream_rate(steps)
                optimiser.step()
                optimiser.zero_grad()
                steps += 1
    assert steps == 2
    return model


def test_reading_ends_in_the_weights_of_the_plain_loop() -> None:
    stage = reading()
    assert stage.size == 16
    assert len(stage.items) == 96
    assert stage.steps == 2
    assert len(finish(stage)) == 2
    assert same(stage.model, plain_reading(base().build_semantic(1)))
    assert not same(stage.model, base().build_semantic(1))


def test_where_the_rule_gives_no_step_the_model_stays_the_base() -> None:
    stage = reading(dataclasses.replace(RULES, semantic_batch=24, semantic_epochs=50))
    assert stage.steps == 0
    assert finish(stage) == []
    assert same(stage.model, base().build_semantic(1))


def test_dpo_halves_the_batch_and_trains() -> None:
    stage = reading(dataclasses.replace(RULES, preference=True, semantic_epochs=1))
    assert stage.size == 8
    assert stage.steps == 2
    finish(stage)
    plain = reading(dataclasses.replace(RULES, semantic_batch=8, semantic_epochs=1))
    finish(plain)
    assert not same(stage.model, plain.model)


@pytest.mark.parametrize("build", [reading, sound], ids=["reading", "sound"])
def test_two_runs_are_equal_and_a_resumed_one_too(build) -> None:  # type: ignore[no-untyped-def]
    first, again, resumed = build(), build(), build()
    end = min(first.steps, MOST)
    finish(first, stop=end)
    finish(again, stop=end)
    middle = end // 2
    rest = build()
    finish(resumed, stop=middle)
    about, tensors = thaw(freeze({"step": middle}, resumed.modules(), resumed.optimisers()))
    restore(tensors, rest.modules(), rest.optimisers())
    finish(rest, start=about["step"], stop=end)
    for name, module in first.modules().items():
        assert same(module, again.modules()[name])
        assert same(module, rest.modules()[name])


def test_sound_trains_the_critics_and_leaves_the_codes_alone() -> None:
    stage = sound()
    before = base().build_acoustic(1)
    fresh = sound().critics
    told = finish(stage, stop=MOST)
    assert len(told) == MOST
    moved = {
        name for name, value in stage.model.state_dict().items() if not torch.equal(value, before.state_dict()[name])
    }
    assert not any(name.startswith(("quantizer", "ssl_proj")) for name in moved)
    assert {name.split(".")[0] for name in moved} == {"enc_p", "dec", "enc_q", "flow", "ref_enc"}
    assert not same(stage.critics, fresh)


def test_the_rate_of_sound_falls_by_epochs_and_is_lower_for_text() -> None:
    free = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([free], lr=RATE)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, gamma=0.999875)
    optimiser.step()
    for epoch in range(1, 9):
        schedule.step()
        assert acoustic_rate(epoch) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-12)
    stage = sound()
    finish(stage, stop=1)
    rates = [group["lr"] for group in stage.optimiser.param_groups]
    assert rates == pytest.approx([acoustic_rate(1), 0.4 * acoustic_rate(1)])
    finish(stage, start=stage.batches, stop=stage.batches + 1)
    assert stage.optimiser.param_groups[0]["lr"] == pytest.approx(acoustic_rate(2))
    assert stage.critic_optimiser.param_groups[0]["lr"] == pytest.approx(acoustic_rate(2))
    slow = {id(value) for value in stage.optimiser.param_groups[1]["params"]}
    names = {name.split(".")[1] for name, value in stage.model.named_parameters() if id(value) in slow}
    assert names == {"text_embedding", "encoder_text", "mrte"}


@needs_fixtures
def test_the_rate_of_reading_is_the_official_one() -> None:
    stored = json.loads((FIXTURES / "s1_lr.json").read_text())["lr_before_and_after_steps"]
    assert [upstream_rate(step) for step in range(len(stored))] == stored


def test_a_recipe_says_which_stages_are_built() -> None:
    made = {}
    for name, recipe in (("own", TrainingRecipe.tiny()), ("official", TrainingRecipe.upstream(semantic_epochs=2))):
        stages = build_stages(
            recipe, base().build_semantic(1), base().build_acoustic(1), items(LENGTHS), config=CONFIG, device="cpu",
            seed=1,
        )  # fmt: skip
        made[name] = [type(stage).__name__ for stage in stages]
        assert [stage.name for stage in stages] == ["semantic", "acoustic"]
        assert all(stage.steps > 0 for stage in stages)
    assert made == {
        "own": ["SemanticStage", "AcousticStage"],
        "official": ["UpstreamSemanticStage", "UpstreamAcousticStage"],
    }


def test_reading_in_parts_sums_the_same_gradients() -> None:
    """Half the memory, the same weights but for rounding (ScaledAdam takes the sign of small gradients)."""
    whole, parts = reading(), reading()
    assert parts.halve()
    for stage in (whole, parts):
        stage.model.eval()
        stage._gather(stage.items[:5], np.random.default_rng(1))
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-3, atol=1e-4)


def test_both_halve_down_to_single_items_and_train_on() -> None:
    for stage in (reading(), sound()):
        halves = 0
        while stage.halve():
            halves += 1
        assert halves == {"semantic": 4, "acoustic": 3}[stage.name]
        assert len(finish(stage, stop=1)) == 1
