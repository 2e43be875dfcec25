"""What the floor costs is counted over trials, of made-up voices: the corpus of people is not in the repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consent.biometrics import speaker
from consent.biometrics.calibrate import floor
from consent.biometrics.calibrate.corpus import Voice


def spoken(name: str, middle: np.ndarray, rng: np.random.Generator) -> floor.Spoken:
    def drawn(count: int, spread: float) -> np.ndarray:
        found = np.abs(middle + spread * rng.standard_normal((count, middle.size)))
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    return floor.Spoken(Voice(name, name, [], family=name), drawn(2, 0.01), {"clean": [drawn(9, 0.02)]})


def test_each_answer_meets_each_upload_of_oneself_and_of_strangers() -> None:
    rng = np.random.default_rng(1)
    people = [spoken(name, np.abs(rng.standard_normal(256)), rng) for name in "abc"]
    found = floor.trials(people, "clean", 5)
    # One cut of five windows in nine; two answers; three voices.
    assert found.shape == (1 * 2 * 3 * 3, 3)
    own = found[found[:, 0] == 1]
    assert len(own) == 6
    assert (own[:, 2] > 0.9).all()
    assert own[:, 2].min() > found[found[:, 0] == 0][:, 2].max()


def test_one_person_twice_is_no_stranger() -> None:
    rng = np.random.default_rng(2)
    first, second = (spoken(name, np.abs(rng.standard_normal(256)), rng) for name in "ab")
    second = replace(second, voice=replace(second.voice, family=first.voice.family))
    assert (floor.trials([first, second], "clean", 5)[:, 0] == 1).all()


def test_the_line_tells_what_the_floor_alone_holds_up() -> None:
    least = speaker.floor(floor.seconds(5))
    rows = [(1, 0.1, least + 0.01), (1, 0.1, least - 0.01), (1, -0.1, 1.0), (0, 0.1, least - 0.01), (0, -0.1, 0.0)]
    assert floor.line("clean", 5, np.array(rows)) == "| clean | 9 | 3: 66.67 / 33.33 | 2: 50.00 / 0.00 |"


def test_the_floor_never_falls_with_the_length() -> None:
    steps = [speaker.floor(net) for net in np.geomspace(1, 600, 200)]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (speaker.FLOOR[3.0], speaker.FLOOR[25.0])


def test_speech_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert floor.main(["--speech", str(tmp_path)]) == 1
    assert "apt-get download" in capsys.readouterr().err
