"""Adapters inside a model: nothing at the start, the same merged as unmerged, and nobody moves another's."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cloning.engine import lowrank
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.layers import fold_weight_norm
from cloning.engine.config import EngineConfig, tiny
from cloning.engine.semantic.model import KeyValueCache, Text2Semantic
from cloning.engine.training.adapters import AdapterRecipe, Attached, attach

RECIPE = AdapterRecipe(rank=4, alpha=8)
SEEDS = (3, 4, 5)


def build(part: str) -> nn.Module:
    config = tiny()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        if part == "semantic":
            return Text2Semantic(config.semantic).eval()
        return AcousticModel(config.acoustic, config.audio).eval()


def run(model: nn.Module, items: slice = slice(None)) -> Tensor:
    """Everything a training pass gives, as one row for each of six items."""
    draw = torch.Generator().manual_seed(1)
    codes, phones = torch.randint(64, (6, 9), generator=draw), torch.randint(40, (6, 7), generator=draw)
    lengths = torch.tensor([9, 5, 9, 8, 6, 9])
    spec, noise = torch.rand(6, 257, 18, generator=draw), torch.randn(6, 8, 18, generator=draw)
    if isinstance(model, Text2Semantic):
        out = model(phones[items], torch.full((6,), 7)[items], codes[items], lengths[items])
        return out.logits.flatten(1)
    passed = model(
        codes[items], spec[items], 2 * lengths[items], phones[items], torch.full((6,), 7)[items],
        noise=noise[items], starts=torch.arange(6)[items] % 2,
    )  # fmt: skip
    return torch.cat(
        [passed.wave.flatten(1), passed.z_prior.flatten(1), passed.prior_mean.flatten(1), passed.pitch_loss[:, None]],
        dim=1,
    )


def moved(attached: Attached) -> Attached:
    """As if trained: no pair is zero any more, and every voice has its own."""
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, value in attached.pairs():
            if name.endswith(".up"):
                value.copy_(0.1 * torch.randn(value.shape, generator=draw))
    return attached


@pytest.mark.parametrize("part", ["semantic", "acoustic"])
def test_adapters_change_nothing_at_the_start(part: str) -> None:
    model = build(part)
    before = run(model)
    attached = attach(model, RECIPE, seeds=SEEDS)
    assert torch.equal(run(model), before)
    assert {name for name, _ in attached.pairs()} == set(lowrank.outline(tiny(), part, 4))
    trainable = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trainable == {name for name, _ in model.named_parameters() if ".adapter." in name}
    assert len(trainable) == 2 * len(attached.adapters)


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("part", ["semantic", "acoustic"])
def test_merged_equals_unmerged(part: str, folded: bool) -> None:
    model = build(part)
    names = set(model.state_dict())
    if folded:
        fold_weight_norm(model)
        names = set(model.state_dict())
    before = run(model)
    attached = moved(attach(model, RECIPE))
    unmerged = run(model)
    assert not torch.allclose(unmerged, before, atol=1e-3)
    attached.fold()
    assert set(model.state_dict()) == names
    torch.testing.assert_close(run(model), unmerged, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("part", ["semantic", "acoustic"])
def test_each_block_of_a_batch_meets_its_own_voice(part: str) -> None:
    model = build(part)
    attached = moved(attach(model, RECIPE, seeds=SEEDS))
    together = run(model)
    for voice in range(3):
        rows = slice(2 * voice, 2 * voice + 2)
        with attached.only(voice, voice + 1):
            torch.testing.assert_close(run(model, rows), together[rows], rtol=1e-4, atol=1e-5)
        alone = build(part)
        attach(alone, RECIPE).load(attached.state(voice))
        torch.testing.assert_close(run(alone, rows), together[rows], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("part", ["semantic", "acoustic"])
def test_gradients_reach_every_adapter_of_ones_own_voice_only(part: str) -> None:
    model = build(part)
    attached = moved(attach(model, RECIPE, seeds=SEEDS))
    run(model)[2:4].square().sum().backward()
    reached = 0
    for name, value in attached.pairs():
        # The style encoder's queries and keys see one frame's worth of difference at this size, but they do see it.
        assert value.grad is not None, name
        assert not bool(value.grad[0].any()), name
        assert not bool(value.grad[2].any()), name
        reached += bool(value.grad[1].any())
    assert reached == len(list(attached.pairs()))


def test_a_voice_begins_from_its_seed_whoever_is_beside_it() -> None:
    first = attach(build("semantic"), RECIPE, seeds=SEEDS)
    second = attach(build("semantic"), RECIPE, seeds=(9, 4))
    mine, same, other = first.state(1), second.state(1), second.state(0)
    assert all(torch.equal(mine[name], same[name]) for name in mine)
    assert not torch.equal(mine["h.layers.0.linear1.down"], other["h.layers.0.linear1.down"])


def test_a_model_without_its_adapters_is_the_base_again() -> None:
    model = build("acoustic")
    before, names = run(model), set(model.state_dict())
    moved(attach(model, RECIPE)).remove()
    assert set(model.state_dict()) == names
    assert torch.equal(run(model), before)
    attach(model, RECIPE)
    with pytest.raises(ValueError, match="already"):
        attach(model, RECIPE)


def test_decoding_needs_folded_adapters() -> None:
    model = build("semantic")
    attach(model, RECIPE)
    assert isinstance(model, Text2Semantic)
    hidden = model.embed_codes(torch.zeros(1, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="folded"):
        model.h(hidden, None, KeyValueCache(model.config, 8, hidden))


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"rank": 10**6}, {"alpha": 0.0}, {"alpha": float("nan")}, {"rate": 0}])
def test_a_recipe_is_bounded(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        AdapterRecipe(**wrong)


def test_other_dimensions_of_the_config_have_other_targets() -> None:
    config: EngineConfig = tiny()
    narrow = dataclasses.replace(config, semantic=dataclasses.replace(config.semantic, layers=1))
    assert len(lowrank.targets(narrow)["semantic"]) * 2 == len(lowrank.targets(config)["semantic"])
