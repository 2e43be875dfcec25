"""Vocoders out of a model folder: found, shared, refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cloning.engine.errors import CheckpointError, EngineError
from cloning.engine.vocoders.mounted import BIGVGAN_WEIGHTS, MOST_FRAMES, PLACES, Vocoders
from tests.cloning.engine.vocoders.made import write_bigvgan, write_v4


def mels(frames: int = 3) -> torch.Tensor:
    return torch.randn(2, 100, frames, generator=torch.Generator().manual_seed(1))


def refused(ask: Any, code: str, *arguments: Any) -> str:
    with pytest.raises(EngineError) as refusal:
        ask(*arguments)
    assert refusal.value.code == code
    return refusal.value.message


def test_both_speak_at_their_rates(tmp_path: Path) -> None:
    write_bigvgan(tmp_path)
    write_v4(tmp_path)
    vocoders = Vocoders(tmp_path)
    for version, rate, hop in (("v3", 24_000, 256), ("v4", 48_000, 480)):
        vocoder = vocoders.of(version)
        assert vocoders.of(version) is vocoder
        assert (vocoder.sample_rate, vocoder.hop) == (rate, hop)
        assert vocoder.hop / vocoder.sample_rate == pytest.approx(1 / vocoder.audio.frame_rate)
        wave = vocoder.vocode(mels())
        assert wave.shape == (2, 3 * hop)
        assert wave.dtype == torch.float32
        assert 0 < wave.abs().max() <= 1


def test_what_is_not_mounted_is_named(tmp_path: Path) -> None:
    vocoders = Vocoders(tmp_path)
    for version, place in PLACES.items():
        assert not vocoders.has(version)
        assert place in refused(vocoders.of, "not_mounted", version)
    write_bigvgan(tmp_path)
    (tmp_path / PLACES["v3"] / "config.json").unlink()
    refused(vocoders.of, "not_mounted", "v3")
    refused(vocoders.of, "unsupported_version", "v2")


@pytest.mark.parametrize(
    "bad",
    [torch.zeros(1, 80, 4), torch.zeros(100, 4), torch.zeros(1, 100, 0), torch.full((1, 100, 2), torch.nan),
     torch.zeros(1, 100, 1).expand(1, 100, MOST_FRAMES + 1)],
)  # fmt: skip
def test_mels_of_another_shape_or_not_finite_are_refused(tmp_path: Path, bad: torch.Tensor) -> None:
    write_v4(tmp_path)
    refused(Vocoders(tmp_path).of("v4").vocode, "bad_mels", bad)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"activation": "snake"}, "bad_config"),
        ({"snake_logscale": False}, "bad_config"),
        ({"sampling_rate": 22_050}, "bad_config"),
        ({"num_mels": 80}, "bad_config"),
        ({"upsample_rates": [8, 4, 2, 2, 2, 2]}, "bad_config"),
        ({"upsample_kernel_sizes": [8, 8, 4, 4, 4, 5]}, "bad_config"),
        ({"upsample_rates": [10**9] * 6}, "bad_config"),
        ({"upsample_initial_channel": 10**6}, "bad_config"),
        ({"resblock_dilation_sizes": [[1, 3]]}, "bad_config"),
        ({"use_bias_at_final": "yes"}, "bad_config"),
        ({"upsample_initial_channel": 128}, "wrong_weights"),
        ({"use_bias_at_final": True}, "wrong_weights"),
    ],
)
def test_settings_of_another_vocoder_are_refused(tmp_path: Path, changed: dict[str, Any], code: str) -> None:
    write_bigvgan(tmp_path, **changed)
    refused(Vocoders(tmp_path).of, code, "v3")


def test_hostile_and_damaged_files_are_refused(tmp_path: Path) -> None:
    path = write_v4(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(Vocoders(tmp_path).of, "not_readable", "v4")
    state = torch.load(write_v4(tmp_path), weights_only=True)
    state["conv_post.bias"][0] = torch.nan
    torch.save(state, path)
    refused(Vocoders(tmp_path).of, "not_finite", "v4")
    torch.save({"conv_pre.weight": torch.zeros(48, 100, 7)}, path)
    refused(Vocoders(tmp_path).of, "wrong_weights", "v4")
    torch.save({"conv_pre.weight": Path("x")}, path)
    refused(Vocoders(tmp_path).of, "forbidden_content", "v4")
    folder = write_bigvgan(tmp_path)
    torch.save({"discriminator": {}}, folder / BIGVGAN_WEIGHTS)
    refused(Vocoders(tmp_path).of, "not_readable", "v3")


def test_a_broken_vocoder_is_not_remembered(tmp_path: Path) -> None:
    path = write_v4(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(b"PK")
    vocoders = Vocoders(tmp_path)
    with pytest.raises(CheckpointError):
        vocoders.of("v4")
    path.write_bytes(whole)
    assert vocoders.of("v4").vocode(mels(1)).shape == (2, 480)


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    refused(lambda: Vocoders(tmp_path, precision="int8"), "unsupported_precision")  # type: ignore[arg-type]
