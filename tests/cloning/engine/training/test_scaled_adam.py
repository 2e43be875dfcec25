"""ScaledAdam: it minimises, it clips what it says it clips, and it can be stopped and resumed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from cloning.engine.training.scaled_adam import ScaledAdam


def params() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(3)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((6, 4), (5,), (1,))]


def replay(optimiser: ScaledAdam, held: list[nn.Parameter], seeds: range, *, burst: int = -1) -> None:
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        for p in held:
            p.grad = torch.randn(p.shape, generator=generator) * (1000.0 if seed == burst else 1.0)
        optimiser.step()


def test_it_comes_near_a_minimum() -> None:
    target = torch.linspace(-2, 2, 24).reshape(6, 4)
    held = [nn.Parameter(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)))]
    optimiser = ScaledAdam(held, lr=0.03)
    first = float((held[0].detach() - target).square().mean())
    for _ in range(300):
        optimiser.zero_grad()
        (held[0] - target).square().mean().backward()
        optimiser.step()
    assert float((held[0].detach() - target).square().mean()) < first / 50


def test_clipping_reaches_every_update_unless_the_quirk_is_kept() -> None:
    moved = {}
    for compat in (False, True):
        held = params()
        optimiser = ScaledAdam(held, clipping_update_period=4, compat=compat)
        replay(optimiser, held, range(8))
        before = [p.detach().clone() for p in held]
        replay(optimiser, held, range(8, 9), burst=8)
        moved[compat] = float((held[2].detach() - before[2]).abs())
        square = float(optimiser.state[held[0]]["square"].max())
        assert (square > 1000) is compat
    assert moved[False] != moved[True]


def test_a_resumed_run_goes_on_as_if_nothing_had_happened() -> None:
    straight = params()
    optimiser = ScaledAdam(straight, clipping_update_period=5)
    replay(optimiser, straight, range(12))

    held = params()
    first = ScaledAdam(held, clipping_update_period=5)
    replay(first, held, range(7))
    again = [nn.Parameter(p.detach().clone()) for p in held]
    second = ScaledAdam(again, clipping_update_period=5)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    replay(second, again, range(7, 12))
    assert all(torch.equal(a, b) for a, b in zip(straight, again, strict=True))


def test_a_single_number_stays_within_its_bound() -> None:
    single = [nn.Parameter(torch.zeros(1))]
    optimiser = ScaledAdam(single, lr=5.0)
    for _ in range(60):
        single[0].grad = -torch.ones(1)
        optimiser.step()
    assert float(single[0].detach()) < 11.0


def test_impossible_betas_are_refused() -> None:
    with pytest.raises(ValueError, match="betas"):
        ScaledAdam(params(), betas=(0.9, 0.8))
