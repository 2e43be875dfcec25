"""S2 against arrays computed by the official code, boundary by boundary (tolerances: the fixtures' README)."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest
import torch

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.checkpoints import load_acoustic

FIXTURES = Path(__file__).resolve().parents[5] / "shared" / "fixtures" / "gpt_sovits"
pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="official fixtures are not on this machine")

BETWEEN = {"atol": 1e-4, "rtol": 1e-5}
WAVE = {"atol": 2e-5, "rtol": 0.0}


@pytest.fixture(scope="module", params=["v2", "v2Pro"])
def case(request: pytest.FixtureRequest) -> tuple[AcousticModel, dict[str, torch.Tensor]]:
    torch.set_num_threads(1)
    version = request.param
    loaded = load_acoustic(lzma.decompress((FIXTURES / f"s2_{version}_small.pth.xz").read_bytes()))
    assert loaded.version == version
    with np.load(FIXTURES / f"s2_{version}_small_infer.npz", allow_pickle=False) as data:
        return loaded.model, {key: torch.from_numpy(data[key]) for key in data.files}


def styles(model: AcousticModel, ref: dict[str, torch.Tensor], count: int = 1) -> torch.Tensor:
    names = ["", "2"][:count]
    speakers = [ref[f"sv{n}"] for n in names] if "sv" in ref else None
    return model.reference_style([ref[f"refer{n}"] for n in names], speakers)


@torch.inference_mode()
def test_every_boundary_is_the_official_one(case: tuple[AcousticModel, dict[str, torch.Tensor]]) -> None:
    model, ref = case
    assert model.ssl_proj is not None
    torch.testing.assert_close(model.ssl_proj(ref["ssl"]), ref["ssl_proj"], **BETWEEN)
    assert torch.equal(model.encode_content(ref["ssl"])[0], ref["extract_latent_codes"][0, 0])
    real = torch.ones(1, 1, ref["refer"].shape[2])
    torch.testing.assert_close(model.ref_enc(ref["refer"], real), ref["ref_enc"], **BETWEEN)
    style = styles(model, ref)
    if "ge_after_sv_prelu" in ref:
        torch.testing.assert_close(style, ref["ge_after_sv_prelu"], **BETWEEN)
        torch.testing.assert_close(model.prior_style(style), ref["ge512"], **BETWEEN)
    codes, phones = ref["codes_in"][0], ref["text"]
    torch.testing.assert_close(model.quantizer.decode(codes), ref["quantizer_decode"], **BETWEEN)
    frames = model.code_frames(codes)
    mask, text_mask = torch.ones(1, 1, frames.shape[2]), torch.ones(1, 1, phones.shape[1])
    p = model.enc_p
    hidden = p.encoder_ssl(p.ssl_proj(frames), mask)
    torch.testing.assert_close(hidden, ref["encoder_ssl"], **BETWEEN)
    text = p.encoder_text(p.text_embedding(phones).transpose(1, 2), text_mask)
    torch.testing.assert_close(text, ref["encoder_text"], **BETWEEN)
    torch.testing.assert_close(p.mrte(hidden, mask, text, text_mask, model.prior_style(style)), ref["mrte"], **BETWEEN)
    lengths = torch.tensor([frames.shape[2]]), torch.tensor([phones.shape[1]])
    x, mean, deviation, _ = p(frames, lengths[0], phones, lengths[1], model.prior_style(style))
    torch.testing.assert_close(x, ref["enc_p_x"], **BETWEEN)
    torch.testing.assert_close(mean, ref["m_p"], **BETWEEN)
    torch.testing.assert_close(deviation, ref["logs_p"], **BETWEEN)
    z = model.flow(mean, mask, style, reverse=True)
    torch.testing.assert_close(z, ref["flow_reverse"], **BETWEEN)
    torch.testing.assert_close(model.flow(ref["flow_forward_in"], mask, style), ref["flow_forward"], **BETWEEN)
    torch.testing.assert_close(model.dec(z, style), ref["dec_wave"], **WAVE)


@torch.inference_mode()
def test_whole_decode_is_the_official_wave(case: tuple[AcousticModel, dict[str, torch.Tensor]]) -> None:
    model, ref = case
    codes, phones, style = ref["codes_in"][0], ref["text"], styles(model, ref)
    for name, speed in (("", 1.0), ("_speed0.8", 0.8), ("_speed1.3", 1.3)):
        wave = model.decode(codes, phones, style, noise_scale=0.0, speed=speed)
        torch.testing.assert_close(wave, ref[f"decode_ns0{name}"], **WAVE)
    two = model.decode(codes, phones, styles(model, ref, 2), noise_scale=0.0)
    torch.testing.assert_close(two, ref["decode_ns0_tworefs"], **WAVE)
    noisy = model.decode(codes, phones, style, noise_scale=0.5, noise=ref["noise"])
    torch.testing.assert_close(noisy, ref["decode_ns05_noise"], **WAVE)
