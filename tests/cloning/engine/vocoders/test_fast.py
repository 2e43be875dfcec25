"""The fast BigVGAN is the plain one: wherever it is cut in time, in any precision."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from cloning.engine.bench.acoustic import snr_db
from cloning.engine.vocoders import fast
from cloning.engine.vocoders.fast import FastAmpStage, FastBigVgan
from tests.cloning.engine.vocoders.made import CONFIG, small_bigvgan


def mels(frames: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 100, frames, generator=torch.Generator().manual_seed(frames))


@pytest.mark.parametrize("stretch", [90, 128, 6_400])
@torch.inference_mode()
def test_the_wave_is_the_same_wherever_it_is_cut(stretch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "STRETCH", stretch)
    plain = small_bigvgan()
    quick = FastBigVgan(plain)
    for frames in (1, 2, 5):
        wanted = plain(mels(frames))
        assert wanted.std() > 1e-4
        torch.testing.assert_close(quick(mels(frames)), wanted, atol=1e-6, rtol=1e-4)


@torch.inference_mode()
def test_the_reach_is_not_larger_than_needed() -> None:
    stage = FastBigVgan(small_bigvgan()).stages[0]
    assert isinstance(stage, FastAmpStage)
    # kernel 3, dilations 1 and 3: (1 + 1 + 3 + 1) of the convolutions, 5: (2 + 2 + 4 + 2); 4 activations of 6 each.
    assert stage.reach == 10 + 24


@torch.inference_mode()
def test_a_batch_is_like_its_items() -> None:
    quick = FastBigVgan(small_bigvgan())
    together = quick(mels(4, batch=3))
    for item in range(3):
        torch.testing.assert_close(together[item : item + 1], quick(mels(4, batch=3)[item : item + 1]))


@torch.inference_mode()
def test_bfloat16_stays_close_and_gives_float32() -> None:
    plain = small_bigvgan()
    got = FastBigVgan(plain, "bfloat16")(mels(6))
    assert got.dtype == torch.float32
    assert 30 < snr_db(plain(mels(6)), got) < 90


@torch.inference_mode()
def test_both_ways_to_end_stay_in_range() -> None:
    for tanh in (False, True):
        loud = small_bigvgan(dataclasses.replace(CONFIG, final_tanh=tanh, final_bias=True))
        loud.conv_post.weight.mul_(1e4)
        wave = FastBigVgan(loud)(mels(4))
        torch.testing.assert_close(wave, loud(mels(4)), atol=2e-3, rtol=1e-3)
        assert wave.abs().max() == pytest.approx(1.0, abs=1e-3)
