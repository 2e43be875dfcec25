"""The command: a voice's folder or file in, a WAV out; refusals on stderr."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from cloning.engine import say
from cloning.engine.config import tiny
from cloning.engine.voicefile import pack
from tests.cloning.engine.official import needs_fixtures
from tests.cloning.engine.test_synthesis import loud_voice
from tests.cloning.engine.tts.conftest import folder, make_folder, models, recording

__all__ = ["folder", "make_folder", "models"]


def said(out: Path, *options: object) -> int:
    return say.main(["--text", "Hello there, my friend.", "--out", str(out), "--seed", "7", *map(str, options)])


@needs_fixtures
def test_an_official_folder_speaks(
    folder: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.wav"
    assert said(out, "--voice", folder, "--models", models) == 0
    first, rate = soundfile.read(out)
    assert rate == 32000
    assert np.abs(first).max() > 0.1
    assert "seed 7" in capsys.readouterr().out
    (tmp_path / "ref.wav").write_bytes(recording(seed=4))
    reference = ("--reference", tmp_path / "ref.wav", "--prompt-text", "This is what it says.", "--compat")
    assert said(out, "--voice", folder, "--models", models, *reference) == 0
    assert not np.array_equal(soundfile.read(out)[0], first)


@needs_fixtures
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), "no_listener"),
        (("--models", "MODELS", "--speed", "9"), "bad_request"),
        (("--models", "MODELS", "--language", "de"), "bad_request"),
        (("--models", "MODELS", "--reference", "/nowhere.wav"), "missing_file"),
        (("--models", "MODELS", "--device", "cuda"), "bad_request"),
    ],
)
def test_refusals_are_named(
    folder: Path,
    models: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    code: str,
) -> None:
    named = [str(models) if option == "MODELS" else option for option in options]
    assert said(tmp_path / "x.wav", "--voice", folder, *named) == 1
    assert code in capsys.readouterr().err
    assert not (tmp_path / "x.wav").exists()


def test_a_folder_with_a_voice_file_speaks_like_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "voice"
    place.mkdir()
    (place / "anna.voice").write_bytes(pack(loud_voice(tiny())))
    one, two = tmp_path / "one.wav", tmp_path / "two.wav"
    assert said(one, "--voice", place) == 0
    assert said(two, "--voice", place / "anna.voice") == 0
    assert one.read_bytes() == two.read_bytes()
    assert said(one, "--voice", place, "--compat") == 1
    assert said(one, "--voice", tmp_path / "none") == 1
    assert "no_voice" in capsys.readouterr().err
    assert said(tmp_path / "no folder" / "x.wav", "--voice", place) == 1
