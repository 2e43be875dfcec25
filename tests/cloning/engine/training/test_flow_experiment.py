"""The experiment's parts: a reduced model that reads the starter's codes, and mels that come back as sound."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cloning.engine.features.spectrogram import linear
from cloning.engine.training import flow_experiment
from cloning.engine.training.base import starter_base
from cloning.engine.training.flow import flow_mels
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import FlowRecipe

TONE = 0.3 * torch.sin(2 * torch.pi * 440 * torch.arange(16_000) / 16_000)
ITEM = Item(wave=TONE[: 25 * 640], codes=torch.arange(25), phones=torch.arange(5, 15), has_text=True)


@pytest.fixture(scope="module")
def model() -> flow_experiment.DiffusionModel:
    return flow_experiment.reduced(starter_base(), 1)


@pytest.mark.slow
def test_the_reduced_model_is_tuned_and_judged(model: flow_experiment.DiffusionModel) -> None:
    assert torch.equal(
        model.enc_p.text_embedding.weight, starter_base().acoustic["enc_p.text_embedding.weight"].float()
    )  # type: ignore[index]
    before = flow_experiment.held_out_loss(model.eval(), None, [ITEM])
    trained = flow_experiment.tuned(model, [ITEM], FlowRecipe(rank=2, steps=3, batch=1, learning_rate=1e-2), 1)
    after = flow_experiment.held_out_loss(model, trained, [ITEM])
    assert np.isfinite([before, after]).all()
    assert after != before


def test_mels_come_back_as_the_sound_they_were(model: flow_experiment.DiffusionModel) -> None:
    heard = flow_experiment.sound(flow_mels(model, TONE[None]))
    spectrum = linear(torch.from_numpy(heard)[None], flow_experiment.MEL)[0].mean(1)
    assert abs(float(spectrum.argmax()) * 16_000 / 640 - 440) < 30
