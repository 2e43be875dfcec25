"""Training the soft detector, offline: ``python -m watermark.codec.train --help``.

Speech is marked with fresh keys, put through what befalls a recording (codecs, telephone, noise, music, rooms:
``watermark.codec.training_data``), and the network learns which chips were raised. Only this module needs torch.

The loss is the negative of what detection scores: the correlation of a piece's values with its code, over the length
of both. A little of the logistic loss of every chip keeps the values' scale.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from watermark.codec import soft
from watermark.codec.grid import BANDS, HOPS_PER_CHIP
from watermark.codec.training_data import JUDGE_VOICES, PIECE_CHIPS, TRAIN_VOICES, Examples, examples

if TYPE_CHECKING:
    import torch

#: Examples a step, and the learning rate at both ends of a linear fall.
BATCH = 16
LEARNING_RATE = (2e-3, 2e-5)
#: Weight of the logistic loss beside the correlation.
LOGISTIC = 0.1


def untrained() -> torch.nn.Sequential:
    """The network as ``soft.Network`` runs it, at chip centres only."""
    import torch

    model = torch.nn.Sequential()
    model.add_module(
        "conv1",
        torch.nn.Conv2d(
            soft.PLANES, soft.CHANNELS, soft.KERNEL,
            dilation=(soft.DILATION, 1), stride=(HOPS_PER_CHIP, 1), padding=(0, soft.KERNEL[1] // 2),
        ),
    )  # fmt: skip
    model.add_module("relu1", torch.nn.ReLU())
    model.add_module("conv2", torch.nn.Conv2d(soft.CHANNELS, soft.CHANNELS, 1))
    model.add_module("relu2", torch.nn.ReLU())
    model.add_module("conv3", torch.nn.Conv2d(soft.CHANNELS, 1, 1))
    return model


def losses(model: torch.nn.Sequential, part: Examples) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean correlation (0 for noise, 1 at most) and mean logistic loss (0.6931 for noise) of some examples."""
    import torch
    from torch.nn import functional

    signs = torch.from_numpy(part.signs).float()
    inside = torch.arange(PIECE_CHIPS)[None, :, None] < torch.from_numpy(part.lengths)[:, None, None]
    values = model(torch.from_numpy(part.seen).float())[:, 0] * inside
    norm = values.flatten(1).norm(dim=1) * (torch.from_numpy(part.lengths) * float(BANDS)).sqrt()
    correlation = ((values * signs).flatten(1).sum(1) / norm.clamp(min=1e-6)).mean()
    logistic = (functional.softplus(-values * signs) * inside).sum() / (inside.sum() * BANDS)
    return correlation, logistic


def train(
    made: Examples, judge: Examples, *, minutes: float, seed: int, begin: Path | None = None
) -> dict[str, NDArray[np.float32]]:
    """Fit for ``minutes``, from chance or from the weights in ``begin``, and return the tensors of the epoch that the
    judging voices liked best. Writes a line an epoch to stderr."""
    import torch
    from safetensors.numpy import load_file

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = untrained()
    if begin is not None:
        model.load_state_dict({name: torch.from_numpy(part) for name, part in load_file(begin).items()})
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE[0])
    began, epoch, share, best = time.monotonic(), 0, 0.0, -1.0
    kept: dict[str, NDArray[np.float32]] = {}
    while share < 1:
        order, scores = rng.permutation(len(made)), []
        for start in range(0, len(order) - BATCH + 1, BATCH):
            share = min(1.0, (time.monotonic() - began) / (60 * minutes))
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE[0] + (LEARNING_RATE[1] - LEARNING_RATE[0]) * share
            optimiser.zero_grad()
            correlation, logistic = losses(model, _part(made, order[start : start + BATCH]))
            (LOGISTIC * logistic - correlation).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            scores.append(float(correlation.detach()))
            if share == 1:
                break
        judged = _judged(model, judge)
        epoch += 1
        if judged > best:
            best, kept = judged, {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
        sys.stderr.write(f"epoch {epoch}: correlation {np.mean(scores):.4f}, judging voices {judged:.4f}\n")
        sys.stderr.flush()
    return kept


def _part(made: Examples, rows: NDArray[np.int64]) -> Examples:
    return Examples(made.seen[rows], made.signs[rows], made.lengths[rows])


def _judged(model: torch.nn.Sequential, judge: Examples) -> float:
    import torch

    rows = np.arange(len(judge))
    with torch.no_grad():
        return float(np.mean([float(losses(model, _part(judge, rows[i : i + 1]))[0]) for i in rows]))


def main() -> None:
    """Make the speech, train, and write the weights with a note of how they were made."""
    from safetensors.numpy import save_file

    parser = argparse.ArgumentParser(description="Train the soft detector of the watermark.")
    parser.add_argument("--out", type=Path, default=soft.WEIGHTS)
    parser.add_argument("--clips", type=int, default=40, help="clips a training voice")
    parser.add_argument("--minutes", type=float, default=10.0, help="time for fitting")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--begin", type=Path, help="go on from these weights")
    parser.add_argument("--examples", type=Path, help="keep the examples in this .npz file, or take them from it")
    arguments = parser.parse_args()
    made, judge = _made(arguments.examples, arguments.clips, arguments.seed)
    sys.stderr.write(f"{len(made)} examples, {len(judge)} of judging voices\n")
    tensors = train(made, judge, minutes=arguments.minutes, seed=arguments.seed, begin=arguments.begin)
    note = {"clips": arguments.clips, "minutes": arguments.minutes, "seed": arguments.seed, "voices": TRAIN_VOICES}
    note["begin"] = hashlib.sha256(arguments.begin.read_bytes()).hexdigest() if arguments.begin else None
    save_file(tensors, arguments.out, metadata={"made": json.dumps(note)})
    sys.stderr.write(f"{arguments.out}: sha256 {hashlib.sha256(arguments.out.read_bytes()).hexdigest()}\n")


def _made(path: Path | None, clips: int, seed: int) -> tuple[Examples, Examples]:
    if path is not None and path.exists():
        with np.load(path, allow_pickle=False) as kept:
            first, second = ([kept[f"{name}{number}"] for number in range(3)] for name in ("made", "judge"))
        return Examples(*first), Examples(*second)
    rng = np.random.default_rng(seed)
    made = examples(TRAIN_VOICES, clips, rng)
    judge = examples(JUDGE_VOICES, max(4, clips // 4), rng)
    if path is not None:
        parts = {
            f"{name}{i}": part
            for name, kept in (("made", made), ("judge", judge))
            for i, part in enumerate(astuple(kept))
        }
        np.savez(path, **parts)
    return made, judge


if __name__ == "__main__":
    main()
