"""Official weight files: the real format loads, everything else is refused by name, and nothing in a file ever runs."""

from __future__ import annotations

import io
import lzma
import pickle
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cloning.engine import checkpoints
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.checkpoints import load_acoustic, load_semantic, read_bounded
from cloning.engine.config import AcousticConfig, official
from cloning.engine.errors import CheckpointError
from cloning.engine.semantic.model import Text2Semantic

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "gpt_sovits"
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="official fixtures are not on this machine")

#: A number that no float can hold, and the longest kind that the weights-only reader lets through.
HUGE = 1 << 1900

S1_MODEL = {
    "vocab_size": 17,
    "phoneme_vocab_size": 732,
    "embedding_dim": 8,
    "hidden_dim": 8,
    "head": 2,
    "linear_units": 2048,
    "n_layer": 1,
    "dropout": 0,
    "EOS": 16,
    "random_bert": 0,
}
S2_MODEL = {
    "inter_channels": 4,
    "hidden_channels": 8,
    "filter_channels": 8,
    "n_heads": 2,
    "n_layers": 2,
    "kernel_size": 3,
    "p_dropout": 0.1,
    "resblock": "1",
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    "upsample_rates": [10, 8, 2, 2, 2],
    "upsample_initial_channel": 32,
    "upsample_kernel_sizes": [16, 16, 8, 2, 2],
    "n_layers_q": 3,
    "gin_channels": 512,
    "semantic_frame_rate": "25hz",
    "freeze_quantizer": True,
    "version": "v2",
}
S2_DATA = {"sampling_rate": 32000, "filter_length": 2048, "hop_length": 640, "win_length": 2048, "n_mel_channels": 128}


def saved(content: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def s1_content() -> dict[str, Any]:
    import dataclasses

    config = dataclasses.replace(official("v2").semantic, codes=16, width=8, heads=2, layers=1)
    weight = {f"model.{name}": value.half() for name, value in Text2Semantic(config).state_dict().items()}
    return {"weight": weight, "config": {"model": dict(S1_MODEL), "train": {}}, "info": "GPT-e2"}


def s2_weights(posterior: bool) -> dict[str, Tensor]:
    import dataclasses

    base = official("v2")
    config: AcousticConfig = dataclasses.replace(
        base.acoustic,
        latent=4,
        hidden=8,
        posterior_hidden=8,
        flow_hidden=8,
        filter=8,
        text_layers=2,
        code_layers=1,
        joint_layers=1,
        upsample_initial=32,
    )
    model = AcousticModel(config, base.audio, posterior=posterior)
    return {name: value.half() for name, value in model.state_dict().items()}


@pytest.fixture
def hparams(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes objects that pickle as the official `utils.HParams`."""
    module = types.ModuleType("utils")

    class HParams:
        def __init__(self, **values: Any) -> None:
            self.__dict__.update(values)

    HParams.__module__, HParams.__qualname__ = "utils", "HParams"
    module.HParams = HParams  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "utils", module)
    return HParams


def refusal(load: Callable[[bytes], object], data: bytes) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        load(data)
    return caught.value


def test_an_s1_file_loads_with_its_values() -> None:
    content = s1_content()
    loaded = load_semantic(saved(content))
    assert (loaded.info, loaded.config.layers, loaded.config.eos) == ("GPT-e2", 1, 16)
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, content["weight"][f"model.{name}"].float())


@pytest.mark.parametrize("posterior", [False, True])
def test_an_s2_file_with_the_official_settings_object_loads(hparams: Callable[..., Any], posterior: bool) -> None:
    config = hparams(model=hparams(**S2_MODEL), data=hparams(**S2_DATA), name="x")
    data = saved({"weight": s2_weights(posterior), "config": config, "info": "2epoch"})
    loaded = load_acoustic(data)
    assert (loaded.version, loaded.audio.sample_rate) == ("v2", 32000)
    assert (loaded.model.enc_q is not None) is posterior
    del sys.modules["utils"]
    assert load_acoustic(b"01" + data[2:]).version == "v2"
    assert "utils" not in sys.modules


@needs_fixtures
@pytest.mark.parametrize("version", ["v1", "v2", "v2Pro", "v2ProPlus"])
def test_files_written_by_the_official_code_load(version: str) -> None:
    data = lzma.decompress((FIXTURES / f"s2_{version}_small.pth.xz").read_bytes())
    loaded = load_acoustic(data)
    assert (loaded.version, loaded.config.latent) == (version, 48)
    assert loaded.model.enc_q is None


@needs_fixtures
def test_an_official_s1_file_loads() -> None:
    loaded = load_semantic(lzma.decompress((FIXTURES / "s1_small.ckpt.xz").read_bytes()))
    assert (loaded.info, loaded.config.width, loaded.config.phonemes) == ("GPT-e2", 96, 732)


class Planted:
    """Pickles as a call of `open(path, "w")`: harmless here, proof of execution if the file appears."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("header", [b"PK", b"05"])
@pytest.mark.parametrize("place", ["config", "weight", "info"])
def test_planted_code_never_runs(tmp_path: Path, header: bytes, place: str) -> None:
    trap = tmp_path / "trap"
    content = s1_content()
    if place == "weight":
        content["weight"]["model.trap"] = Planted(trap)
    else:
        content[place] = Planted(trap)
    data = header + saved(content)[2:]
    for load in (load_semantic, load_acoustic):
        assert refusal(load, data).code == "forbidden_content"
    assert not trap.exists()


def test_a_bare_pickle_is_not_read_at_all(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    assert refusal(load_semantic, pickle.dumps(Planted(trap))).code == "not_official"
    assert not trap.exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda c: c.pop("weight"), "not_official"),
        (lambda c: c["weight"].update({"model.ar_predict_layer.weight": "no"}), "not_official"),
        (lambda c: c["weight"].pop("model.bert_proj.bias"), "wrong_weights"),
        (lambda c: c["weight"].update({"model.extra": torch.zeros(1)}), "wrong_weights"),
        (lambda c: c["weight"].update({"extra": torch.zeros(1)}), "wrong_weights"),
        (lambda c: c["weight"].update({"model.bert_proj.bias": torch.zeros(9)}), "wrong_weights"),
        (lambda c: c["weight"].update({"model.bert_proj.bias": torch.zeros(1).expand(10**12)}), "not_official"),
        (lambda c: c["weight"].update({"model.bert_proj.bias": torch.zeros(8, dtype=torch.int64)}), "wrong_weights"),
        (lambda c: c["weight"].update({"model.bert_proj.bias": torch.full((8,), float("nan"))}), "not_finite"),
        (lambda c: c["config"]["model"].update(n_layer=10**9), "bad_config"),
        (lambda c: c["config"]["model"].update(n_layer=HUGE), "bad_config"),
        (lambda c: c["config"]["model"].update(n_layer=True), "bad_config"),
        (lambda c: c["config"]["model"].update(EOS=3), "bad_config"),
        (lambda c: c["config"].pop("model"), "bad_config"),
        (lambda c: c["config"].update(a=[[[[[[[[[1]]]]]]]]]), "bad_config"),
    ],
)
def test_a_wrong_file_is_refused_by_name(change: Callable[[dict[str, Any]], object], code: str) -> None:
    content = s1_content()
    change(content)
    assert refusal(load_semantic, saved(content)).code == code


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("p_dropout", HUGE, id="huge dropout"),
        ("p_dropout", float("nan")),
        pytest.param("n_layers", HUGE, id="huge layers"),
        ("upsample_rates", [HUGE] * 5),
        ("resblock_dilation_sizes", [[1] * 99] * 3),
        ("resblock", "3"),
    ],
)
def test_an_s2_file_with_impossible_settings_is_refused(name: str, value: object) -> None:
    config = {"model": {**S2_MODEL, name: value}, "data": S2_DATA}
    data = saved({"weight": {"x": torch.zeros(1)}, "config": config})
    assert refusal(load_acoustic, data).code == "bad_config"


def test_another_frame_rate_is_an_unsupported_version() -> None:
    config = {"model": {**S2_MODEL, "semantic_frame_rate": "50hz"}, "data": S2_DATA}
    data = saved({"weight": {"x": torch.zeros(1)}, "config": config})
    assert refusal(load_acoustic, data).code == "unsupported_version"


def test_the_first_difference_is_named() -> None:
    content = s1_content()
    content["weight"]["model.h.layers.0.linear1.weight"] = torch.zeros(3, 3)
    assert (
        "h.layers.0.linear1.weight has shape (3, 3), expected (32, 8)" in refusal(load_semantic, saved(content)).message
    )


@pytest.mark.parametrize("header", [b"02", b"03", b"04"])
def test_versions_not_built_here_are_refused_as_such(header: bytes) -> None:
    assert refusal(load_acoustic, header + saved(s1_content())[2:]).code == "unsupported_version"


def test_an_oversized_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "MOST_SEMANTIC_BYTES", 100)
    assert refusal(load_semantic, saved(s1_content())).code == "too_large"
    path = tmp_path / "big"
    path.write_bytes(b"x" * 101)
    with pytest.raises(CheckpointError, match="too_large"):
        read_bounded(path, 100)
    assert len(read_bounded(path, 101)) == 101


def test_a_compressed_zip_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"0" * 10**6)
    assert refusal(load_semantic, file.getvalue()).code == "not_official"


def test_no_cut_or_damaged_file_gets_through() -> None:
    data = saved(s1_content())
    for cut in (0, 1, 2, 50, len(data) // 2, len(data) - 1):
        assert refusal(load_semantic, data[:cut]).code == "not_official"
    assert refusal(load_semantic, data[: len(data) // 2] + b"\0" * 64 + data[len(data) // 2 :]).code
