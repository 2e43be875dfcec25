import numpy as np
import pytest

from cloning.engine.evaluate.texts import held_out, plain
from cloning.engine.starter import mandarin_texts
from cloning.engine.text import to_phones


def test_texts_are_repeatable_various_bounded_and_readable() -> None:
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    made = [mandarin_texts.text(rng) for _ in range(150)]
    assert made == [mandarin_texts.text(again) for _ in range(150)]
    assert len(set(made)) > 140
    assert all(one[-1] in "。？！" for one in made)
    longest = mandarin_texts.MOST_CLAUSES * (mandarin_texts.MOST_SYLLABLES + 1)
    assert max(map(len, made)) <= longest
    assert all("UNK" not in to_phones(one, "zh").symbols for one in made)


def test_no_text_that_voices_are_judged_by_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    first = mandarin_texts.text(np.random.default_rng(5))
    banned = held_out() | {plain(first)}
    monkeypatch.setattr(mandarin_texts, "held_out", lambda: banned)
    assert mandarin_texts.text(np.random.default_rng(5)) != first


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1, "一"),
        (10, "十"),
        (11, "十一"),
        (20, "二十"),
        (101, "一百零一"),
        (110, "一百一十"),
        (1001, "一千零一"),
        (1010, "一千零一十"),
        (2305, "二千三百零五"),
        (9999, "九千九百九十九"),
    ],
)
def test_numbers_are_written_out(value: int, said: str) -> None:
    assert mandarin_texts.cardinal(value) == said
