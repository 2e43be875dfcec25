"""Small random v3 and v4 models and adapters, whose every weight matters."""

from __future__ import annotations

import torch

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.dit import ADAPTED
from cloning.engine.acoustic.lora import OWN_PARTS, Lora
from cloning.engine.diffusion_config import tiny_diffusion


def model(version: str = "v4", seed: int = 0) -> DiffusionModel:
    torch.manual_seed(seed)
    made = DiffusionModel(tiny_diffusion(version)).eval()
    with torch.no_grad():
        for value in made.parameters():
            value.add_(torch.randn_like(value) * 0.05)
    return made.requires_grad_(False)


def adapter(base: DiffusionModel, seed: int, rank: int = 3, own: bool = True) -> Lora:
    """An adapter that changes the voice plainly."""
    generator = torch.Generator().manual_seed(seed)
    pairs = {}
    for index, block in enumerate(base.cfm.estimator.transformer_blocks):
        for name in ADAPTED:
            outputs, inputs = block.get_submodule(f"attn.{name}").weight.shape  # type: ignore[union-attr]
            down, up = torch.randn(rank, inputs, generator=generator), torch.randn(outputs, rank, generator=generator)
            pairs[f"{index}.{name}"] = (down * 0.3, up * 0.3)
    state = base.state_dict()
    whole = {
        name: value + 0.05 * torch.randn(value.shape, generator=generator)
        for name, value in state.items()
        if name.startswith(OWN_PARTS)
    }
    return Lora(version=base.config.version, rank=rank, pairs=pairs, own=whole if own else {})
