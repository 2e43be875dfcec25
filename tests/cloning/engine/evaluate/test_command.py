"""The command, end to end with the shipped base: a voice in, a report and a page out; refusals by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from cloning.engine.evaluate import __main__ as command
from cloning.engine.evaluate import goals, session
from cloning.engine.evaluate.speak import Plan
from tests.cloning.engine.evaluate.conftest import SPEAKERS


def run(source: Path, out: Path, *options: str) -> int:
    return command.main([*options, "--source", str(source), "--out", str(out)])


def test_a_zero_shot_voice_is_measured_beside_its_source(source_folder: Path, tmp_path: Path) -> None:
    out, audio = tmp_path / "report", tmp_path / "audio"
    options = ("awb=zero-shot", "--limit", "1", "--held-out", "awb", "--players", "1", "--audio", str(audio))
    assert run(source_folder, out, *options) == 0
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["schema"] == command.SCHEMA
    (voice,) = report["voices"]
    assert (voice["name"], voice["held_out"], voice["zero_shot"]) == ("awb-zero-shot", True, True)
    assert set(voice["words"]["sets"]) == {"matrix", "open", "hard"}
    # The source is a clear synthesiser: it is understood where the voice may not be.
    matrix = voice["words"]["sets"]["matrix"]
    assert matrix["forced_choice_error"]["source"]["value"] == 0.0
    assert 0.0 <= matrix["forced_choice_error"]["voice"]["value"] <= 1.0
    assert voice["identity"]["speakers"] == list(SPEAKERS)
    assert voice["identity"]["source"]["own"]["value"] > voice["identity"]["source"]["impostor"]["value"]
    assert voice["speed"]["real_time_factor"] > 0
    assert {row["id"] for row in voice["sentences"]} == {"matrix-01", "open-01", "hard-01"}
    assert len(voice["goals"]) == len(goals.GOALS)
    for row in voice["sentences"]:
        assert "voice" in row
        wave, rate = soundfile.read(audio / "awb-zero-shot" / f"{row['id']}.wav")
        assert rate == 16000
        assert len(wave) > 0.3 * rate
    html = (out / "index.html").read_text("utf-8")
    assert html.count("<audio") == 6
    assert html.count("AI-generated speech") == 3 * 2


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("nobody.voice",), "no_speaker"),
        (("awb=nowhere.voice",), "voice_failed"),
        (("awb=zero-shot", "awb=zero-shot"), "bad_request"),
        (("../x=zero-shot",), "bad_request"),
        (("awb=zero-shot", "--sets", "secret"), "bad_request"),
        (("awb=zero-shot", "--limit", "0"), "bad_request"),
        (("awb=zero-shot", "--seed", "-1"), "bad_request"),
        (("awb=zero-shot", "--steps", "0"), "bad_request"),
        (("awb=zero-shot", "--base", "/nowhere"), "missing_base"),
    ],
)
def test_refusals_are_named_and_leave_nothing(
    source_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], code: str
) -> None:
    assert run(source_folder, tmp_path / "report", "--limit", "1", *options) == 1
    assert code in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_a_missing_source_and_a_missing_reference_are_named(
    source_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "none", tmp_path / "report", "awb=zero-shot") == 1
    assert "no_source" in capsys.readouterr().err
    (tmp_path / "source" / "anna").mkdir(parents=True)
    assert run(tmp_path / "source", tmp_path / "report", "anna=zero-shot") == 1
    assert "no_reference" in capsys.readouterr().err


def test_a_plan_survives_its_way_to_the_other_process() -> None:
    plan = Plan("v", "zh", (("mandarin-01", "你好。", 3),), ("你好。",), 1, 1.0, 15, "cut5")
    assert Plan.from_json(plan.to_json()) == plan


def test_goals_compare_in_the_right_direction() -> None:
    def voice(margin: float, factor: float) -> dict[str, object]:
        return {"identity": {"voice": {"margin": {"value": margin}}}, "speed": {"real_time_factor": factor}}

    def reached(row: dict[str, object]) -> list[bool]:
        return [one["reached"] for one in goals.judged(row) if one["reached"] is not None]

    assert reached(voice(0.25, 0.3)) == [True, True]
    assert reached(voice(0.15, 0.6)) == [False, False]
    assert reached({}) == []


def test_sounds_of_the_page_can_be_played_back(tmp_path: Path) -> None:
    import numpy as np

    wave = (0.3 * np.sin(np.arange(16000) * 0.2)).astype(np.float32)
    (tmp_path / "x.mp3").write_bytes(session._mp3(wave))
    back, rate = soundfile.read(tmp_path / "x.mp3")
    assert rate == 16000
    assert abs(len(back) - 16000) < 3000
    assert 0.1 < np.abs(back).max() < 0.5
