"""Low-rank adapters (LoRA, Hu et al. 2021): which weights they may change, their shapes, and adding them up.

An adapter of a weight W is a pair (down, up); the adapted layer computes W x + scale * up (down x). That is linear, so
W + scale * up @ down does the same in one step. `scale` = alpha / rank. A convolution's `down` keeps the kernel,
stride, padding and dilation of the layer, its `up` is 1x1. Shapes: R = rank, never more than the layer's narrower side.

Three ways to use a pair: `merged` makes weights of a voice's own; `Pair` adds to a linear layer's result and leaves the
weight alone, a different pair for every row of a batch if need be (as Punica and S-LoRA do; Chen et al. 2023, Sheng et
al. 2023); `acoustic.adapted` forms the sum for the time of one call, which suits convolutions over many places.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.layers import NormedConv, NormedTransposedConv
from cloning.engine.config import EngineConfig
from cloning.engine.semantic.model import SelfAttention, Text2Semantic
from cloning.engine.weights import bare

#: Largest rank and alpha of any adapter; both bound what a file may ask for.
MOST_RANK = 128
MOST_ALPHA = 1024.0
#: Where adapters may sit: S1's blocks, and of S2 all that speaks. The posterior encoder and the critics are of the
#: training only, the codebook says what a code means, and the speaker projection of Pro models is wide and generic.
PLACES = {"semantic": ("h.",), "acoustic": ("enc_p.", "flow.", "dec.", "ref_enc.", "pitch.")}
#: Names of the pair, as in files.
DOWN, UP = "down", "up"
#: Weights that only training needs; they do not tell one base from another.
TRAINING_ONLY = ("phone_head.", "enc_q.")


@dataclass(frozen=True, slots=True)
class Target:
    """One weight that may get an adapter.

    `name`: the layer's path. `weight`, `gain`: state-dict names of the weight and, where it is weight-normalised, of
    its gain ("" otherwise). `shape` as torch has it: (out, in), (out, in, kernel) or, `transposed`, (in, out, kernel).
    """

    name: str
    weight: str
    gain: str
    shape: tuple[int, ...]
    transposed: bool

    def shapes(self, rank: int) -> tuple[tuple[int, ...], tuple[int, int]]:
        """Shapes of down and up: (R, in[, kernel]) or, transposed, (in, R, kernel); and (out, R)."""
        first, second, *kernel = self.shape
        outputs, inputs = (second, first) if self.transposed else (first, second)
        rank = min(rank, outputs, inputs)
        pair = (inputs, rank) if self.transposed else (rank, inputs)
        return (*pair, *kernel), (outputs, rank)

    def change(self, down: Tensor, up: Tensor) -> Tensor:
        """up @ down in the shape of the weight."""
        if self.transposed:
            return torch.einsum("or,irk->iok", up, down)
        return (up @ down.flatten(1)).view(self.shape)


@dataclass(frozen=True, slots=True)
class Pair:
    """An adapter beside its linear layer, in the precision of the layer's input.

    `down` R x in, `up` out x R, `scale` a number; or all three with a first dimension of B (`scale` B x 1 x 1), a pair
    for each row of a batch.
    """

    down: Tensor
    up: Tensor
    scale: float | Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """The layer's input B x N x in -> what the pair adds to its output, B x N x out."""
        return x @ self.down.mT @ self.up.mT * self.scale


def side_by_side(pairs: Sequence[Pair]) -> Pair:
    """Pairs of one layer, a row's each, as one: ranks may differ, shorter ones are filled up with zeros."""
    rank = max(pair.down.shape[0] for pair in pairs)
    return Pair(
        torch.stack([F.pad(pair.down, (0, 0, 0, rank - pair.down.shape[0])) for pair in pairs]),
        torch.stack([F.pad(pair.up, (0, rank - pair.up.shape[1])) for pair in pairs]),
        torch.stack([torch.as_tensor(pair.scale).to(pair.up) for pair in pairs])[:, None, None],
    )


def layers(model: nn.Module, places: tuple[str, ...]) -> Iterator[tuple[Target, nn.Module]]:
    """The layers of the model below `places` that may be adapted, each with its description."""
    for path, module in model.named_modules():
        if not path.startswith(places):
            continue
        if isinstance(module, SelfAttention):
            shape = tuple(module.in_proj_weight.shape)
            yield Target(f"{path}.in_proj", f"{path}.in_proj_weight", "", shape, False), module
        elif isinstance(module, nn.Linear | nn.Conv1d):
            yield Target(path, f"{path}.weight", "", tuple(module.weight.shape), False), module
        elif isinstance(module, NormedConv | NormedTransposedConv):
            transposed = isinstance(module, NormedTransposedConv)
            if module.folded:
                yield Target(path, f"{path}.weight", "", tuple(module.weight.shape), transposed), module
            else:
                shape = tuple(module.weight_v.shape)
                yield Target(path, f"{path}.weight_v", f"{path}.weight_g", shape, transposed), module


@functools.lru_cache(maxsize=8)
def targets(config: EngineConfig) -> dict[str, dict[str, Target]]:
    """Part ("semantic", "acoustic") -> layer path -> description, for models of this configuration."""
    models = {
        "semantic": bare(lambda: Text2Semantic(config.semantic)),
        "acoustic": bare(lambda: AcousticModel(config.acoustic, config.audio, posterior=False)),
    }
    return {part: {t.name: t for t, _ in layers(model, PLACES[part])} for part, model in models.items()}


def outline(config: EngineConfig, part: str, rank: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a part's adapter tensors: `PATH.down`, `PATH.up` for every layer that may be adapted."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, target in targets(config)[part].items():
        shapes[f"{name}.{DOWN}"], shapes[f"{name}.{UP}"] = target.shapes(rank)
    return shapes


def merged(
    weights: Mapping[str, Tensor], adapters: Mapping[str, Tensor], described: Mapping[str, Target], scale: float
) -> dict[str, Tensor]:
    """The state dict with the adapters added in: adapted weights as float32 copies, the others as they were.

    Weight-normalised pairs stay pairs: their direction becomes the whole weight, their gain its norm.
    """
    result = dict(weights)
    for name, target in described.items():
        change = target.change(adapters[f"{name}.{DOWN}"].float(), adapters[f"{name}.{UP}"].float()) * scale
        weight = weights[target.weight].float()
        if target.gain:
            norm = _norm(weight)
            weight = weight * (weights[target.gain].float() / norm)
        result[target.weight] = weight + change.to(weight.device)
        if target.gain:
            result[target.gain] = _norm(result[target.weight])
    return result


def base_digest(semantic: Mapping[str, Tensor], acoustic: Mapping[str, Tensor]) -> str:
    """SHA-256 of a base's weights by name and float32 value: what adapters belong to.

    The same for half- and single-precision copies of the same numbers, and with or without what only training needs.
    """
    state = hashlib.sha256()
    for part, weights in (("semantic", semantic), ("acoustic", acoustic)):
        for name in sorted(weights):
            if not name.startswith(TRAINING_ONLY):
                value = weights[name].detach().float().cpu().contiguous()
                state.update(f"{part}.{name} {tuple(value.shape)}".encode())
                state.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def _norm(weight: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(weight, dim=tuple(range(1, weight.dim())), keepdim=True)
    return norm
