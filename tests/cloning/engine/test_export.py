"""Official files written here: they load again with the same values, and the official class name is all they need."""

from __future__ import annotations

import dataclasses
import io
import sys
import types
from typing import Any

import pytest
import torch

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.checkpoints import load_acoustic, load_semantic
from cloning.engine.config import EngineConfig, official, tiny
from cloning.engine.errors import CheckpointError
from cloning.engine.export import export_acoustic, export_semantic
from cloning.engine.semantic.model import Text2Semantic
from tests.cloning.engine.official import needs_fixtures, unpacked


@needs_fixtures
@pytest.mark.parametrize(("version", "header"), [("v1", b"PK"), ("v2", b"PK"), ("v2Pro", b"05"), ("v2ProPlus", b"06")])
def test_an_acoustic_file_goes_out_as_it_came_in(version: str, header: bytes) -> None:
    first = load_acoustic(unpacked(f"s2_{version}_small.pth.xz"))
    config = dataclasses.replace(official(version), acoustic=first.config, audio=first.audio)
    data = export_acoustic(config, first.model.state_dict(), info=first.info)
    again = load_acoustic(data)
    assert data[:2] == header
    assert (again.version, again.config, again.audio, again.info) == (version, first.config, first.audio, first.info)
    assert all(torch.equal(value, again.model.state_dict()[name]) for name, value in first.model.state_dict().items())


@needs_fixtures
def test_a_semantic_file_goes_out_as_it_came_in() -> None:
    first = load_semantic(unpacked("s1_small.ckpt.xz"))
    config = dataclasses.replace(official("v2"), semantic=first.config)
    again = load_semantic(export_semantic(config, first.model.state_dict(), info=first.info))
    assert (again.config, again.info) == (first.config, first.info)
    assert all(torch.equal(value, again.model.state_dict()[name]) for name, value in first.model.state_dict().items())


def small() -> EngineConfig:
    base = official("v2")
    return dataclasses.replace(
        base,
        semantic=dataclasses.replace(base.semantic, width=8, heads=2, layers=1),
        acoustic=dataclasses.replace(base.acoustic, hidden=8, filter=8, latent=4, upsample_initial=32, text_layers=2,
                                     code_layers=1, joint_layers=1, posterior_hidden=8, flow_hidden=8),
    )  # fmt: skip


def test_the_settings_become_the_official_object(monkeypatch: pytest.MonkeyPatch) -> None:
    config = small()
    weights = AcousticModel(config.acoustic, config.audio).state_dict()
    data = export_acoustic(config, weights, info="e1_s1")
    module = types.ModuleType("utils")

    class HParams:
        pass

    module.HParams = HParams  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "utils", module)
    with torch.serialization.safe_globals([(HParams, "utils.HParams")]):
        content: dict[str, Any] = torch.load(io.BytesIO(data), weights_only=True)
    settings = content["config"]
    assert (type(settings), type(settings.model)) == (HParams, HParams)
    assert (settings.model.version, settings.data.sampling_rate, settings.data.mel_fmax) == ("v2", 32000, None)
    assert not any("enc_q" in name for name in content["weight"])
    assert all(value.dtype == torch.float16 for value in content["weight"].values())


def test_what_the_official_code_could_not_build_is_refused() -> None:
    config = tiny()
    with pytest.raises(CheckpointError, match="not_official"):
        export_semantic(config, Text2Semantic(config.semantic).state_dict())
    with pytest.raises(CheckpointError, match="not_official"):
        export_acoustic(config, {})


def test_weights_that_do_not_fit_are_refused() -> None:
    config = small()
    weights = Text2Semantic(config.semantic).state_dict()
    with pytest.raises(CheckpointError, match=r"wrong_weights: bert_proj\.bias is missing"):
        export_semantic(config, {name: value for name, value in weights.items() if name != "bert_proj.bias"})
    weights["bert_proj.bias"] = torch.full((8,), 1e6)
    with pytest.raises(CheckpointError, match="not_finite"):
        export_semantic(config, weights)
