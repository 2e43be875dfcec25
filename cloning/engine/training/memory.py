"""Gradient checkpointing (Chen et al. 2016): keep a block's inputs, compute its inside again when needed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from cloning.engine.acoustic.discriminators import PeriodCritic, ScaleCritic
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.hifigan import ResBlock1, ResBlock2
from cloning.engine.acoustic.layers import GatedStack
from cloning.engine.semantic.model import Block

#: Parts whose insides are large against what goes in and comes out.
LARGE = (Block, GatedStack, ResBlock1, ResBlock2, ScaleCritic, PeriodCritic)


def recompute(model: nn.Module) -> None:
    """From now on passes with gradients of the large blocks in `model` keep only their inputs.

    Dropout draws the same numbers the second time, so gradients are those of a plain pass. Passes without gradients,
    names of parameters and state dicts are not touched. Doing it twice changes nothing. To be asked for after `quick`.
    """
    for part in _parts(model):
        if getattr(part.forward, "func", None) is not _forward:
            part.forward = functools.partial(_forward, part.forward)


def _parts(model: nn.Module) -> Iterator[nn.Module]:
    for part in model.modules():
        if isinstance(part, LARGE):
            yield part
    if isinstance(model, AcousticModel):
        yield model.enc_p


def _forward(inside: Callable[..., Any], *args: Any, **options: Any) -> Any:
    if not torch.is_grad_enabled():
        return inside(*args, **options)
    return checkpoint(inside, *args, use_reentrant=False, **options)
