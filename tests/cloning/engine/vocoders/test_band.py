"""Band extension out of a model folder: what the published class computes, found and refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cloning.engine.errors import EngineError
from cloning.engine.parity.recipe import recipe_state
from cloning.engine.vocoders.band import PLACE, WEIGHTS, BandConfig, BandModel, Block, load_extension
from cloning.engine.vocoders.mounted import Vocoders
from cloning.engine.weights import outline

SETTINGS = {
    "ConvNeXt_channels": 24, "ConvNeXt_layers": 2, "n_fft": 1024, "hop_size": 80, "win_size": 320,
    "hr_sampling_rate": 48_000, "lr_sampling_rate": 24_000,
}  # fmt: skip
CONFIG = BandConfig(channels=24, layers=2, n_fft=1024, hop=80, win=320)


def write(root: Path, state: dict[str, torch.Tensor] | None = None, **changed: object) -> Path:
    place = root / PLACE
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text(json.dumps({**SETTINGS, **changed}))
    whole = recipe_state(outline(lambda: BandModel(CONFIG)), 3) if state is None else state
    torch.save({"generator": whole}, place / WEIGHTS)
    return root


def refusal(work: object, *given: object) -> str:
    with pytest.raises(EngineError) as caught:
        work(*given)  # type: ignore[operator]
    return caught.value.code


def wave(count: int = 4_000) -> torch.Tensor:
    return 0.1 * torch.randn(2, count, generator=torch.Generator().manual_seed(1))


def test_names_and_sizes_are_the_published_ones() -> None:
    shapes = outline(lambda: BandModel(BandConfig(channels=512, layers=8, n_fft=1024, hop=80, win=320)))
    assert shapes["conv_pre_mag.weight"] == (512, 513, 7)
    assert shapes["convnext_pha.7.dwconv.weight"] == (512, 1, 7)
    assert shapes["convnext_mag.0.pwconv1.weight"] == (1536, 512)
    assert shapes["convnext_mag.0.gamma"] == (512,)
    assert shapes["linear_post_pha_i.weight"] == (513, 512)
    assert len(shapes) == 4 * 2 + 2 * 8 * 9 + 2 * 2 + 3 * 2
    assert float(Block(4, 8).gamma.detach()[0]) == 1 / 8


@torch.inference_mode()
def test_the_model_is_its_formulas() -> None:
    """Written out with numpy in double precision."""
    model = BandModel(CONFIG).eval()
    state = recipe_state({name: tuple(value.shape) for name, value in model.state_dict().items()}, 3)
    model.load_state_dict(state)
    w = {name: value.double().numpy() for name, value in state.items()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
        return np.asarray(scaled * w[f"{name}.weight"] + w[f"{name}.bias"])

    def first(x: np.ndarray, name: str) -> np.ndarray:  # x T x bins
        padded = np.pad(x, ((3, 3), (0, 0)))
        taps = [padded[k : k + len(x)] @ w[f"{name}.weight"][:, :, k].T for k in range(7)]
        return np.asarray(sum(taps) + w[f"{name}.bias"])

    def block(x: np.ndarray, name: str) -> np.ndarray:
        padded = np.pad(x, ((3, 3), (0, 0)))
        deep = sum(padded[k : k + len(x)] * w[f"{name}.dwconv.weight"][:, 0, k] for k in range(7))
        inner = norm(deep + w[f"{name}.dwconv.bias"], f"{name}.norm")
        inner = inner @ w[f"{name}.pwconv1.weight"].T + w[f"{name}.pwconv1.bias"]
        inner = inner * 0.5 * (1 + torch.erf(torch.from_numpy(inner) / 2**0.5).numpy())
        return np.asarray(x + (inner @ w[f"{name}.pwconv2.weight"].T + w[f"{name}.pwconv2.bias"]) * w[f"{name}.gamma"])

    generator = torch.Generator().manual_seed(2)
    loud, turn = (torch.randn(1, 513, 9, generator=generator) for _ in range(2))
    a = norm(first(loud[0].T.double().numpy(), "conv_pre_mag"), "norm_pre_mag")
    b = norm(first(turn[0].T.double().numpy(), "conv_pre_pha"), "norm_pre_pha")
    for layer in range(2):
        a = a + b
        b = b + a
        a, b = block(a, f"convnext_mag.{layer}"), block(b, f"convnext_pha.{layer}")
    wide = norm(a, "norm_post_mag") @ w["linear_post_mag.weight"].T + w["linear_post_mag.bias"]
    last = norm(b, "norm_post_pha")
    real, imaginary = (last @ w[f"linear_post_pha_{x}.weight"].T + w[f"linear_post_pha_{x}.bias"] for x in "ri")
    got, phase = model(loud, turn)
    np.testing.assert_allclose(got[0].T.numpy(), loud[0].T.numpy() + wide, atol=1e-4)
    np.testing.assert_allclose(torch.exp(1j * phase[0].T).numpy(), np.exp(1j * np.arctan2(imaginary, real)), atol=1e-3)


def test_twice_as_many_samples_come_back(tmp_path: Path) -> None:
    vocoders = Vocoders(write(tmp_path))
    assert vocoders.has_extension()
    extension = vocoders.extension()
    assert vocoders.extension() is extension
    for count in (513, 4_000, 4_001):
        wide = extension.extend(wave(count))
        assert wide.shape == (2, 2 * count)
        assert bool(torch.isfinite(wide).all())
        assert float(wide.abs().max()) > 0


def test_where_none_is_mounted_it_is_named(tmp_path: Path) -> None:
    assert not Vocoders(tmp_path).has_extension()
    with pytest.raises(EngineError, match=PLACE) as caught:
        Vocoders(tmp_path).extension()
    assert caught.value.code == "not_mounted"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"lr_sampling_rate": 16_000}, "bad_config"),
        ({"hop_size": 320}, "bad_config"),
        ({"n_fft": 10**6}, "bad_config"),
        ({"ConvNeXt_layers": 0}, "bad_config"),
        ({"ConvNeXt_channels": 32}, "wrong_weights"),
    ],
)
def test_settings_of_another_model_are_refused(tmp_path: Path, changed: dict[str, object], code: str) -> None:
    assert refusal(load_extension, write(tmp_path, **changed)) == code


def test_bad_weights_and_waves_are_refused(tmp_path: Path) -> None:
    extension = load_extension(write(tmp_path))
    for bad in (torch.zeros(4_000), torch.zeros(1, 500), torch.full((1, 4_000), torch.nan)):
        assert refusal(extension.extend, bad) == "bad_wave"
    state = recipe_state(outline(lambda: BandModel(CONFIG)), 3)
    state["linear_post_mag.bias"][3] = torch.inf
    assert refusal(load_extension, write(tmp_path, state)) == "not_finite"
