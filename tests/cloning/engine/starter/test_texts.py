import re

import numpy as np
import pytest

from cloning.engine.evaluate.texts import held_out, plain
from cloning.engine.starter import texts
from cloning.engine.text import to_phones


def test_texts_are_repeatable_various_and_bounded() -> None:
    rng = np.random.default_rng(3)
    made = [texts.text(rng) for _ in range(400)]
    again = np.random.default_rng(3)
    assert made == [texts.text(again) for _ in range(400)]
    assert len(set(made)) > 380
    lengths = sorted(map(len, made))
    assert lengths[0] < 15
    assert lengths[-20] > 120
    assert lengths[-1] <= texts.MOST_LETTERS + 1
    assert all(re.search(r"[.?!]$", one) for one in made)


def test_every_text_can_be_read() -> None:
    rng = np.random.default_rng(4)
    for one in (texts.text(rng) for _ in range(100)):
        assert "UNK" not in to_phones(one, "en").symbols


def test_no_text_that_voices_are_judged_by_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    first = texts.text(rng)
    banned = held_out() | {plain(first)}
    monkeypatch.setattr(texts, "held_out", lambda: banned)
    rng = np.random.default_rng(5)
    made = [texts.text(rng) for _ in range(50)]
    assert first not in made
    assert made[0] != first


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1, "one"),
        (19, "nineteen"),
        (20, "twenty"),
        (99, "ninety nine"),
        (100, "one hundred"),
        (101, "one hundred and one"),
        (7000, "seven thousand"),
        (120_345, "one hundred and twenty thousand three hundred and forty five"),
    ],
)
def test_numbers_are_written_out(value: int, words: str) -> None:
    assert " ".join(texts.cardinal(value)) == words


def test_chains_follow_counted_pairs_and_do_not_end_in_the_air() -> None:
    rng = np.random.default_rng(6)
    made = [texts.chain(rng, 8) for _ in range(100)]
    last = [one.rstrip(".?!").rpartition(" ")[2].lower() for one in made]
    assert sum(word in {"the", "of", "and", "a"} for word in last) < 5
    assert all(8 <= len(one.split()) <= 14 for one in made)
