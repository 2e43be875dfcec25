"""Batches of items of like length, padded to a few fixed shapes.

Processors (and CUDA graphs) like shapes they have seen: with free lengths a CPU step took more than twice as long.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from cloning.engine.training.prepare import Item

#: Lengths are padded up to multiples of these: phones, codes.
PHONE_STEP, CODE_STEP = 16, 16
#: Lengths are blurred by this share before sorting, so that neighbours change from step to step.
BLUR = 0.2


def pick(items: Sequence[Item], count: int, rng: np.random.Generator) -> list[Item]:
    """`count` items of like length around a random one; a small collection is used more than once."""
    lengths = np.array([len(item.codes) for item in items]) * rng.uniform(1 - BLUR, 1 + BLUR, len(items))
    order = np.argsort(lengths, kind="stable")
    if len(items) <= count:
        chosen = rng.choice(len(items), size=count, replace=True) if len(items) < count else order
    else:
        start = int(rng.integers(len(items) - count + 1))
        chosen = order[start : start + count]
    return [items[int(index)] for index in chosen]


def stack(rows: Sequence[Tensor], step: int, value: float = 0) -> tuple[Tensor, Tensor]:
    """Rows (N_i,) to (B, N) with N the next multiple of step, and their lengths (B,)."""
    lengths = torch.tensor([len(row) for row in rows])
    width = -(-int(lengths.max()) // step) * step
    padded = pad_sequence(list(rows), batch_first=True, padding_value=value)
    return torch.nn.functional.pad(padded, (0, width - padded.shape[1]), value=value), lengths
