"""Official weight files against the rule that filled them: version, names, shapes and every value."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from cloning.engine.checkpoints import load_acoustic, load_semantic
from cloning.engine.parity.folder import Folder, FolderError
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.parity.sheet import Row, Sheet


def seeds(folder: Folder, name: str) -> list[float]:
    """The numbers of the manifest's `recipe_seed`: the seed, and for S1 the factor of its end-mark row. Raises
    FolderError."""
    stated = folder.entry(name).get("recipe_seed")
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", str(stated))]
    if not numbers:
        raise FolderError("has no recipe_seed in the manifest")
    return numbers


def semantic_file(folder: Folder, name: str, group: str) -> Row:
    """An S1 `.ckpt` loads strictly and holds what the recipe gives, its end-mark row scaled by the stated factor."""
    loaded = load_semantic(folder.read(name))
    found = {f"model.{key}": value for key, value in loaded.model.state_dict().items()}
    seed, *factor = seeds(folder, name)
    expected = recipe_state({key: tuple(value.shape) for key, value in found.items()}, int(seed))
    if factor:
        expected["model.ar_predict_layer.weight"][loaded.config.eos] *= factor[0]
    return _values(name, group, found, expected, {"version": "S1", "info": loaded.info})


def acoustic_file(folder: Folder, name: str, group: str) -> Row:
    """An S2 `.pth` is recognised as the version that the manifest states and holds what the recipe gives."""
    loaded = load_acoustic(folder.read(name))
    stated = folder.entry(name).get("config", {}).get("version")
    if loaded.version != stated:
        raise FolderError(f"is {stated} by the manifest, recognised as {loaded.version}")
    found = loaded.model.state_dict()
    expected = recipe_state({key: tuple(value.shape) for key, value in found.items()}, int(seeds(folder, name)[0]))
    return _values(name, group, found, expected, {"version": loaded.version, "info": loaded.info})


def _values(
    name: str, group: str, found: dict[str, Tensor], expected: dict[str, Tensor], details: dict[str, object]
) -> Row:
    sheet = Sheet(expected)
    for key, value in found.items():
        sheet.exact(key, value.to(torch.float32))
    return sheet.row(name, group, {**details, "tensors": len(found)})
