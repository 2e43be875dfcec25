"""S2 of v1, v2, v2Pro and v2ProPlus: every boundary from content frames to sound, and the whole model at full size."""

from __future__ import annotations

from torch import Tensor

from cloning.engine.acoustic.boundaries import FIRST_CODES, walk
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.checkpoints import load_acoustic
from cloning.engine.config import official
from cloning.engine.parity.folder import Folder, FolderError
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.parity.sheet import Row, Sheet
from cloning.engine.parity.weights import seeds
from cloning.engine.weights import fill, outline

WAVE = 2e-5
BOUNDARY, BOUNDARY_SHARE = 1e-4, 1e-5
#: Full-size golden files scale the last convolution, so that the wave does not saturate.
LAST_SCALE = 2.0**-4
_WAVES = ("dec_wave", "decode_", "wave")
_SPEED = "decode_ns0_speed"
_INPUTS = ("ssl", "codes_in", "codes", "text", "refer", "refer2", "sv", "sv2", "flow_forward_in", "noise")


def inference(folder: Folder, name: str, group: str) -> Row:
    """`s2_<version>_small_infer.npz` with the checkpoint of the same version from the folder."""
    stem = name.removesuffix("_infer.npz")
    model = load_acoustic(folder.read(beside(folder, stem))).model
    return _walked(folder.arrays(name), model, name, group)


def full(folder: Folder, name: str, group: str) -> Row:
    """`full_s2_<version>.npz`: the published size, weights by the recipe."""
    config = official(name.removeprefix("full_s2_").removesuffix(".npz"))

    def build() -> AcousticModel:
        return AcousticModel(config.acoustic, config.audio, posterior=False)

    state = recipe_state(outline(build), int(seeds(folder, name)[0]))
    state["dec.conv_post.weight"] *= LAST_SCALE
    return _walked(folder.arrays(name), fill(build, state), name, group)


def _walked(golden: dict[str, Tensor], model: AcousticModel, name: str, group: str) -> Row:
    sheet = Sheet(golden)
    given = {key: golden[key] for key in _INPUTS if key in golden}
    sheet.ignore(given)
    boundaries: dict[str, float] = {}
    speeds = [float(key.removeprefix(_SPEED)) for key in golden if key.startswith(_SPEED)]
    latent = golden.get("stream1_latent")
    first_codes = FIRST_CODES if latent is None else latent.shape[2] // model.config.frames_per_code
    for key, value in walk(model, given, speeds=speeds, first_codes=first_codes):
        if key not in golden:
            continue
        expected = golden[key]
        if not expected.dtype.is_floating_point:
            sheet.exact(key, value)
        elif key.startswith(_WAVES) or key.endswith("_wave"):
            sheet.close(key, value, atol=WAVE)
        else:
            sheet.close(key, value, atol=BOUNDARY, rtol=BOUNDARY_SHARE)
        if value.shape == expected.shape:
            boundaries[key] = float((value.double() - expected.double()).abs().max())
    return sheet.row(name, group, {"boundaries": boundaries})


def beside(folder: Folder, stem: str) -> str:
    found = [f"{stem}{ending}" for ending in (".pth.xz", ".pth") if f"{stem}{ending}" in folder.entries]
    if not found:
        raise FolderError(f"needs {stem}.pth.xz, which the manifest does not name")
    return found[0]
