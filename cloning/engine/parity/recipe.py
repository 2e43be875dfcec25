"""Weights by rule: every tensor is computed from its name, so full-size models need no weight files to be compared.

The rule (W1 of the golden fixtures): one short random row `base(seed)` of multiples of 1/8; a tensor takes it from a
place that the CRC-32 of its name gives, on and on; then a power of two by the kind of tensor, then half precision.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

#: Length of the base row, a prime, so that equal shapes get different values.
BASE_LENGTH = 4099
#: Values of the base row: round(normal * 8), at most 24, over 8.
STEPS, MOST = 8, 24
_ONES = frozenset({"inited", "cluster_size", "num_batches_tracked"})


def base_row(seed: int) -> np.ndarray:
    """(4099,) float64, multiples of 1/8 in -3..3."""
    drawn = np.random.RandomState(seed).standard_normal(BASE_LENGTH)
    return np.clip(np.round(drawn * STEPS), -MOST, MOST) / STEPS


def recipe_state(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Names and shapes of a state dict -> its float32 values (already rounded to half precision).

    Names must be the official ones, S1's with the prefix `model.`. Raises KeyError when a `weight_g` has no `weight_v`
    beside it.
    """
    row = base_row(seed)
    state = {name: _value(name, tuple(shape), row) for name, shape in shapes.items() if not name.endswith(".weight_g")}
    for name, shape in shapes.items():
        if name.endswith(".weight_g"):
            direction = state[name.removesuffix("weight_g") + "weight_v"]
            state[name] = _gain(name, tuple(shape), row, direction)
    return {name: state[name].half().float() for name in shapes}


def _walk(name: str, shape: tuple[int, ...], row: np.ndarray) -> np.ndarray:
    count = math.prod(shape)
    start = zlib.crc32(name.encode()) % BASE_LENGTH
    repeated = np.tile(row, count // BASE_LENGTH + 2)
    return repeated[start : start + count].reshape(shape)


def _value(name: str, shape: tuple[int, ...], row: np.ndarray) -> Tensor:
    last = name.rsplit(".", 1)[-1]
    if last in _ONES:
        return torch.ones(shape)
    if last in ("embed", "embed_avg"):  # both hold the same values
        name = name.removesuffix(last) + "embed"
    v = _walk(name, shape, row)
    if last in ("embed", "embed_avg"):
        out = v * 2.0**-1
    elif last in ("running_mean", "bias", "beta") or last.startswith("bias_"):
        out = v * 2.0**-4
    elif last == "running_var":
        out = 1 + np.abs(v) * 2.0**-4
    elif last in ("alpha", "gamma") or len(shape) <= 1:
        out = 1 + v * 2.0**-4
    elif last in ("emb_rel_k", "emb_rel_v"):
        out = v * 2.0**-3
    elif "embedding" in name and last == "weight" and len(shape) == 2:
        out = v * 2.0**-1
    else:
        out = v * 2.0 ** math.floor(math.log2(1 / math.sqrt(math.prod(shape[1:]))) + 0.5)
    return torch.from_numpy(out.astype(np.float32))


def _gain(name: str, shape: tuple[int, ...], row: np.ndarray, direction: Tensor) -> Tensor:
    """Norm of the direction over all dimensions but the first. The sum of squares is exact in float64; root and product
    are each rounded to float32, as the fixtures' maker did."""
    squares = direction.half().double().flatten(1).square().sum(1).numpy()
    norm = np.sqrt(squares.astype(np.float32))
    factor = (1 + _walk(name, shape, row) * 2.0**-4).astype(np.float32)
    return torch.from_numpy(norm.reshape(shape) * factor)
