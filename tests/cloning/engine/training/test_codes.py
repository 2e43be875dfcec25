"""Training the codes: the projection gets the gradient that a frozen quantizer keeps from it, and entries follow."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.training.acoustic import AcousticStage
from cloning.engine.training.codes import CodeTraining
from cloning.engine.training.recipe import TrainingRecipe
from tests.cloning.engine.training.made import CONFIG, finish, items

OFFICIAL_LAYOUT = dataclasses.replace(CONFIG.acoustic, code_layout="repeat")
TINY = TrainingRecipe.tiny().acoustic


def model(seed: int = 1) -> AcousticModel:
    torch.manual_seed(seed)
    return AcousticModel(OFFICIAL_LAYOUT, CONFIG.audio).train()


def content(waves: Tensor) -> Tensor:
    """Some function of the sound with the shape of content frames: B x content_dim x F."""
    frames = waves.unfold(1, CONFIG.audio.hop, CONFIG.audio.hop)
    return frames[:, :, : CONFIG.content.dim].transpose(1, 2) * 10


def test_rounding_lets_the_gradient_through() -> None:
    made = model()
    training = CodeTraining(made)
    heard = torch.randn(2, CONFIG.content.dim, 12, generator=torch.Generator().manual_seed(1))
    assert made.ssl_proj is not None
    before = made.quantizer.book.embed.clone()
    frames, distance = training(heard, torch.tensor([6, 4]), torch.Generator().manual_seed(2))
    assert frames.shape == heard.shape
    frames.sum().backward()
    assert made.ssl_proj.weight.grad is not None
    whole = torch.autograd.grad(made.lay_out(made.code_vectors(heard)).sum(), made.ssl_proj.weight)[0]
    torch.testing.assert_close(made.ssl_proj.weight.grad, whole)
    assert float(distance.detach()) > 0
    assert not torch.equal(made.quantizer.book.embed, before)


def test_the_decoder_hears_the_rounded_vectors() -> None:
    made = model()
    heard = torch.randn(1, CONFIG.content.dim, 12, generator=torch.Generator().manual_seed(1))
    expected = made.code_frames(made.encode_content(heard))
    frames, _ = CodeTraining(made)(heard, torch.tensor([6]), torch.Generator().manual_seed(2))
    torch.testing.assert_close(frames.detach(), expected)


def test_entries_come_to_lie_where_the_vectors_are() -> None:
    made = model()
    generator = torch.Generator().manual_seed(3)
    made.quantizer.set_entries(3 * torch.randn(made.quantizer.book.embed.shape, generator=generator))
    training = CodeTraining(made)
    distances = []
    for _ in range(60):
        heard = torch.randn(4, CONFIG.content.dim, 40, generator=generator)
        _, distance = training(heard, torch.tensor([20] * 4), generator)
        distances.append(float(distance.detach()))
    assert sum(distances[-5:]) < 0.5 * sum(distances[:5])
    assert bool(torch.isfinite(made.quantizer.book.embed).all())


def test_a_stage_trains_projection_and_entries_only_when_asked() -> None:
    start = model().state_dict()
    for weight in (0.0, 1.0):
        recipe = dataclasses.replace(TINY, commitment=weight)
        stage = AcousticStage(
            model(), items((20, 24, 30)), recipe, bfloat16=False, device="cpu", seed=1, content=content
        )
        finish(stage)
        after = stage.model.state_dict()
        moved = {name for name in after if not torch.equal(after[name], start[name])}
        for name in ("ssl_proj.weight", "quantizer.vq.layers.0._codebook.embed"):
            assert (name in moved) == bool(weight)
    with pytest.raises(ValueError, match="content"):
        AcousticStage(model(), items((20,)), recipe, bfloat16=False, device="cpu", seed=1)
