"""The weight rule of the golden files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cloning.engine.checkpoints import load_acoustic
from cloning.engine.parity.recipe import base_row, recipe_state
from tests.cloning.engine.official import manifest, needs_fixtures, unpacked


def test_the_base_row_is_short_numbers() -> None:
    row = base_row(7)
    assert row.shape == (4099,)
    assert np.array_equal(row, np.round(row * 8) / 8)
    assert float(np.abs(row).max()) <= 3.0


def test_a_value_depends_on_name_and_seed_only() -> None:
    first = recipe_state({"a.weight": (3, 5), "b.weight": (3, 5)}, 1)
    again = recipe_state({"a.weight": (3, 5)}, 1)
    assert torch.equal(first["a.weight"], again["a.weight"])
    assert not torch.equal(first["a.weight"], first["b.weight"])
    assert not torch.equal(first["a.weight"], recipe_state({"a.weight": (3, 5)}, 2)["a.weight"])


def test_a_gain_without_its_direction_is_an_error() -> None:
    with pytest.raises(KeyError):
        recipe_state({"a.weight_g": (3, 1)}, 1)


@needs_fixtures
@pytest.mark.parametrize("version", ["v1", "v2", "v2Pro", "v2ProPlus"])
def test_it_fills_the_official_files(version: str) -> None:
    name = f"s2_{version}_small.pth.xz"
    state = load_acoustic(unpacked(name)).model.state_dict()
    filled = recipe_state({key: tuple(value.shape) for key, value in state.items()}, manifest(name)["recipe_seed"])
    assert [key for key, value in state.items() if not torch.equal(value, filled[key])] == []
