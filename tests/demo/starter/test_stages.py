import re
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from cloning.engine import starter
from cloning.engine.config import tiny
from cloning.engine.errors import TrainingFailed
from cloning.engine.semantic.choice import Sampling
from cloning.engine.starter import content
from cloning.engine.starter.corpus import Utterance, VirtualSpeaker
from cloning.engine.starter.items import TimedItem
from cloning.engine.starter.practising import PractisingRecipe
from cloning.engine.starter.singing import SingingRecipe
from cloning.engine.text import to_phones
from cloning.engine.text.classes import PHONE_INDEX
from cloning.engine.training.base import ACOUSTIC_FILE, SEMANTIC_FILE
from cloning.engine.training.loop import thaw
from demo.starter import __main__ as command
from demo.starter import shards, stages

#: Hot enough that some readings of a short text are bad.
RECIPE = PractisingRecipe(
    readings=3, sampling=Sampling(top_k=50, top_p=1.0, temperature=1.3, repetition_penalty=1.0), margin=0.0,
    stretch=1.0, steps=2,
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> stages.Place:
    """A folder with the shipped base and two utterances of each language to measure with."""
    (tmp_path / "base").mkdir()
    for file in Path(starter.__file__).parent.glob("*.safetensors"):
        shutil.copyfile(file, tmp_path / "base" / file.name)
    for kind, text, language in (("held_out", "Good day.", "en"), ("zh_held_out", "你好。", "zh")):
        ids = torch.tensor(to_phones(text, language).ids)
        said = torch.arange(20)
        one = TimedItem(torch.zeros(20 * 640), said, ids, True, "slt-1", said, places=said % len(ids))
        shards.write_items(tmp_path / "items" / f"{kind}-0000.st", [one, one])
    return stages.Place(tmp_path, "cpu", bfloat16=False)


def chirps(count: int) -> list[Utterance]:
    """A second of three sounds each."""
    rng = np.random.default_rng(1)
    ends, out = np.arange(1, 11) / 10, []
    for _ in range(count):
        phones = rng.choice([PHONE_INDEX[name] for name in ("aa", "s", "m")], size=10)
        wave = np.concatenate([np.sin(np.arange(1600) * (0.05 + 0.01 * phone)) for phone in phones])
        out.append(Utterance("", VirtualSpeaker("chirp"), (wave * 9000).astype(np.int16), phones, ends))
    return out


class Watched(content.ContentStage):
    """Knows its steps, is killed in one of them or told to stop in one."""

    def __init__(self, stop_at: int = 0, signal_at: int = 0, number: int = signal.SIGINT) -> None:
        recipe = content.ContentRecipe(steps=6, batch=2, crop=30, warm_up=1)
        super().__init__(chirps(3), tiny().content, recipe, seed=1)
        self.taken: list[int] = []
        self.stop_at = stop_at
        self.signal_at, self.number = signal_at, number

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        if step == self.stop_at:
            raise KeyboardInterrupt
        if step == self.signal_at:
            signal.raise_signal(self.number)
        self.taken.append(step)
        return super().advance(step, rng, generator)


def test_a_content_encoder_that_was_stopped_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = stages.listener(Watched(), stages.Place(tmp_path, "cpu", bfloat16=False)).state_dict()
    (tmp_path / "stopped").mkdir()
    place = stages.Place(tmp_path / "stopped", "cpu", bfloat16=False, keep_seconds=0)
    with pytest.raises(KeyboardInterrupt):
        stages.listener(Watched(stop_at=4), place)
    again = Watched()
    resumed = stages.listener(again, place).state_dict()
    assert again.taken == [4, 5, 6]
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
    assert not torch.equal(resumed["phone_head.weight"], Watched().encoder.phone_head.weight)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_asks_it_to_stop_loses_no_step(tmp_path: Path, number: int) -> None:
    place, kept = stages.Place(tmp_path, "cpu", bfloat16=False), list[int]()
    usual = signal.getsignal(number)
    with pytest.raises(TrainingFailed, match="step 2"):
        stages.drive(Watched(signal_at=2, number=number), place, kept.append)
    assert kept == []
    assert signal.getsignal(number) is usual
    again = Watched()
    stages.drive(again, place, kept.append)
    assert again.taken == [3, 4, 5, 6]
    assert kept == [6]
    stages.drive(Watched(), place, kept.append)
    assert kept == [6]


def test_what_is_stopped_in_its_last_step_is_kept_by_the_next_run(tmp_path: Path) -> None:
    place, kept = stages.Place(tmp_path, "cpu", bfloat16=False), list[int]()
    with pytest.raises(TrainingFailed, match="step 6"):
        stages.drive(Watched(signal_at=6), place, kept.append)
    assert kept == []
    stages.drive(Watched(), place, kept.append)
    assert kept == [6]


def test_a_line_of_the_log_tells_the_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stages, "REPORT_EVERY", 3)
    stages.drive(Watched(), stages.Place(tmp_path, "cpu", bfloat16=False), lambda step: None)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert re.search(r" content 3/6 loss [\d.]+.*, \d+:\d\d left of this stage$", said[0])
    assert said[1].endswith(", 0:00 left of this stage")


@pytest.mark.long
def test_the_command_writes_down_where_it_was_stopped(
    place: stages.Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("train", "zh_train"):
        shutil.copyfile(place.work / "items/held_out-0000.st", place.work / f"items/{kind}-0000.st")
    usual = signal.getsignal(signal.SIGTERM)

    def stop() -> None:
        # Whoever listens for it listens in the middle of the training.
        while signal.getsignal(signal.SIGTERM) is usual:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("sys.argv", ["starter", "--work", str(place.work), "--only", "semantic"])
    stopper = threading.Thread(target=stop, daemon=True)
    stopper.start()
    assert command.main() == command.STOPPED
    stopper.join()
    assert "at step 1 of the semantic stage; the same command goes on from there" in capsys.readouterr().err
    about, _ = thaw((place.work / "semantic.state").read_bytes())
    assert about["step"] == 1


def test_practice_changes_s1_once_a_round_and_not_again(place: stages.Place) -> None:
    # The shipped base has practised a round.
    path = place.base / SEMANTIC_FILE
    before = path.read_bytes()
    stages.practise_reading(place, RECIPE, 2, {"en": 2, "zh": 1})
    after = path.read_bytes()
    with safe_open(path, "pt") as file:
        assert file.metadata()["practice_rounds"] == "2"
    assert after != before
    stages.practise_reading(place, RECIPE, 2, {"en": 2, "zh": 1})
    assert path.read_bytes() == after


def test_the_pitch_head_is_taught_once_with_its_words_and_nothing_else_changes(place: stages.Place) -> None:
    path = place.base / ACOUSTIC_FILE
    before = load_file(path)
    stages.write_weights(path, before, {"steps": "1"})
    for kind in ("train", "zh_train"):
        (held,) = shards.paths(place.work, f"{kind.removesuffix('train')}held_out")
        shutil.copyfile(held, held.with_name(f"{kind}-0000.st"))
    counts = {"train": 1, "zh_train": 1}
    stages.train_pitch(place, SingingRecipe(steps=2, batch=2), counts)
    after = load_file(path)
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert {name.partition(".")[0] for name in moved} == {"pitch", "words"}
    assert after.keys() == before.keys()
    with safe_open(path, "pt") as file:
        assert file.metadata()["pitch_steps"] == "2"
    kept = path.read_bytes()
    stages.train_pitch(place, SingingRecipe(steps=2, batch=2), counts)
    assert path.read_bytes() == kept


def test_each_round_reads_other_texts_that_fit_into_a_fragment() -> None:
    first, second = (stages._to_read(number, {"en": 6, "zh": 4}) for number in (0, 1))
    assert first == stages._to_read(0, {"en": 6, "zh": 4})
    assert not any(ids in second for ids in first)
    assert all(len(ids) <= 150 for ids in first + second)
