"""The S2 training forward and losses against the official code, on weights filled by the fixtures' recipe."""

from __future__ import annotations

import json
import lzma
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from cloning.engine.acoustic.generator import AcousticModel, slice_segments
from cloning.engine.acoustic.losses import KL_WEIGHT, MEL_WEIGHT, kl_loss
from cloning.engine.checkpoints import load_acoustic
from cloning.engine.features.spectrogram import linear, log_mel
from cloning.engine.weights import fill, outline

FIXTURES = Path(__file__).resolve().parents[5] / "shared" / "fixtures" / "gpt_sovits"
pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="official fixtures are not on this machine")

SEED = 2001


def recipe_value(base: np.ndarray, key: str, shape: tuple[int, ...], norms: np.ndarray | None) -> np.ndarray:
    """The fixtures' recipe for the kinds of key a posterior encoder has."""
    count = int(np.prod(shape))
    v = base[(zlib.crc32(key.encode()) % 4099 + np.arange(count)) % 4099].reshape(shape)
    if key.endswith("bias"):
        out = v * 2.0**-4
    elif key.endswith("weight_g"):
        assert norms is not None
        out = norms.reshape(shape).astype(np.float32) * (1 + v * 2.0**-4).astype(np.float32)
    else:
        out = v * 2.0 ** np.floor(np.log2(1 / np.sqrt(np.prod(shape[1:]))) + 0.5)
    return out.astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> AcousticModel:
    torch.set_num_threads(1)
    small = load_acoustic(lzma.decompress((FIXTURES / "s2_v2_small.pth.xz").read_bytes()))
    names = outline(lambda: AcousticModel(small.config, small.audio))
    state = dict(small.model.state_dict())
    base = np.clip(np.round(np.random.RandomState(SEED).standard_normal(4099) * 8), -24, 24) / 8
    for key, shape in names.items():
        if key not in state and not key.endswith("weight_g"):
            state[key] = torch.from_numpy(recipe_value(base, key, shape, None))
    for key, shape in names.items():
        if key not in state:
            v = state[key.replace("weight_g", "weight_v")].double().flatten(1)
            state[key] = torch.from_numpy(recipe_value(base, key, shape, v.norm(dim=1).numpy()))
    return fill(lambda: AcousticModel(small.config, small.audio), state)


@torch.inference_mode()
def test_training_forward_and_losses_are_the_official_ones(model: AcousticModel) -> None:
    with np.load(FIXTURES / "s2_v2_small_train.npz", allow_pickle=False) as data:
        ref = {key: torch.from_numpy(data[key]) for key in data.files}
    lengths = ref["spec_lengths"]
    ssl = torch.from_numpy(np.random.RandomState(SEED + 20).standard_normal((2, 768, 54)).astype(np.float32))
    spec = torch.zeros(2, 1025, 54)
    for row, length in enumerate(lengths.tolist()):
        drawn = np.abs(np.random.RandomState(SEED + 21 + row).standard_normal((1025, length)))
        spec[row, :, :length] = torch.from_numpy(drawn.astype(np.float32))
    out = model(
        model.encode_content(ssl),
        spec,
        lengths,
        ref["text"],
        ref["text_lengths"],
        noise=ref["posterior_noise"],
        starts=ref["ids_slice"],
    )
    for name, got in (
        ("m_p", out.prior_mean),
        ("logs_p", out.prior_log),
        ("m_q", out.posterior_mean),
        ("logs_q", out.posterior_log),
        ("y_hat", out.wave),
    ):
        torch.testing.assert_close(got, ref[name], atol=1e-4, rtol=0, msg=lambda m, name=name: f"{name}: {m}")
    for name, got in (("z", out.z), ("z_p", out.z_prior)):
        torch.testing.assert_close(got, ref[name], atol=float(1e-5 * ref[name].abs().max()), rtol=0)
    official = json.loads((FIXTURES / "s2_v2_small_train.json").read_text())["losses"]
    assert float(kl_loss(out)) * KL_WEIGHT == pytest.approx(official["kl"], rel=1e-4)
    # The official target is the mel of the whole utterance's spectrogram, cut like the latent.
    theirs = slice_segments(log_mel(spec, model.audio), out.starts, model.config.segment_frames)
    ours = log_mel(linear(out.wave[:, 0], model.audio), model.audio)
    assert float((ours - theirs).abs().mean()) * MEL_WEIGHT == pytest.approx(official["mel"], rel=1e-4)
