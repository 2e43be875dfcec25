"""v3 and v4 voices through the command: reduced ones with random weights, so their figures mean nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from cloning.engine.evaluate import __main__ as command
from cloning.engine.evaluate.speak import Plan, run
from tests.cloning.engine.training.small_diffusion import write_flow_voice
from tests.cloning.engine.training.small_official import write_models
from tests.cloning.engine.vocoders.made import write_bigvgan, write_v4

RATES = {"v3": 24_000, "v4": 48_000}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders awb-v3 and awb-v4, and the models they need."""
    root = tmp_path_factory.mktemp("flow-voices")
    for version in RATES:
        write_flow_voice(root / f"awb-{version}", version)
    models = write_models(root / "models")
    write_bigvgan(models)
    write_v4(models)
    return root


@pytest.mark.parametrize("version", [pytest.param("v3", marks=pytest.mark.slow), "v4"])
def test_a_flow_voice_says_the_texts_in_the_steps_it_is_given(place: Path, tmp_path: Path, version: str) -> None:
    models = str(place / "models")
    texts = (("a", "Hello.", 1), ("b", "你好。", 1))
    plan = Plan(str(place / f"awb-{version}"), "en", texts, (), 1, 1.0, 15, "cut5", models, steps=1)
    results = run(plan, tmp_path)
    assert results["voice"]["version"] == version
    assert results["voice"]["steps"] == 1
    assert set(results["said"]["b"]) == {"refused", "message"}
    one = soundfile.info(tmp_path / "a.wav")
    assert one.samplerate == RATES[version]
    assert one.duration == pytest.approx(results["said"]["a"]["seconds"], abs=1e-3)


@pytest.mark.slow
def test_both_are_measured_by_the_command(place: Path, source_folder: Path, tmp_path: Path) -> None:
    voices = [f"awb={place / f'awb-{version}'}" for version in RATES]
    options = ["--models", str(place / "models"), "--limit", "1", "--sets", "open", "--players", "1", "--steps", "2"]
    assert command.main([*voices, *options, "--source", str(source_folder), "--out", str(tmp_path / "report")]) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert [(voice["about"]["version"], voice["about"]["steps"]) for voice in report["voices"]] == [
        (version, 2) for version in RATES
    ]
    for voice in report["voices"]:
        assert voice["speed"]["real_time_factor"] > 0
        assert voice["speed"]["first_audio_seconds"] > 0
        assert voice["words"]["sets"]["open"]["word_error"]["voice"]["value"] > 0.5
    html = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert "official folder of version v3" in html
    assert "official folder of version v4" in html
