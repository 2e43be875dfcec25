"""The activation in one pass is the activation written out: every length around a stretch, every group of channels."""

from __future__ import annotations

import pytest
import torch

from cloning.engine.vocoders import fused
from cloning.engine.vocoders.fast import FastSnake
from cloning.engine.vocoders.snake import TAPS, AntiAliasedSnake, half_band
from tests.cloning.engine.official import FIXTURES, needs_fixtures, unpacked


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(channels: int) -> AntiAliasedSnake:
    """Filters without symmetry, so that a turned one would show."""
    snake = AntiAliasedSnake(channels)
    with torch.no_grad():
        for value in (snake.act.alpha, snake.act.beta):
            value.copy_(torch.randn(channels, generator=random(1)).clamp(-1, 1))
        for place in (snake.upsample, snake.downsample.lowpass):
            place.filter.copy_(torch.rand(1, 1, TAPS, generator=random(2)) / 4)
    return snake


@pytest.mark.parametrize("channels", [16, 24, 32, 40])
@pytest.mark.parametrize("frames", [1, 2, 3, 7, 127, 128, 129, 300])
@torch.inference_mode()
def test_one_pass_is_the_written_out_activation(channels: int, frames: int) -> None:
    snake = made(channels)
    x = torch.randn(2, channels, frames, generator=random(frames)) * 3
    laid_out = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    assert fused.takes(laid_out)
    torch.testing.assert_close(FastSnake(snake)(laid_out).squeeze(2), snake(x), atol=2e-5, rtol=1e-5)


@torch.inference_mode()
def test_large_angles_keep_their_period() -> None:
    snake = made(16)
    snake.act.alpha.fill_(3.0)
    x = torch.randn(1, 16, 50, generator=random(3)) * 50
    laid_out = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    wanted = snake.double()(x.double())
    assert (FastSnake(snake.float())(laid_out).squeeze(2) - wanted).abs().max() < 2e-3


@torch.inference_mode()
def test_bfloat16_in_and_out() -> None:
    snake = made(32)
    x = torch.randn(1, 32, 1, 90, generator=random(4)).bfloat16().contiguous(memory_format=torch.channels_last)
    got = FastSnake(snake)(x)
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), snake(x.squeeze(2).float()).unsqueeze(2), atol=2e-2, rtol=8e-3)


@torch.inference_mode()
def test_narrow_and_uncommon_tensors_take_the_other_way() -> None:
    for channels in (2, 8):
        snake = made(channels)
        x = torch.randn(1, channels, 1, 20, generator=random(5))
        assert not fused.takes(x)
        torch.testing.assert_close(FastSnake(snake)(x), snake(x.squeeze(2)).unsqueeze(2))
    assert not fused.takes(torch.zeros(1, 16, 1, 4, dtype=torch.float64))
    strided = torch.zeros(2, 32, 1, 8)[:, :, :, ::2]
    assert not fused.takes(strided)


@torch.inference_mode()
def test_threads_share_the_work_and_give_the_same_numbers() -> None:
    snake = FastSnake(made(40))
    x = torch.randn(2, 40, 1, 200, generator=random(6)).contiguous(memory_format=torch.channels_last)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = snake(x)
        torch.set_num_threads(3)
        assert torch.equal(snake(x), alone)
    finally:
        torch.set_num_threads(before)


@needs_fixtures
def test_the_filter_is_the_published_one() -> None:
    import io

    assert FIXTURES.is_dir()
    content = torch.load(io.BytesIO(unpacked("bigvgan_small.pt.xz")), weights_only=True)["generator"]
    for name in ("activation_post.upsample.filter", "activation_post.downsample.lowpass.filter"):
        torch.testing.assert_close(content[name], half_band(), atol=1e-7, rtol=0)
