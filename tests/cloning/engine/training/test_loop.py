from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from cloning.engine.errors import TrainingFailed
from cloning.engine.training.batches import pick, stack
from cloning.engine.training.loop import Progress, rate_at, run, step_optimiser
from cloning.engine.training.prepare import Item


class Scripted:
    """A stage whose losses are given: None is a step that was not finite."""

    name = "scripted"

    def __init__(self, losses: list[float | None]) -> None:
        self.losses = losses
        self.steps = len(losses)
        self.seen: list[int] = []
        self.draws: list[float] = []

    def modules(self) -> dict[str, nn.Module]:
        return {}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {}

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        self.seen.append(step)
        self.draws.append(float(rng.random()) + float(torch.rand(1)) + float(torch.rand(1, generator=generator)))
        return self.losses[step - 1]


def drive(stage: Scripted, start: int = 0, most_skipped: int = 1) -> list[Progress]:
    told: list[Progress] = []
    run(
        stage, seed=1, start=start, progress=told.append, most_skipped=most_skipped, checkpoint_every=2, save_at=None,
        should_stop=None,
    )  # fmt: skip
    return told


def test_bad_steps_are_skipped_up_to_the_limit() -> None:
    assert len(drive(Scripted([1.0, None, 1.0]))) == 3
    with pytest.raises(TrainingFailed) as caught:
        drive(Scripted([None, 1.0, None, 1.0]))
    assert caught.value.code == "not_finite"


def test_randomness_of_a_step_depends_on_the_step_alone() -> None:
    whole, rest = Scripted([1.0] * 4), Scripted([1.0] * 4)
    drive(whole)
    torch.manual_seed(5)
    drive(rest, start=2)
    assert rest.seen == [3, 4]
    assert rest.draws == whole.draws[2:]
    assert len(set(whole.draws)) == 4


def test_learning_rate_warms_up_and_falls() -> None:
    shares = [rate_at(step, steps=100, warm_up=10, final=0.1) for step in range(1, 101)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) == pytest.approx(shares[9])
    assert shares[-1] == pytest.approx(0.1)
    assert all(a >= b for a, b in pairwise(shares[9:]))


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_step_that_is_not_finite_changes_nothing(factor: float) -> None:
    model = nn.Linear(2, 1)
    optimiser = torch.optim.AdamW([{"params": list(model.parameters()), "peak": 0.1}], lr=0.1)
    before = model.weight.detach().clone()
    loss = (model(torch.ones(1, 2)) * factor).sum()
    assert not step_optimiser(loss, model, optimiser, share=1.0, clip=1.0)
    assert torch.equal(model.weight, before)
    assert step_optimiser(model(torch.ones(1, 2)).sum(), model, optimiser, share=1.0, clip=1.0)
    assert not torch.equal(model.weight, before)


def test_batches_hold_like_lengths_in_few_shapes() -> None:
    items = [
        Item(torch.zeros(n * 640), torch.zeros(n, dtype=torch.long), torch.zeros(5, dtype=torch.long), True)
        for n in range(10, 210)
    ]
    widths = set()
    for seed in range(30):
        chosen = pick(items, 8, np.random.default_rng(seed))
        lengths = [len(item.codes) for item in chosen]
        assert len(chosen) == 8
        assert max(lengths) - min(lengths) < 90
        rows, counted = stack([item.codes for item in chosen], 16)
        assert counted.tolist() == lengths
        widths.add(rows.shape[1])
    assert all(width % 16 == 0 for width in widths)
    assert len(pick(items[:2], 5, np.random.default_rng(0))) == 5
