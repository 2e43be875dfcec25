"""A v3 or v4 base in upstream's files, as small as they let it be."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import soundfile

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.diffusion_config import DiffusionConfig, DitConfig, official_diffusion
from cloning.engine.export import export_diffusion, export_semantic
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.weights import outline
from tests.cloning.engine.training.small_official import config as small_config

#: What the reference of `write_flow_voice` says: long enough for both prompt windows.
SAID = "The weather is lovely this morning and the train leaves at nine. Nobody knew why the door was open."


def config(version: str) -> DiffusionConfig:
    """Widths the files may choose are small, the others (a bridge of 512 channels, say) are the published ones."""
    whole = official_diffusion(version)
    acoustic = dataclasses.replace(
        whole.acoustic, hidden=16, latent=16, filter=24, text_layers=2, code_layers=1, joint_layers=1
    )
    return dataclasses.replace(whole, acoustic=acoustic, dit=DitConfig(width=64, depth=2, heads=1, text_layers=1))


def write_flow_base(folder: Path, version: str = "v4", seed: int = 9) -> Path:
    """The folder with S1 and S2."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = config(version)
    (folder / f"s2G{version}.pth").write_bytes(
        export_diffusion(whole, recipe_state(outline(lambda: DiffusionModel(whole)), seed))
    )
    semantic = small_config("v2")
    shapes = {f"model.{name}": shape for name, shape in outline(lambda: Text2Semantic(semantic.semantic)).items()}
    state = {name.removeprefix("model."): value for name, value in recipe_state(shapes, 4).items()}
    (folder / "s1v3.ckpt").write_bytes(export_semantic(semantic, state))
    return folder


def write_flow_voice(folder: Path, version: str) -> Path:
    """The same as a voice: the base with a reference to continue."""
    from demo.flite.speaker import speak

    write_flow_base(folder, version)
    soundfile.write(folder / "reference.wav", *speak(SAID, voice="awb"))
    described = {
        "version": version, "language": "en", "reference": "reference.wav", "prompt_text": SAID, "prompt_lang": "en",
    }  # fmt: skip
    (folder / "voice.json").write_text(json.dumps(described))
    return folder
