"""Voices of v3 and v4 that share one base: LoRA files merged into it, or kept beside it.

Merged, a voice is a model of its own. Kept beside, it holds only what fine-tuning changed (some megabytes): the big
encoders and the transformer are the base's own objects, and one batch of the transformer may hold a different voice in
each row (Punica, Chen et al. 2023; S-LoRA, Sheng et al. 2023).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.dit import ADAPTED, DitAdapters
from cloning.engine.errors import CheckpointError
from cloning.engine.lowrank import Pair, side_by_side
from cloning.engine.weights import bare, first_difference

#: Parts that upstream trains whole beside the pairs; a file may leave any of them out, and then speaks with the base's.
OWN_PARTS = ("ref_enc.", "bridge.", "wns1.", "linear_mel.")
#: What voices share with their base.
SHARED_PARTS = ("enc_p", "ssl_proj", "quantizer", "cfm")
#: How far a base's codebook and angles may be from those in the file: half precision.
SAME = 2e-3


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA file's parts, float32. `pairs`: "BLOCK.LAYER" -> down R x in, up out x R (scale 1, as upstream trains
    them). `own`: whole weights of OWN_PARTS by their official names. `codebook`, `angles`: what the file repeats of its
    base, None when it does not."""

    version: str
    rank: int
    pairs: Mapping[str, tuple[Tensor, Tensor]]
    own: Mapping[str, Tensor]
    codebook: Tensor | None = None
    angles: Tensor | None = None
    identity: str = ""
    info: str = ""


def check(base: DiffusionModel, lora: Lora) -> None:
    """Raises CheckpointError: `wrong_version` for an adapter of the other version, `wrong_base` for one that was made
    beside another base (widths, depth, codebook), `wrong_weights` for parts that are not whole."""
    if lora.version != base.config.version:
        raise CheckpointError("wrong_version", f"this is a {lora.version} adapter, the base is {base.config.version}")
    for name, (down, up) in lora.pairs.items():
        number, layer = name.split(".", 1)
        blocks = base.cfm.estimator.transformer_blocks
        if int(number) >= len(blocks) or layer not in ADAPTED:
            raise CheckpointError("wrong_base", f"the base has no layer {name[:80]} for the adapter")
        outputs, inputs = blocks[int(number)].adaptable[layer]  # type: ignore[index,union-attr]
        if down.shape[1] != inputs or up.shape[0] != outputs:
            raise CheckpointError(
                "wrong_base",
                f"the adapter of {name[:80]} is {up.shape[0]}x{down.shape[1]}, the base {outputs}x{inputs}",
            )
    book, angles = base.quantizer.book.embed, base.cfm.estimator.rotary_embed.inv_freq
    for told, ours in ((lora.codebook, book), (lora.angles, angles)):
        if told is not None and not _same(told, ours):
            raise CheckpointError("wrong_base", "the adapter was made beside another base: its codebook differs")
    expected = _own_shapes(base, lora.own)
    difference = first_difference(expected, lora.own)
    if difference is not None:
        raise CheckpointError("wrong_base" if "shape" in difference else "wrong_weights", difference)


def _same(told: Tensor, ours: Tensor) -> bool:
    return told.shape == ours.shape and torch.allclose(told, ours.float(), atol=SAME, rtol=SAME)


def merged(base: DiffusionModel, lora: Lora) -> DiffusionModel:
    """A model of its own with the adapter added in: W + up @ down. The base must not be prepared (`dit_fast`). Raises
    as `check`."""
    check(base, lora)
    model = copy.deepcopy(base)
    with torch.no_grad():
        for name, (down, up) in lora.pairs.items():
            number, layer = name.split(".", 1)
            weight = model.cfm.estimator.get_parameter(f"transformer_blocks.{number}.attn.{layer}.weight")
            weight.add_((up @ down).to(weight))
    model.load_state_dict(dict(lora.own), strict=False)
    return model.eval()


def beside(base: DiffusionModel, lora: Lora) -> DiffusionModel:
    """A model that shares the base's memory and holds the adapter beside it. Raises as `check`.

    The base must not be trained or changed while such voices live.
    """
    check(base, lora)
    model = bare(lambda: DiffusionModel(base.config))
    for part in SHARED_PARTS:
        setattr(model, part, getattr(base, part))
    for part in OWN_PARTS:
        if not any(name.startswith(part) for name in lora.own):
            setattr(model, part[:-1], getattr(base, part[:-1]))
    model.load_state_dict({name: value.clone() for name, value in lora.own.items()}, strict=False, assign=True)
    inside = base.cfm.estimator.proj_out.weight.dtype
    blocks: list[dict[str, Pair]] = [{} for _ in base.cfm.estimator.transformer_blocks]
    for name, (down, up) in lora.pairs.items():
        number, layer_name = name.split(".", 1)
        blocks[int(number)][layer_name] = Pair(down.to(inside), up.to(inside), 1.0)
    model.adapters = blocks
    return model.eval().requires_grad_(False)


def together(models: Sequence[DiffusionModel]) -> DitAdapters:
    """The adapters of voices that share one transformer, a row's each, for one batch. () when no voice has any. Raises
    ValueError when the voices do not share it."""
    first = models[0].cfm
    if any(model.cfm is not first for model in models):
        raise ValueError("only voices of one base can be spoken in one batch")
    if not any(model.adapters for model in models):
        return ()
    blocks: list[dict[str, Pair]] = []
    for index in range(len(first.estimator.transformer_blocks)):
        rows = [model.adapters[index] if model.adapters else {} for model in models]
        names = [name for name in ADAPTED if any(name in row for row in rows)]
        blocks.append({name: side_by_side([_pair(row, name, rows) for row in rows]) for name in names})
    return blocks


def _pair(row: Mapping[str, Pair], name: str, rows: Sequence[Mapping[str, Pair]]) -> Pair:
    """The row's own pair, or one of rank 1 that adds nothing."""
    if name in row:
        return row[name]
    like = next(other[name] for other in rows if name in other)
    return Pair(torch.zeros_like(like.down[:1]), torch.zeros_like(like.up[:, :1]), 1.0)


def _own_shapes(base: DiffusionModel, own: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """What the file must hold of the parts that it holds anything of."""
    held = tuple(part for part in OWN_PARTS if any(name.startswith(part) for name in own))
    return {name: tuple(value.shape) for name, value in base.state_dict().items() if held and name.startswith(held)}
