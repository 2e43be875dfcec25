from pathlib import Path

import numpy as np
import pytest
import soundfile

from cloning.engine.errors import TrainingRefused
from cloning.engine.training.recordings import read_recordings


def sound(path: Path, seconds: float = 1.0, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.linspace(-0.5, 0.5, int(seconds * rate), dtype=np.float32), rate)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(TrainingRefused) as caught:
        read_recordings(path)
    return caught.value.code


def test_a_folder_is_read_in_name_order_with_the_texts_beside(tmp_path: Path) -> None:
    sound(tmp_path / "b.wav")
    sound(tmp_path / "a.FLAC", 2)
    (tmp_path / "a.txt").write_bytes("\ufeff hello \n".encode())
    (tmp_path / "notes.md").write_text("not sound")
    (tmp_path / "folder.wav").mkdir()
    found = read_recordings(tmp_path)
    assert [(r.name, r.transcript, r.rate, len(r.wave)) for r in found] == [
        ("a.FLAC", "hello", 8000, 16000), ("b.wav", None, 8000, 8000),
    ]  # fmt: skip


def test_a_list_names_speaker_language_and_text(tmp_path: Path) -> None:
    sound(tmp_path / "waves" / "one.wav")
    whole = sound(tmp_path / "two.wav")
    lines = ["waves/one.wav|Ann|EN|Yes | no.", "", f"{whole}|Ann|JP|はい。", "two.wav|Bo|yue|係。"]
    (tmp_path / "all.list").write_text("\n".join(lines), "utf-8")
    found = read_recordings(tmp_path / "all.list")
    assert [(r.name, r.speaker, r.language, r.transcript) for r in found] == [
        ("one.wav", "Ann", "en", "Yes | no."), ("two.wav", "Ann", "ja", "はい。"), ("two.wav", "Bo", "yue", "係。"),
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["one.wav|A|EN", "one.wav|A|FR|oui", "none.wav|A|EN|text", "/etc|A|EN|text"])
def test_a_line_that_cannot_be_followed_is_named(line: str, tmp_path: Path) -> None:
    sound(tmp_path / "one.wav")
    (tmp_path / "bad.list").write_text(f"one.wav|A|EN|fine\n{line}\n")
    with pytest.raises(TrainingRefused, match="line 2") as caught:
        read_recordings(tmp_path / "bad.list")
    assert caught.value.code == "bad_list"


def test_what_is_not_sound_or_text_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing") == "no_recordings"
    assert read_recordings(tmp_path) == []
    (tmp_path / "a.wav").write_bytes(b"RIFF but no sound")
    assert refusal(tmp_path) == "bad_audio"
    sound(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    assert refusal(tmp_path) == "bad_transcript"
    (tmp_path / "a.txt").write_bytes(b"x" * 70_000)
    assert refusal(tmp_path) == "bad_transcript"


def test_length_is_looked_at_before_sound_is_read(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "long.flac", "w", 8000, 1) as file:
        for _ in range(31):
            file.write(np.zeros(8000 * 60, np.int16))
    assert (tmp_path / "long.flac").stat().st_size < 2**20
    assert refusal(tmp_path) == "too_much"
