"""An official voice in a folder: the small fixture files, a tiny HuBERT and a recording that is sound but no speech."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.io import wavfile

from cloning.engine.features.hubert import Hubert, HubertConfig
from tests.cloning.engine.official import unpacked


def recording(seconds: float = 4.0, rate: int = 32000, *, channels: int = 1, gain: float = 0.5, seed: int = 1) -> bytes:
    """A buzz with changing pitch and loudness, as WAV in 32-bit floats."""
    time = np.arange(int(seconds * rate)) / rate
    rng = np.random.default_rng(seed)
    pitch = 120 + 30 * np.sin(2 * np.pi * time) + rng.uniform(0, 40)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    wave = sum(np.sin(k * phase) / k for k in range(1, 12)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time))
    wave = gain * wave / np.abs(wave).max()
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, np.repeat(wave[:, None], channels, 1).astype(np.float32))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with a HuBERT of one layer; nothing else is mounted."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    config = HubertConfig(channels=(16,) * 7, layers=1, inner=64, position_kernel=16, position_groups=16)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = Hubert(config)
    place = folder / "chinese-hubert-base"
    place.mkdir()
    save_file(model.state_dict(), place / "model.safetensors")
    settings = {
        "model_type": "hubert",
        "conv_dim": [16] * 7,
        "conv_kernel": list(config.kernels),
        "conv_stride": list(config.strides),
        "hidden_size": config.width,
        "num_hidden_layers": 1,
        "num_attention_heads": config.heads,
        "intermediate_size": 64,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 16,
        "layer_norm_eps": 1e-5,
    }
    (place / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="session")
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A fresh official folder; keywords go into its voice.json."""

    def make(acoustic: str = "v2", **description: Any) -> Path:
        folder = tmp_path_factory.mktemp("voice")
        (folder / "s1.ckpt").write_bytes(unpacked("s1_small.ckpt.xz"))
        (folder / "s2.pth").write_bytes(unpacked(f"s2_{acoustic}_small.pth.xz"))
        (folder / "ref.wav").write_bytes(recording())
        said = {"reference": "ref.wav", "prompt_text": "This is what it says.", "prompt_lang": "en", "language": "en"}
        (folder / "voice.json").write_text(json.dumps(said | description))
        return folder

    return make


@pytest.fixture(scope="session")
def folder(make_folder: Callable[..., Path]) -> Path:
    """The ordinary case. Not to be changed."""
    return make_folder()
