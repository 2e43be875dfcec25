"""The fast form of S2 is the same function: every block kind, both sides of every cut in time, any precision."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch.nn import functional as F

from cloning.engine.acoustic import fast
from cloning.engine.acoustic.fast import FastDecoder, FastStage, Precision, prepare
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.int8 import Int8Conv, quantise
from cloning.engine.acoustic.layers import NormedConv, NormedTransposedConv
from cloning.engine.bench.acoustic import snr_db
from cloning.engine.config import AcousticConfig, tiny
from cloning.engine.errors import EngineError
from tests.cloning.engine.acoustic.made import sung
from tests.cloning.engine.processor import needs_int8

TINY = tiny()
#: The official decoder's shape at a small width: paired residuals, three kernels, long kernels with wide dilations.
PAIRED = dataclasses.replace(
    TINY.acoustic,
    resblock="1",
    resblock_kernels=(3, 7, 11),
    resblock_dilations=((1, 3, 5), (1, 3, 5), (1, 3, 5)),
)


#: Wide enough for integer stages.
WIDE = dataclasses.replace(PAIRED, upsample_initial=128)


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(config: AcousticConfig) -> AcousticModel:
    """Weights large enough that every layer counts; the initial ones of the vocoder are near zero."""
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = AcousticModel(config, TINY.audio).eval()
        with torch.no_grad():
            for part in model.dec.modules():
                if isinstance(part, NormedConv | NormedTransposedConv):
                    part.weight_g.copy_(torch.rand_like(part.weight_g) + 0.5)
                    part.bias.normal_(0.0, 0.1)
            model.dec.conv_post.weight.mul_(0.1)
    return model


@pytest.mark.parametrize("config", [TINY.acoustic, PAIRED], ids=["single", "paired"])
@pytest.mark.parametrize("stretch", [50, 64, 12_800])
@torch.inference_mode()
def test_the_wave_is_the_same_wherever_it_is_cut(
    config: AcousticConfig, stretch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "STRETCH", stretch)
    model = build(config)
    quick = prepare(copy.deepcopy(model))
    style = torch.randn(1, config.style, 1, generator=random(2))
    for frames in (1, 2, 7, 13):
        x = sung(model, torch.randn(1, config.latent, frames, generator=random(frames)))
        wanted = model.dec(x, style)
        assert wanted.std() > 1e-3
        torch.testing.assert_close(quick.dec(x, style), wanted, atol=2e-6, rtol=1e-5)


@torch.inference_mode()
def test_a_batch_is_decoded_like_its_items() -> None:
    quick = prepare(build(PAIRED))
    x = sung(quick, torch.randn(3, PAIRED.latent, 9, generator=random(1)))
    style = torch.randn(3, PAIRED.style, 1, generator=random(2))
    together = quick.dec(x, style)
    for item in range(3):
        torch.testing.assert_close(together[item : item + 1], quick.dec(x[item : item + 1], style[item : item + 1]))


@pytest.mark.parametrize("source", [False, True])
def test_the_whole_decode_is_the_same_and_the_input_is_left_alone(source: bool) -> None:
    without = dataclasses.replace(PAIRED, pitch_hidden=0, phone_classes=0, phone_width=0)
    model = build(PAIRED if source else without)
    quick = prepare(copy.deepcopy(model))
    codes, phones = torch.arange(12)[None], torch.arange(6)[None]
    style = torch.randn(1, PAIRED.style, 1, generator=random(2))
    kept = style.clone()
    for speed in (1.0, 1.25):
        noise = random(5), random(5)
        wanted = model.decode(codes, phones, style, generator=noise[0], speed=speed)
        got = quick.decode(codes, phones, style, generator=noise[1], speed=speed)
        if source:  # the phase of a pitch adds roundings up: what the vocoder is told is compared before it does
            told = [one.prior(*one.prior_hidden(codes, phones, style), speed) for one in (model, quick)]
            pitches = [
                one.pitch(mean, log, mask, style) for one, (mean, log, mask) in zip((model, quick), told, strict=True)
            ]
            torch.testing.assert_close([*told[1], pitches[1]], [*told[0], pitches[0]], atol=2e-6, rtol=1e-5)
            assert snr_db(wanted, got) > 60
        else:
            torch.testing.assert_close(got, wanted, atol=2e-6, rtol=1e-5)
    assert torch.equal(style, kept)


@pytest.mark.parametrize(("precision", "least"), [("bfloat16", 30), pytest.param("int8", 25, marks=needs_int8)])
@torch.inference_mode()
def test_low_precision_stays_close_and_gives_float32(precision: Precision, least: float) -> None:
    model = build(WIDE)
    quick = prepare(copy.deepcopy(model), precision)
    style = torch.randn(1, WIDE.style, 1, generator=random(2))
    for frames in (1, 20):
        x = sung(model, torch.randn(1, WIDE.latent, frames, generator=random(frames)))
        got = quick.dec(x, style)
        assert got.dtype == torch.float32
        assert least < snr_db(model.dec(x, style), got) < 70


@torch.inference_mode()
def test_quantised_bytes_give_back_the_values_within_half_a_step() -> None:
    for x in (torch.randn(2, 8, 1, 50, generator=random(1)), torch.rand(1, 4, 1, 9, generator=random(2)) + 1):
        laid_out = x.contiguous(memory_format=torch.channels_last)
        steps, scale, zero = quantise(laid_out)
        assert steps.dtype == torch.uint8
        assert 0 < zero < 255
        assert ((steps.float() - zero) * scale - x).abs().max() <= 0.5001 * scale
    steps, _, zero = quantise(torch.zeros(1, 2, 1, 3))
    assert (steps == zero).all()


@needs_int8
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (7, 3), (11, 5)])
@torch.inference_mode()
def test_the_integer_convolution_is_the_convolution_of_the_quantised_numbers(kernel: int, dilation: int) -> None:
    weight = torch.randn(32, 32, kernel, generator=random(1))
    bias = torch.randn(32, generator=random(2))
    conv = Int8Conv(weight, bias, dilation)
    for batch, count in ((1, 5), (2, 70)):
        x = torch.randn(batch, 32, 1, count, generator=random(3)).contiguous(memory_format=torch.channels_last)
        steps, scale, zero = quantise(x)
        around = (steps.double() - zero) * scale
        scales = weight.abs().amax((1, 2)).double() / 127
        rounded = (weight.double() / scales[:, None, None]).round() * scales[:, None, None]
        wanted = F.conv1d(around[:, :, 0], rounded, bias.double(), 1, conv.reach, dilation)
        torch.testing.assert_close(conv(x)[:, :, 0], wanted.float(), atol=1e-4, rtol=1e-4)


def test_a_prepared_model_holds_nothing_that_only_training_needs() -> None:
    model = build(PAIRED)
    before = sum(value.numel() for name, value in model.state_dict().items() if "enc_q" not in name)
    quick = prepare(model)
    assert quick is model
    names = set(quick.state_dict())
    assert not [name for name in names if "enc_q" in name or name.endswith(("weight_g", "weight_v"))]
    assert sum(value.numel() for value in quick.state_dict().values()) < before
    assert not any(value.requires_grad for value in quick.parameters())
    assert not any(isinstance(part, NormedConv | NormedTransposedConv) for part in quick.modules())


def test_preparing_twice_is_preparing_once() -> None:
    model = prepare(build(TINY.acoustic))
    assert isinstance(model.dec, FastDecoder)
    decoder = model.dec
    assert prepare(model).dec is decoder
    with pytest.raises(EngineError, match="already"):
        prepare(model, "bfloat16")


def test_an_unknown_precision_is_refused_before_anything_is_changed() -> None:
    model = build(TINY.acoustic)
    with pytest.raises(EngineError, match="unsupported_precision"):
        prepare(model, "float16")  # type: ignore[arg-type]
    assert model.enc_q is not None
    assert not isinstance(model.dec, FastDecoder)


def test_the_reach_of_a_stage_is_that_of_its_widest_block() -> None:
    stage = prepare(build(PAIRED)).dec.get_submodule("stages.0")
    assert isinstance(stage, FastStage)
    assert stage.reach == 5 * (1 + 1 + 3 + 1 + 5 + 1)  # kernel 11
