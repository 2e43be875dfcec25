import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from cloning.engine import starter
from cloning.engine.config import tiny
from cloning.engine.semantic.choice import Sampling
from cloning.engine.starter import content
from cloning.engine.starter.corpus import Utterance, VirtualSpeaker
from cloning.engine.starter.items import TimedItem
from cloning.engine.starter.practising import PractisingRecipe
from cloning.engine.starter.singing import SingingRecipe
from cloning.engine.text import to_phones
from cloning.engine.text.classes import PHONE_INDEX
from cloning.engine.training.base import ACOUSTIC_FILE, SEMANTIC_FILE
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
    """Knows its steps, and is stopped at one of them."""

    def __init__(self, stop_at: int = 0) -> None:
        recipe = content.ContentRecipe(steps=6, batch=2, crop=30, warm_up=1)
        super().__init__(chirps(3), tiny().content, recipe, seed=1)
        self.taken: list[int] = []
        self.stop_at = stop_at

    def advance(self, step: int, rng: np.random.Generator, generator: torch.Generator) -> float | None:
        if step == self.stop_at:
            raise KeyboardInterrupt
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
