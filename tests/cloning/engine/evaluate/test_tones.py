"""Syllables without their tones, and tones where the sounds are right."""

from __future__ import annotations

import numpy as np
import pytest

from cloning.engine.evaluate import measure, tones
from cloning.engine.evaluate.align import align, errors
from cloning.engine.evaluate.listening import Listener
from cloning.engine.evaluate.texts import Item


@pytest.mark.parametrize(
    ("given", "heard", "toned", "toneless", "right"),
    [
        ("hao3 ma1 e5", "hao3 ma1 e5", 0, 0, (3, 3)),
        ("hao3 ma1", "hao4 ma1", 1, 0, (1, 2)),
        ("hao3 ma1", "ma1", 1, 1, (1, 1)),
        ("hao3 ma1", "hao3 e5 ma1", 1, 1, (2, 2)),
        ("hao3 ma1", "gou3 ma2", 2, 1, (0, 1)),
        ("hao3", "", 1, 1, (0, 0)),
    ],
)
def test_sounds_and_tones_are_counted_apart(
    given: str, heard: str, toned: int, toneless: int, right: tuple[int, int]
) -> None:
    steps = align(given.split(), heard.split())
    assert (errors(steps), tones.errors_without(steps), tones.right(steps)) == (toned, toneless, right)


class Deaf:
    """Hears the same syllable in every sound."""

    name = "deaf"

    def words(self, wave: np.ndarray, how: str) -> tuple[str, ...]:
        return ("hao4",)

    def phones(self, wave: np.ndarray) -> tuple[str, ...]:
        return ("h", "ao")

    def pronunciations(self, word: str) -> tuple[tuple[str, ...], ...]:
        return ((word,),)

    def same(self, one: str, other: str) -> bool:
        return one == other

    def durations(self, wave: np.ndarray, words: object) -> tuple[float, ...] | None:
        return None

    def followed(self, wave: np.ndarray, words: object) -> tuple[str, ...] | None:
        return None


def test_the_report_of_a_mandarin_set_has_both_and_of_a_refused_text_too() -> None:
    listener = Listener(Deaf())
    item, wave = Item("mandarin-01", "mandarin", "你好", "你好"), np.ones(10, np.float32)
    said = measure.Sentence(item, wave, "", 0, listener.hear(item, wave), listener.hear(item, wave))
    refused = measure.Sentence(item, None, "silence", 0, listener.hear(item, None), None)
    found = measure.words([said, refused], listener)["mandarin"]
    assert found["word_error"]["voice"]["value"] == 1.0
    assert found["toneless_error"]["voice"]["value"] == 0.75
    assert found["toneless_error"]["source"]["value"] == 0.5
    assert found["tones_right"]["voice"]["value"] == 0.0
    assert found["tones_right"]["difference"]["value"] == 0.0
    assert measure.words([refused], listener)["mandarin"]["tones_right"]["voice"] is None
