"""Small vocoders in upstream's files, every weight by the recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from cloning.engine.bench.vocoders import bigvgan, v4
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.vocoders.bigvgan import BigVgan, BigVganConfig
from cloning.engine.vocoders.mounted import BIGVGAN_WEIGHTS, PLACES

SETTINGS: dict[str, Any] = {
    "resblock": "1", "activation": "snakebeta", "snake_logscale": True, "num_mels": 100, "sampling_rate": 24_000,
    "hop_size": 256, "upsample_rates": [4, 4, 2, 2, 2, 2], "upsample_kernel_sizes": [8, 8, 4, 4, 4, 4],
    "upsample_initial_channel": 64, "resblock_kernel_sizes": [3, 5], "resblock_dilation_sizes": [[1, 3], [1, 2]],
    "use_tanh_at_final": False, "use_bias_at_final": False,
}  # fmt: skip
CONFIG = BigVganConfig.from_settings(SETTINGS)


def small_bigvgan(config: BigVganConfig = CONFIG) -> BigVgan:
    return bigvgan(config)


def write_bigvgan(root: Path, **changed: Any) -> Path:
    """The folder of v3's vocoder; `changed` settings are written, not built."""
    folder = root / PLACES["v3"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**SETTINGS, **changed}))
    shapes = {name: tuple(value.shape) for name, value in BigVgan(CONFIG).state_dict().items()}
    state = recipe_state({name: shape for name, shape in shapes.items() if not name.endswith("filter")}, 5)
    state |= {name: value for name, value in BigVgan(CONFIG).state_dict().items() if name.endswith("filter")}
    torch.save({"generator": state}, folder / BIGVGAN_WEIGHTS)
    return folder


def write_v4(root: Path, initial: int = 32) -> Path:
    path = root / PLACES["v4"]
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: value.half() for name, value in v4(initial).state_dict().items()}, path)
    return path
