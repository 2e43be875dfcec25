"""One process of a shared training: `python -m tests.cloning.engine.training.shared_worker MEETING RANK SIZE OUT`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor

from cloning.engine.acoustic import style
from cloning.engine.config import tiny
from cloning.engine.training.base import random_base
from cloning.engine.training.distributed import Team, train_base
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import TrainingRecipe


def items() -> list[Item]:
    """Six utterances of noise of unlike lengths."""
    generator = torch.Generator().manual_seed(5)
    made = []
    for codes in (20, 24, 27, 31, 22, 18):
        phones = torch.randint(1, 300, (codes // 2,), generator=generator)
        tokens = torch.randint(0, 64, (codes,), generator=generator)
        made.append(Item(0.1 * torch.randn(codes * 640, generator=generator), tokens, phones, True))
    return made


def recipe() -> TrainingRecipe:
    """A few steps with critics. Without the one loss that is not a mean over items, so that shares add up exactly."""
    plain = TrainingRecipe.tiny()
    return dataclasses.replace(
        plain,
        semantic=dataclasses.replace(plain.semantic, batch=3),
        acoustic=dataclasses.replace(plain.acoustic, batch=3, resolution_weight=0.0, adversarial_from=2),
    )


def train(team: Team, checkpoint: Path | None = None) -> dict[str, Tensor]:
    """All weights after a training without dropout, whose draws would fall elsewhere in a share."""
    torch.set_num_threads(1)
    torch.manual_seed(team.rank)  # nothing may depend on it
    base = random_base(tiny(), 1)
    usual, style.STYLE_DROPOUT = style.STYLE_DROPOUT, 0.0
    try:
        semantic, acoustic = train_base(
            team, items(), base=base, recipe=recipe(), seed=3, checkpoint=checkpoint, mark="m"
        )
    finally:
        style.STYLE_DROPOUT = usual
    return {f"s.{k}": v.contiguous() for k, v in semantic.state_dict().items()} | {
        f"a.{k}": v.contiguous() for k, v in acoustic.state_dict().items()
    }


def main(meeting: str, rank: str, size: str, out: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=int(rank), world_size=int(size))
    try:
        folder = Path(out)
        save_file(train(Team(int(rank), int(size)), folder / "checkpoint"), folder / f"{rank}.safetensors")
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
