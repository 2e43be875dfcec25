"""The published GPT-SoVITS models as what training starts from.

A folder holds one S1 `.ckpt` and one S2 generator `.pth`, and may hold the S2 critics, whose file name begins with
`s2D` as upstream's do. The generator must be a pretrained one: fine-tunes have no posterior encoder and cannot be
trained further.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import Tensor

from cloning.engine.acoustic.discriminators import Discriminators
from cloning.engine.checkpoints import (
    MOST_ACOUSTIC_BYTES,
    MOST_SEMANTIC_BYTES,
    load_acoustic,
    load_semantic,
    read_bounded,
    read_content,
    weights_of,
)
from cloning.engine.config import AcousticConfig, EngineConfig, official
from cloning.engine.errors import CheckpointError, ConfigError
from cloning.engine.training.base import CONTENT_FILE, Base, load_base, starter_base
from cloning.engine.weights import first_difference, not_finite, outline

#: Beginning of the critics' file name.
CRITICS = "s2d"
#: Most entries of the folder that are looked at.
MOST_FILES = 256


def find_base(name: str) -> Base:
    """`starter`, a folder of official weights, or a folder with the starter's files.

    Raises EngineError `missing_base`, CheckpointError.
    """
    if name == "starter":
        return starter_base()
    folder = Path(name)
    if not folder.is_dir():
        raise CheckpointError("missing_base", f"there is no folder {name[:200]}")
    return load_base(folder) if (folder / CONTENT_FILE).is_file() else official_base(folder)


def official_base(folder: Path) -> Base:
    """Raises CheckpointError: `missing_base`, `no_posterior`, `wrong_version`, and what reading the files refuses."""
    files = sorted(folder.iterdir())[:MOST_FILES]
    pth = [path for path in files if path.suffix == ".pth"]
    judges = [path for path in pth if path.name.lower().startswith(CRITICS)]
    semantic_data = read_bounded(only([p for p in files if p.suffix == ".ckpt"], "S1 .ckpt"), MOST_SEMANTIC_BYTES)
    acoustic_data = read_bounded(only([p for p in pth if p not in judges], "S2 .pth"), MOST_ACOUSTIC_BYTES)
    semantic, acoustic = load_semantic(semantic_data), load_acoustic(acoustic_data)
    if acoustic.model.enc_q is None:
        raise CheckpointError("no_posterior", "this S2 file is a fine-tune; training starts from a pretrained one")
    shas = [hashlib.sha256(data).digest() for data in (semantic_data, acoustic_data)]
    try:
        config = EngineConfig(
            version=official(acoustic.version).version,
            audio=acoustic.audio,
            content=official(acoustic.version).content,
            semantic=semantic.config,
            acoustic=acoustic.config,
        )
    except ConfigError as error:
        raise CheckpointError("wrong_version", f"S1 and S2 do not belong together: {error.message}") from error
    critics = None
    if judges:
        data = read_bounded(only(judges, "critics file"), MOST_ACOUSTIC_BYTES)
        critics = _critics(data, acoustic.config)
        shas.append(hashlib.sha256(data).digest())
    return Base(
        config=config,
        content={},
        codebook=acoustic.model.quantizer.book.embed,
        semantic=semantic.model.state_dict(),
        acoustic=acoustic.model.state_dict(),
        digest=hashlib.sha256(b"".join(shas)).hexdigest(),
        critics=critics,
    )


def _critics(data: bytes, config: AcousticConfig) -> dict[str, Tensor]:
    content, _ = read_content(data, MOST_ACOUSTIC_BYTES)
    found = weights_of(content, len(data))
    difference = first_difference(outline(lambda: Discriminators(config)), found)
    if difference is not None:
        raise CheckpointError("wrong_weights", f"critics: {difference}")
    broken = not_finite(found)
    if broken is not None:
        raise CheckpointError("not_finite", f"critics: {broken[:120]} holds NaN or infinity")
    return found


def only(paths: list[Path], what: str) -> Path:
    """The one path. Raises CheckpointError `missing_base`."""
    if len(paths) != 1:
        raise CheckpointError("missing_base", f"the base's folder must hold exactly one {what}; there are {len(paths)}")
    return paths[0]
