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


def prosody(chains: Sequence[Sequence[Item]], *, dim: int, width: int) -> Tensor | None:
    """BERT features of rows of items laid end to end, B x dim x width, zeros where an item has none.

    None when the model takes none (dim 0) or no item has any, which is the same to the model as zeros.
    """
    if not dim or all(item.bert is None for chain in chains for item in chain):
        return None
    rows = torch.zeros(len(chains), dim, width)
    for row, chain in zip(rows, chains, strict=True):
        start = 0
        for item in chain:
            end = start + len(item.phones)
            if item.bert is not None:
                row[:, start:end] = item.bert
            start = end
    return rows


def speakers(items: Sequence[Item], *, dim: int) -> Tensor | None:
    """Speaker vectors B x dim for a Pro model, None for every other (dim 0). Raises ValueError if one is missing."""
    if not dim:
        return None
    vectors = [item.speaker_vector for item in items if item.speaker_vector is not None]
    if len(vectors) < len(items):
        raise ValueError("this model needs a speaker vector for every item")
    return torch.stack(vectors)
