"""The versions of the family that a deployment can offer, and the files each needs. Knows no torch: names only.

BASES/  v2/  v2Pro/  v3/  v4/       each with one S1 `.ckpt` and one S2 `.pth`, the published ones
        models/                     what the versions share, as upstream's `pretrained_models` (`features.mounted`)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

STARTER: Final = "starter"
MOUNTED: Final = ("v2", "v2Pro", "v3", "v4")
VERSIONS: Final = (STARTER, *MOUNTED)
MODELS: Final = "models"
#: S2's critics lie beside a base and are not it (`training.official_base`).
CRITICS: Final = "s2d"
#: Most entries of a base's folder that are looked at.
MOST_FILES: Final = 256
#: Either of these names will do.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_CONTENT = (("chinese-hubert-base/config.json",), tuple(f"chinese-hubert-base/{name}" for name in _WEIGHTS))
#: What of the models folder a version cannot do without; each row is alternatives.
_MODELS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "v2": _CONTENT,
    "v2Pro": (*_CONTENT, ("sv/pretrained_eres2netv2w24s4ep4.ckpt",)),
    "v3": (
        *_CONTENT,
        ("models--nvidia--bigvgan_v2_24khz_100band_256x/config.json",),
        ("models--nvidia--bigvgan_v2_24khz_100band_256x/bigvgan_generator.pt",),
    ),
    "v4": (*_CONTENT, ("gsv-v4-pretrained/vocoder.pth",)),
}


def missing(bases: Path, version: str) -> list[str]:
    """What the folder of bases lacks for the version, as paths below it; [] when it can be tried. Files are not opened.

    Raises KeyError for a version that is not in MOUNTED.
    """
    models = [f"{MODELS}/{' or '.join(row)}" for row in _MODELS[version] if not _one_of(bases / MODELS, row)]
    folder = bases / version
    files = sorted(folder.iterdir())[:MOST_FILES] if folder.is_dir() else []
    names = [file.name.lower() for file in files if file.is_file()]
    lacking = []
    for ending in (".ckpt", ".pth"):
        found = [name for name in names if name.endswith(ending) and not name.startswith(CRITICS)]
        if len(found) != 1:
            lacking.append(f"{version}/*{ending} (exactly one; there are {len(found)})")
    return lacking + models


def offered(bases: Path | None) -> list[str]:
    """The versions that can be chosen: the starter, and every mounted one whose files are all there."""
    return [STARTER, *(version for version in MOUNTED if bases is not None and not missing(bases, version))]


def _one_of(folder: Path, names: tuple[str, ...]) -> bool:
    return any((folder / name).is_file() for name in names)
