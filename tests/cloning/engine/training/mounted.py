"""A deployment's folder of bases, reduced: files of the official formats with random weights."""

from __future__ import annotations

from pathlib import Path

from tests.cloning.engine.training.small_diffusion import write_flow_base
from tests.cloning.engine.training.small_official import write_base, write_models
from tests.cloning.engine.vocoders.made import write_bigvgan, write_v4


def write_bases(folder: Path, *versions: str) -> Path:
    """The folder with these versions, and the models that they need."""
    for version in versions:
        if version in ("v3", "v4"):
            write_flow_base(folder / version, version)
        else:
            write_base(folder / version, version=version)
    models = write_models(folder / "models", speaker="v2Pro" in versions)
    if "v3" in versions:
        write_bigvgan(models)
    if "v4" in versions:
        write_v4(models)
    return folder
