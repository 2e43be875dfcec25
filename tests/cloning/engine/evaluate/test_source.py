"""The source folder: what is a reading of a test text, what tells who the speaker is, and what is no source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cloning.engine.errors import TrainingRefused
from cloning.engine.evaluate import likeness
from cloning.engine.evaluate.hearing import RATE
from cloning.engine.evaluate.source import MOST_SPEAKERS, BadSource, read_source
from demo.flite.speaker import speak


def test_recordings_are_told_apart_by_their_texts(source_folder: Path) -> None:
    speakers = read_source(source_folder)
    assert list(speakers) == ["awb", "slt"]
    awb = speakers["awb"]
    assert sorted(awb.said) == ["hard-01", "matrix-01", "open-01"]
    assert len(awb.others) == 3
    assert awb.reference is not None


@pytest.mark.parametrize("case", ["missing", "empty", "crowd"])
def test_what_is_no_source_is_refused_by_name(tmp_path: Path, case: str) -> None:
    codes = {"missing": "no_source", "empty": "no_speaker", "crowd": "too_much"}
    if case == "crowd":
        for number in range(MOST_SPEAKERS + 1):
            (tmp_path / str(number)).mkdir()
    with pytest.raises(BadSource) as refusal:
        read_source(tmp_path / "none" if case == "missing" else tmp_path)
    assert refusal.value.code == codes[case]


def test_a_file_that_is_no_sound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "one.wav").write_bytes(b"no sound at all")
    with pytest.raises(TrainingRefused, match="bad_audio"):
        read_source(tmp_path)


def test_a_speaker_is_nearest_to_oneself(source_folder: Path) -> None:
    enrolled = likeness.enrol(read_source(source_folder))
    for name, other in (("awb", "slt"), ("slt", "awb")):
        wave = speak("A stranger asked me for the way to the old harbor this morning.", voice=name)[0]
        cosines = enrolled.cosines(wave)
        assert cosines is not None
        assert cosines[name] > cosines[other] + 0.2
        verdicts = enrolled.accepted(np.tile(wave, 3)[: 5 * RATE])
        assert verdicts == {name: True, other: False}


def test_silence_is_nobody(source_folder: Path) -> None:
    enrolled = likeness.enrol(read_source(source_folder))
    assert enrolled.cosines(np.zeros(RATE, np.float32)) is None
    assert not any(enrolled.accepted(np.zeros(5 * RATE, np.float32)).values())


def test_pieces_are_five_seconds_of_what_was_said() -> None:
    waves = [np.full(2 * RATE, value, np.float32) for value in (0.1, 0.2, 0.3)]
    cut = likeness.pieces(waves)
    assert [len(piece) for piece in cut] == [5 * RATE]
    assert {round(float(value), 1) for value in np.unique(cut[0])} == {0.0, 0.1, 0.2, 0.3}
    assert likeness.pieces([]) == likeness.pieces(waves[:1]) == []
