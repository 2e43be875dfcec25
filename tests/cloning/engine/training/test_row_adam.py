"""One table for the adapters of several voices: AdamW as torch has it, row by row."""

from __future__ import annotations

import math

import pytest
import torch

from cloning.engine.config import tiny
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.training.adapters import AdapterRecipe, Attached, attach
from cloning.engine.training.row_adam import RowAdam

RECIPE = AdapterRecipe(rank=2)


def build(seeds: tuple[int, ...]) -> tuple[Attached, RowAdam]:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        attached = attach(Text2Semantic(tiny().semantic), RECIPE, seeds=seeds)
    return attached, RowAdam(
        attached, peak=0.01, rate_of=lambda n: 0.5 if "linear1" in n else 1.0, betas=(0.8, 0.99), eps=1e-8, clip=0.7
    )


def goals(attached: Attached, step: int) -> torch.Tensor:
    """For each voice a loss that reaches every tensor of its own."""
    total = [torch.zeros(())] * attached.voices
    for place, (_, value) in enumerate(attached.pairs()):
        draw = torch.Generator().manual_seed(1000 * step + place)
        wanted = torch.randn(value.shape[1:], generator=draw)
        total = [total[v] + (value[v] - wanted).square().sum() for v in range(attached.voices)]
    return torch.stack(total)


def test_a_row_moves_as_with_the_optimiser_and_clipping_of_torch() -> None:
    attached, adam = build((3, 4))
    plain, _ = build((4,))
    named = [(name, torch.nn.Parameter(value.detach()[0].clone())) for name, value in plain.pairs()]
    groups = [{"params": [p], "lr": 0.005 if "linear1" in n else 0.01} for n, p in named]
    theirs = torch.optim.AdamW(groups, betas=(0.8, 0.99), eps=1e-8, weight_decay=0.01)
    for step in range(1, 6):
        losses = goals(attached, step)
        adam.gather(losses.sum())
        assert adam.step(losses.detach(), 1.0) == [True, True]
        theirs.zero_grad()
        loss = torch.zeros(())
        for place, (_, value) in enumerate(named):
            draw = torch.Generator().manual_seed(1000 * step + place)
            loss = loss + (value - torch.randn(value.shape, generator=draw)).square().sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for _, p in named], 0.7)
        theirs.step()
    mine = attached.state(1)
    for name, value in named:
        torch.testing.assert_close(mine[name], value.detach(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_row_that_is_not_finite_stays_and_the_others_move(where: str) -> None:
    attached, adam = build((3, 4, 5))
    twin, other = build((3, 4, 5))
    before = attached.state(1)
    losses = goals(attached, 1)
    adam.gather(losses.sum())
    told = losses.detach().clone()
    if where == "loss":
        told[1] = math.nan
    else:
        adam.gradient[1, 7] = math.inf
    assert adam.step(told, 1.0) == [True, False, True]
    assert all(torch.equal(before[name], value) for name, value in attached.state(1).items())
    losses = goals(twin, 1)
    other.gather(losses.sum())
    other.step(losses.detach(), 1.0)
    for voice in (0, 2):
        for name, value in twin.state(voice).items():
            torch.testing.assert_close(attached.state(voice)[name], value)


def test_voices_leave_and_the_rest_go_on_with_their_own_memory() -> None:
    attached, adam = build((3, 4, 5))
    whole, all_of_them = build((3, 4, 5))
    for step in range(1, 5):
        if step == 3:
            adam.keep([0, 2])
        for a, o in ((attached, adam), (whole, all_of_them)):
            losses = goals(a, step)
            o.gather(losses.sum())
            o.step(losses.detach(), 1.0)
    assert attached.voices == 2
    for mine, theirs in ((0, 0), (1, 2)):
        for name, value in whole.state(theirs).items():
            torch.testing.assert_close(attached.state(mine)[name], value)
