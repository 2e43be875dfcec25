"""Items made of a seed: no speech is needed to see what a training does with them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cloning.engine.config import tiny
from cloning.engine.training.base import Base, random_base
from cloning.engine.training.loop import Stage, run
from cloning.engine.training.prepare import Item

CONFIG = tiny()
#: Samples of one code.
SPAN = CONFIG.acoustic.frames_per_code * CONFIG.audio.hop


def item(codes: int, *, seed: int = 0, pace: float = 8.0, has_text: bool = True) -> Item:
    """`codes` codes of noise with `pace` phones a second."""
    generator = torch.Generator().manual_seed(1000 * seed + codes)
    phones = max(1, round(codes / CONFIG.code_rate * pace))
    return Item(
        wave=0.1 * torch.randn(codes * SPAN, generator=generator),
        codes=torch.randint(0, CONFIG.acoustic.codes, (codes,), generator=generator),
        phones=torch.randint(1, 100, (phones,), generator=generator),
        has_text=has_text,
    )


def items(lengths: Sequence[int]) -> list[Item]:
    return [item(length, seed=index) for index, length in enumerate(lengths)]


def base() -> Base:
    return random_base(CONFIG, 1)


def finish(stage: Stage, *, start: int = 0, stop: int | None = None, seed: int = 5) -> list[float]:
    """Run a stage from `start` to `stop` (its end); the losses."""
    losses: list[float] = []
    last, stage.steps = stage.steps, stop or stage.steps
    run(
        stage, seed=seed, start=start, progress=lambda told: losses.append(told.loss), most_skipped=0,
        checkpoint_every=10**9, save_at=None, should_stop=None,
    )  # fmt: skip
    stage.steps = last
    return losses


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    """Whether two models hold bit for bit the same values."""
    ours, theirs = a.state_dict(), b.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)
