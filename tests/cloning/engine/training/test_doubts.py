import dataclasses
import functools

import numpy as np
import pytest

from cloning.engine.errors import TrainingRefused
from cloning.engine.training.base import Base, starter_base
from cloning.engine.training.doubts import CLEARLY_APART, Texts, agreement, texts, two_speakers
from cloning.engine.training.prepare import Material, Recording, prepare
from cloning.engine.training.voice import one_speaker, outcome
from tests.cloning.engine.training.conftest import TEXTS


def heard(recordings: list[Recording], base: Base) -> Material:
    return prepare(recordings, language="en", config=base.config, encoder=base.build_content(), codebook=base.codebook)


def test_a_transcript_of_something_else_is_left_out(recordings: list[Recording]) -> None:
    base = starter_base()
    plain = heard(recordings, base)
    assert len(plain.items) == 5
    assert plain.notes == ()
    spare = dataclasses.replace(recordings[0], transcript="Every winter the river freezes near the mill.")
    mixed = heard([*recordings, spare], base)
    assert len(mixed.items) == 5
    assert mixed.notes == ("transcripts_left_out",)
    assert mixed.left_out == ("6",)
    assert mixed.dropped_seconds > 1.5


def rotated(recordings: list[Recording], count: int) -> list[Recording]:
    """The first `count` recordings with each other's texts."""
    given = [*TEXTS[1:count], TEXTS[0], *TEXTS[count:]]
    return [dataclasses.replace(r, transcript=text) for r, text in zip(recordings, given, strict=True)]


def test_a_set_of_wrong_transcripts_is_refused(recordings: list[Recording]) -> None:
    for count in (5, 3):
        with pytest.raises(TrainingRefused, match=f"{count} of 5 transcripts") as caught:
            heard(rotated(recordings, count), starter_base())
        assert caught.value.code == "transcripts_disagree"


def test_some_wrong_transcripts_are_left_out_and_named(recordings: list[Recording]) -> None:
    spare = [dataclasses.replace(one, name="spare.wav") for one in recordings[2:4]]
    material = heard([*rotated(recordings, 2), *spare], starter_base())
    assert material.left_out == ("1", "2")
    assert [item.name for item in material.items] == ["3", "4", "5", "spare.wav", "spare.wav"]


def test_an_encoder_that_understands_nothing_condemns_nobody(recordings: list[Recording], base: Base) -> None:
    material = heard(rotated(recordings, 5), base)
    assert material.notes == ("transcripts_unconfirmed",)
    assert len(material.items) == 5
    assert texts(material.items[:2], base.build_content(), base.config) == Texts((), True)
    fits, sure = agreement(material.items[0], base.build_content(), base.config)
    assert abs(fits) < 1
    assert sure < -1


def test_noise_that_hides_the_words_condemns_nobody(recordings: list[Recording]) -> None:
    rng = np.random.default_rng(3)
    noisy = []
    for r in rotated(recordings, 5):
        noise = rng.normal(0, 1.5 * np.sqrt(np.square(r.wave).mean()), len(r.wave))
        noisy.append(dataclasses.replace(r, wave=(r.wave + noise).astype(np.float32)))
    assert "transcripts_unconfirmed" in heard(noisy, starter_base()).notes


@functools.cache
def said(voice: str, text: str) -> Recording:
    from demo.flite.speaker import speak

    return Recording(*speak(text, voice=voice), transcript=text)


@pytest.mark.parametrize("others", [0, 1, 2, 3])
def test_a_second_speaker_is_left_out_or_refused(others: int) -> None:
    """The share of a man among a woman's recordings: none, one (too few to be a speaker), 2 of 12, 3 of 13."""
    base = starter_base()
    more = ("Every winter the river freezes near the mill.", "A tall man walked slowly across the bridge.")
    woman = [said("slt", text) for text in (*TEXTS, *more)]
    recordings = [*woman, *woman[:3], *[said("rms", text) for text in TEXTS[:others]]]
    material = heard(recordings, base)
    assert len(material.items) == 10 + others
    model = base.build_acoustic(0)
    if others == 3:
        with pytest.raises(TrainingRefused, match="23%") as caught:
            one_speaker(material, model, "starter")
        assert caught.value.code == "two_speakers"
        return
    alone = one_speaker(material, model, "starter")
    assert model.training
    if others == 2:
        assert len(alone.items) == 10
        assert alone.left_out == ("11", "12")
        assert alone.notes == ("second_speaker_left_out",)
        assert outcome(alone)["recordings_left_out"] == 2
        assert alone.speech_seconds < material.speech_seconds
    else:
        assert alone == material
    assert one_speaker(material, model, "v2") is material


def test_groups_must_be_large_compact_and_far_apart() -> None:
    rng = np.random.default_rng(0)
    first = np.array([1.0, 0, 0, 0]) + rng.normal(0, 0.05, (8, 4))
    second = np.array([0, 1.0, 0, 0]) + rng.normal(0, 0.05, (8, 4))
    both = np.concatenate([first, second])
    found = two_speakers(both)
    assert found is not None
    assert found.share == 0.5
    assert found.cosine < CLEARLY_APART
    assert len(two_speakers(np.concatenate([both] * 8)).other) == 128  # type: ignore[union-attr]
    assert not two_speakers(first)
    assert not two_speakers(np.concatenate([first, second[:1]]))
    assert not two_speakers(np.concatenate([first[:2], second[:3]]))
    assert not two_speakers(np.ones((8, 4)))
    assert not two_speakers(rng.normal(0, 1, (20, 4)))
