"""The published v3 and v4 as what training starts from: a folder with one S1 `.ckpt` and one S2 `.pth` (s2Gv3.pth,
s2Gv4.pth; fine-tunes as upstream writes them whole will do as well)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.checkpoints import MOST_SEMANTIC_BYTES, load_semantic, read_bounded
from cloning.engine.config import EngineConfig, official
from cloning.engine.diffusion_config import DiffusionConfig
from cloning.engine.diffusion_files import MOST_DIFFUSION_BYTES, holds_flow, is_lora, load_diffusion
from cloning.engine.errors import CheckpointError, ConfigError
from cloning.engine.training.base import Base
from cloning.engine.training.official_base import MOST_FILES, only


@dataclass(frozen=True)
class DiffusionBase:
    """`shared`: S1, and what preparation reads of S2 (codebook, projection, rates), which v3 and v4 have as v2 has
    them. `config` and `weights`: the whole generator."""

    shared: Base
    config: DiffusionConfig

    def build(self) -> DiffusionModel:
        """The generator, a new one each time, in evaluation mode."""
        model = DiffusionModel(self.config)
        assert self.shared.acoustic is not None
        model.load_state_dict({name: value.float() for name, value in self.shared.acoustic.items()})
        return model.eval()


def is_diffusion_base(folder: Path) -> bool:
    """Whether the one S2 of the folder is of v3 or v4; False where that cannot be told."""
    files = sorted(folder.iterdir())[:MOST_FILES] if folder.is_dir() else []
    try:
        data = read_bounded(only([p for p in files if p.suffix == ".pth"], "S2 .pth"), MOST_DIFFUSION_BYTES)
    except CheckpointError:
        return False
    return is_lora(data) or holds_flow(data)


def diffusion_base(folder: Path, version: str | None = None) -> DiffusionBase:
    """`version` for a file that does not say which it is. Raises CheckpointError: `missing_base`, `needs_base` for a
    LoRA file, `wrong_version`, and what reading the files refuses."""
    files = sorted(folder.iterdir())[:MOST_FILES]
    semantic_data = read_bounded(only([p for p in files if p.suffix == ".ckpt"], "S1 .ckpt"), MOST_SEMANTIC_BYTES)
    acoustic_data = read_bounded(only([p for p in files if p.suffix == ".pth"], "S2 .pth"), MOST_DIFFUSION_BYTES)
    semantic, acoustic = load_semantic(semantic_data), load_diffusion(acoustic_data, version)
    shas = [hashlib.sha256(data).digest() for data in (semantic_data, acoustic_data)]
    whole = official("v2")
    try:
        config = EngineConfig(
            version="v2", audio=acoustic.config.audio, content=whole.content, semantic=semantic.config,
            acoustic=acoustic.config.acoustic,
        )  # fmt: skip
    except ConfigError as error:
        raise CheckpointError("wrong_version", f"S1 and S2 do not belong together: {error.message}") from error
    shared = Base(
        config=config,
        content={},
        codebook=acoustic.model.quantizer.book.embed,
        semantic=semantic.model.state_dict(),
        acoustic=acoustic.model.state_dict(),
        digest=hashlib.sha256(b"".join(shas)).hexdigest(),
    )
    return DiffusionBase(shared, acoustic.config)
