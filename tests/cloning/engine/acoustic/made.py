"""Latents as decoders take them, and configurations."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from cloning.engine.acoustic.excitation import Pitch, carry
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import EngineConfig


def sung(model: AcousticModel, z: Tensor) -> Tensor:
    """B x latent x F with a rising pitch that stops now and then; as it is where the decoder has no source."""
    if model.pitch is None:
        return z
    frames = z.shape[2]
    cycles = torch.linspace(1.7, 4.2, frames).expand(z.shape[0], -1)
    return carry(z, Pitch(cycles, (torch.arange(frames) % 7 > 1).float().expand(z.shape[0], -1)))


def sourceless(config: EngineConfig) -> EngineConfig:
    """The configuration without a source, as official ones are: with one, waves are no measure of rounding, as the
    phase of a pitch adds it up."""
    acoustic = dataclasses.replace(config.acoustic, pitch_hidden=0, phone_classes=0, phone_width=0)
    return dataclasses.replace(config, acoustic=acoustic)
