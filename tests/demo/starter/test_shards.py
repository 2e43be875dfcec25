from pathlib import Path

import numpy as np
import pytest
import torch

from cloning.engine.config import starter
from cloning.engine.semantic.model import IGNORED
from cloning.engine.text.classes import PHONE_INDEX
from cloning.engine.training.base import Base, random_base
from demo.starter import judge, mandarin, shards
from demo.starter.stages import prompts_for


@pytest.fixture(scope="module")
def base() -> Base:
    return random_base(starter(), 1)


def test_a_shard_is_a_function_of_its_number(tmp_path: Path, base: Base) -> None:
    for work in (tmp_path / "a", tmp_path / "b"):
        shards.make(work, "train", 3, base, count=2)
    for kind in ("speech", "items"):
        files = [tmp_path / work / kind / "train-0003.st" for work in ("a", "b")]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert [u.text for u in shards.spoken("train", 4, 2)] != [u.text for u in shards.spoken("train", 3, 2)]
    assert not list((tmp_path / "a").rglob("*.tmp*"))


def test_a_finished_shard_is_left_alone(tmp_path: Path, base: Base) -> None:
    assert shards.make(tmp_path, "train", 0, None, count=1)
    assert not shards.make(tmp_path, "train", 0, None, count=1)
    assert shards.make(tmp_path, "train", 0, base, count=1)
    path = tmp_path / "items" / "train-0000.st"
    before = path.stat().st_mtime_ns
    assert not shards.make(tmp_path, "train", 0, base, count=1)
    assert path.stat().st_mtime_ns == before


def test_what_times_mandarin_is_asked_for_only_where_a_shard_is_missing(tmp_path: Path) -> None:
    def learnt() -> mandarin.Timer:
        raise LookupError("it takes minutes")

    with pytest.raises(LookupError):
        shards.make(tmp_path, "zh_train", 0, None, count=1, timer=learnt)
    with pytest.raises(ValueError, match="phone times"):
        shards.make(tmp_path, "zh_train", 0, None, count=1)
    shards.write_utterances(tmp_path / "speech/zh_train-0000.st", shards.spoken("held_out", 0, 1))
    assert not shards.make(tmp_path, "zh_train", 0, None, count=1, timer=learnt)


def test_what_is_written_is_read_again(tmp_path: Path, base: Base) -> None:
    made = shards.spoken("held_out", 0, 2)
    shards.write_utterances(tmp_path / "u.st", made)
    again = shards.read_utterances(tmp_path / "u.st")
    for ours, theirs in zip(again, made, strict=True):
        assert (ours.text, ours.speaker) == (theirs.text, theirs.speaker)
        assert np.array_equal(ours.wave, theirs.wave)
        assert np.array_equal(ours.phones, theirs.phones)
        assert np.array_equal(ours.ends, theirs.ends)
    shards.make(tmp_path, "train", 0, base, count=3)
    for item in shards.read_items(shards.paths(tmp_path, "train")):
        assert item.wave.dtype == torch.int16
        assert len(item.wave) == 640 * len(item.codes)
        assert item.phone_targets is not None
        known = item.places != IGNORED
        assert known.float().mean() > 0.7
        assert torch.equal(item.phones[item.places[known]], item.phone_targets[known])
        assert bool((item.places[known].diff() >= 0).all())


def test_the_judge_is_never_trained_on() -> None:
    assert {s.voice for s in shards.speakers("judge")} == {shards.JUDGE_VOICE}
    assert shards.JUDGE_VOICE not in {s.voice for kind in ("train", "held_out") for s in shards.speakers(kind)}
    trained, held_out = ({s.name for s in shards.speakers(kind)[1:]} for kind in ("train", "held_out"))
    assert len(trained & held_out) <= len(shards.TRAIN_VOICES)  # the plain voices


def test_errors_are_counted_per_phone() -> None:
    assert judge.errors([1, 2, 3], [1, 2, 3]) == 0
    assert judge.errors([1, 2, 3], [1, 3]) == 1
    assert judge.errors([1, 2, 3], [4, 1, 2, 5]) == 2
    assert judge.rate([([1, 2], [1, 2]), ([1, 2], [])]) == 0.5


def test_single_frames_and_pauses_are_not_heard() -> None:
    a, b = PHONE_INDEX["aa"], PHONE_INDEX["b"]
    assert judge.runs([judge.PAUSE, judge.PAUSE, a, a, b, a, a, b, b]) == [a, a, b]


def test_reading_and_copying_are_measured(tmp_path: Path, base: Base) -> None:
    shards.make(tmp_path, "held_out", 0, base, count=3)
    items = shards.read_items(shards.paths(tmp_path, "held_out"))
    encoder = base.build_content()
    error, ended = judge.phone_error_of_reading(
        base.build_semantic(1).eval(), encoder, base.codebook, items, prompts_for(items)
    )
    # Random weights read nothing rightly.
    assert error > 0.7
    assert 0.0 <= ended <= 1.0
    source, copies = judge.phone_error_of_copies(base.build_acoustic(1), encoder, items, prompts_for(items))
    assert min(source, copies) > 0.7
    assert all(prompt is not item for prompt, item in zip(prompts_for(items), items, strict=True))
