"""The vocoders of v3 and v4: their files, and mels to waves, plain and fast."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch

from cloning.engine.features.pretrained import built, read_settings, read_weights
from cloning.engine.parity.folder import Folder, FolderError
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.parity.sheet import Row, Sheet
from cloning.engine.parity.weights import seeds
from cloning.engine.vocoders.bigvgan import BigVgan, BigVganConfig
from cloning.engine.vocoders.mel_hifigan import folded, shape_of
from cloning.engine.vocoders.mounted import BIGVGAN_WEIGHTS, PLACES, Vocoders

WAVE = 2e-5


def v4_file(folder: Folder, name: str, group: str) -> Row:
    """v4's file holds what the recipe gives, and loads."""
    with tempfile.TemporaryDirectory() as place:
        path = _mounted_v4(folder, name, Path(place))
        found = read_weights(path)
        Vocoders(Path(place)).of("v4")
        sheet = Sheet(recipe_state({key: tuple(value.shape) for key, value in found.items()}, int(_seed(folder, name))))
        for key, value in found.items():
            sheet.exact(key, value.float())
    return sheet.row(name, group, {"tensors": len(found)})


def bigvgan_file(folder: Folder, name: str, group: str) -> Row:
    """BigVGAN's file loads with the settings of the manifest, every value finite; its departures from the recipe are
    its own, so names and shapes are what is compared."""
    with tempfile.TemporaryDirectory() as place:
        path = _mounted_bigvgan(folder, name, Path(place))
        found = read_weights(path / BIGVGAN_WEIGHTS, section="generator")
        config = BigVganConfig.from_settings(read_settings(path))
        wanted = {key: tuple(value.shape) for key, value in BigVgan(config).state_dict().items()}
        sheet = Sheet(dict(wanted))
        for key in wanted:
            sheet.exact(key, tuple(found[key].shape) if key in found else None)
        Vocoders(Path(place)).of("v3")
    return sheet.row(name, group, {"tensors": len(found)})


@torch.inference_mode()
def v4_wave(folder: Folder, name: str, group: str) -> Row:
    """v4: mels to the wave, by the plain model and by the fast one."""
    sheet = Sheet(folder.arrays(name))
    mels = sheet.take("mel")
    with tempfile.TemporaryDirectory() as place:
        path = _mounted_v4(folder, _beside(folder, name), Path(place))
        found = read_weights(path)
        shape = shape_of(found)
        plain = built(lambda: folded(shape), found, torch.float32)
        sheet.close("wave", plain(mels), atol=WAVE)
        sheet.close("wave", Vocoders(Path(place)).of("v4").vocode(mels)[:, None], atol=WAVE)
    return sheet.row(name, group)


@torch.inference_mode()
def bigvgan_wave(folder: Folder, name: str, group: str) -> Row:
    """BigVGAN: mels to the wave, by the plain model and by the fast one with the activation in one pass."""
    sheet = Sheet(folder.arrays(name))
    mels = sheet.take("mel")
    with tempfile.TemporaryDirectory() as place:
        path = _mounted_bigvgan(folder, _beside(folder, name), Path(place))
        found = read_weights(path / BIGVGAN_WEIGHTS, section="generator")
        config = BigVganConfig.from_settings(read_settings(path))
        sheet.close("wave", built(lambda: BigVgan(config), found, torch.float32)(mels), atol=WAVE)
        sheet.close("wave", Vocoders(Path(place)).of("v3").vocode(mels)[:, None], atol=WAVE)
    return sheet.row(name, group)


def _seed(folder: Folder, name: str) -> float:
    return seeds(folder, name)[0]


def _beside(folder: Folder, name: str) -> str:
    """The weight file that the arrays belong to."""
    stem = name.removesuffix(".npz")
    for other in folder.names():
        if other.startswith((stem + ".pt", stem + ".pth")):
            return other
    raise FolderError("has no weight file beside it")


def _mounted_v4(folder: Folder, name: str, place: Path) -> Path:
    path = place / PLACES["v4"]
    path.parent.mkdir(parents=True)
    path.write_bytes(folder.read(name))
    return path


def _mounted_bigvgan(folder: Folder, name: str, place: Path) -> Path:
    path = place / PLACES["v3"]
    path.mkdir(parents=True)
    (path / BIGVGAN_WEIGHTS).write_bytes(folder.read(name))
    (path / "config.json").write_text(json.dumps(folder.entry(name).get("config")), "utf-8")
    return path
