import math

import numpy as np
import pytest
import torch

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import tiny
from cloning.engine.starter.singing import SingingRecipe, train_pitch
from cloning.engine.training.prepare import Item
from tests.cloning.engine.acoustic.made import sourceless


def hummed(pitch: float, code: int, rng: np.random.Generator) -> Item:
    """A second of a hum; its codes tell the pitch."""
    time = np.arange(16_000) / 16_000
    wave = sum(np.sin(2 * math.pi * pitch * k * time) / k for k in range(1, 9)) * 0.2
    noise = rng.normal(0, 0.001, len(time))
    codes = torch.full((25,), code)
    return Item(torch.from_numpy((wave + noise).astype(np.float32)), codes, torch.arange(5), True, speaker="one")


def model() -> AcousticModel:
    config = tiny()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return AcousticModel(config.acoustic, config.audio)


@pytest.mark.long
def test_the_head_learns_the_pitch_and_nothing_else_moves() -> None:
    rng = np.random.default_rng(1)
    items = [hummed(pitch, code, rng) for pitch, code in ((110.0, 3), (220.0, 40)) for _ in range(6)]
    taught = model()
    before = {name: value.clone() for name, value in taught.state_dict().items()}
    told: list[float] = []
    recipe = SingingRecipe(steps=200, batch=6, learning_rate=1e-2)
    train_pitch(taught, items, recipe, seed=1, report=lambda step, loss: told.append(loss))
    assert told[-1] < 0.5 * told[0]
    after = taught.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved
    assert all(name.startswith(("pitch.", "words.narrow.")) for name in moved)
    again = model()
    train_pitch(again, items, recipe, seed=1, report=lambda step, loss: None)
    assert all(torch.equal(value, after[name]) for name, value in again.state_dict().items())


def test_a_model_without_a_pitch_head_is_refused() -> None:
    config = sourceless(tiny())
    plain = AcousticModel(config.acoustic, config.audio)
    with pytest.raises(ValueError, match="pitch head"):
        train_pitch(plain, [], SingingRecipe(), seed=1, report=lambda step, loss: None)
