import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cloning.engine.errors import CheckpointError
from cloning.engine.features.hubert import Hubert, HubertConfig, load_hubert
from cloning.engine.weights import outline
from tests.cloning.engine.features import mounts
from tests.cloning.engine.features.mounts import HUBERT_SETTINGS, write_hubert, write_settings


@pytest.fixture(scope="module")
def wave() -> torch.Tensor:
    return mounts.wave()[:1]


def test_equals_transformers(tmp_path: Path) -> None:
    write_hubert(tmp_path)
    with np.load(mounts.ORACLE, allow_pickle=False) as oracle:
        expected = torch.from_numpy(oracle["hubert"])
    assert torch.allclose(load_hubert(tmp_path)(mounts.wave()), expected, atol=2e-5)


def test_first_norm_removes_the_scale_of_training_recordings(tmp_path: Path, wave: torch.Tensor) -> None:
    write_hubert(tmp_path)
    model = load_hubert(tmp_path)
    assert torch.allclose(model(wave), model(wave * 1145.14), atol=1e-2)


@pytest.mark.parametrize("spelling", ["weight_g", "folded"])
def test_other_spellings_of_the_positional_weight_norm(tmp_path: Path, wave: torch.Tensor, spelling: str) -> None:
    state = write_hubert(tmp_path)
    expected = load_hubert(tmp_path)(wave)
    place = "encoder.pos_conv_embed.conv."
    g = state.pop(place + "parametrizations.weight.original0")
    v = state.pop(place + "parametrizations.weight.original1")
    if spelling == "folded":
        state[place + "weight"] = v * g / v.norm(dim=(0, 1), keepdim=True)
    else:
        state |= {place + "weight_g": g, place + "weight_v": v}
    torch.save({f"hubert.{name}": value.half() for name, value in state.items()}, tmp_path / "pytorch_model.bin")
    assert torch.allclose(load_hubert(tmp_path)(wave), expected, atol=2e-2)


def test_bfloat16_stays_close(tmp_path: Path, wave: torch.Tensor) -> None:
    write_hubert(tmp_path)
    full, narrow = load_hubert(tmp_path)(wave), load_hubert(tmp_path, dtype=torch.bfloat16)(wave)
    assert narrow.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(full, narrow, dim=2).min() > 0.99


def test_safetensors_are_preferred(tmp_path: Path, wave: torch.Tensor) -> None:
    state = write_hubert(tmp_path)
    expected = load_hubert(tmp_path)(wave)
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "pytorch_model.bin").write_bytes(b"not read")
    assert torch.equal(load_hubert(tmp_path)(wave), expected)


def test_the_base_form_has_the_documented_size_and_frames() -> None:
    shapes = outline(lambda: Hubert(HubertConfig()))
    # The mask vector (768) is not built; the folded convolution saves its 128 gains.
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == 94_371_712 - 768 - 128
    assert [HubertConfig().frames(n) for n in (399, 400, 719, 720, 89_600)] == [0, 1, 1, 2, 279]


def test_a_wave_too_short_for_one_frame_is_refused(tmp_path: Path) -> None:
    write_hubert(tmp_path)
    with pytest.raises(ValueError, match="one frame"):
        load_hubert(tmp_path)(torch.zeros(1, 399))


class Planted:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open, ("/nonexistent/planted",))


def spoiled(folder: Path, kind: str) -> None:
    state = write_hubert(folder)
    path = folder / "pytorch_model.bin"
    match kind:
        case "missing key":
            del state["encoder.layers.1.attention.k_proj.bias"]
        case "another key":
            state["encoder.layers.2.attention.k_proj.bias"] = torch.zeros(48)
        case "another shape":
            state["encoder.layer_norm.weight"] = torch.zeros(47)
        case "another gain":
            state["encoder.pos_conv_embed.conv.parametrizations.weight.original0"] = torch.ones(3)
        case "not a number":
            state["encoder.layer_norm.weight"][0] = torch.nan
        case "planted":
            state["encoder.layer_norm.weight"] = Planted()
        case "not a tensor":
            state["encoder.layer_norm.weight"] = 3
    torch.save(state, path)
    match kind:
        case "cut off":
            path.write_bytes(path.read_bytes()[:-1000])
        case "compressed":
            with zipfile.ZipFile(path) as old:
                content = {name: old.read(name) for name in old.namelist()}
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
                for name, data in content.items():
                    new.writestr(name, data)
        case "too large":
            with path.open("r+b") as file:
                file.truncate(3 * 2**30 + 1)
        case "broken safetensors":
            (folder / "model.safetensors").write_bytes(b"\xff" * 100)
        case "no weights":
            path.unlink()
        case "no settings":
            (folder / "config.json").unlink()
        case "other model":
            write_settings(folder, HUBERT_SETTINGS, model_type="wav2vec2")
        case "other norm":
            write_settings(folder, HUBERT_SETTINGS, do_stable_layer_norm=True)
        case "absurd size":
            write_settings(folder, HUBERT_SETTINGS, hidden_size=2**40)
        case "unequal rows":
            write_settings(folder, HUBERT_SETTINGS, conv_kernel=[10, 3])
        case "indivisible":
            write_settings(folder, HUBERT_SETTINGS, num_attention_heads=5)
        case "not JSON":
            (folder / "config.json").write_text("[" * 100_000)
        case "a list":
            (folder / "config.json").write_text("[]")
        case "not text":
            (folder / "config.json").write_bytes(b"\xff\xfe")
        case "huge settings":
            (folder / "config.json").write_text(json.dumps({"a": "b" * 2**21}))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("missing key", "wrong_weights"),
        ("another key", "wrong_weights"),
        ("another shape", "wrong_weights"),
        ("another gain", "wrong_weights"),
        ("not a number", "not_finite"),
        ("planted", "forbidden_content"),
        ("not a tensor", "forbidden_content"),
        ("cut off", "not_readable"),
        ("compressed", "not_readable"),
        ("too large", "too_large"),
        ("broken safetensors", "not_readable"),
        ("no weights", "missing_file"),
        ("no settings", "missing_file"),
        ("other model", "unsupported_model"),
        ("other norm", "unsupported_model"),
        ("absurd size", "bad_config"),
        ("unequal rows", "bad_config"),
        ("indivisible", "bad_config"),
        ("not JSON", "bad_config"),
        ("a list", "bad_config"),
        ("not text", "not_readable"),
        ("huge settings", "too_large"),
    ],
)
def test_a_spoiled_folder_is_refused_by_name(tmp_path: Path, kind: str, code: str) -> None:
    spoiled(tmp_path, kind)
    with pytest.raises(CheckpointError) as refusal:
        load_hubert(tmp_path)
    assert refusal.value.code == code
