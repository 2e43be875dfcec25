"""The fixed texts: enough of them, each one readable by the engine and known to the recogniser."""

from __future__ import annotations

from collections import Counter

import pytest

from cloning.engine.evaluate.hearing import recogniser
from cloning.engine.evaluate.texts import MATRIX, SETS, held_out, items, plain, words
from cloning.engine.text import to_phones

ENGLISH = SETS["en"]


@pytest.mark.parametrize(("name", "least"), [("matrix", 40), ("open", 50), ("hard", 40), ("mandarin", 20)])
def test_every_set_has_its_texts_once(name: str, least: int) -> None:
    found = items(name)
    assert len(found) >= least
    assert len({item.id for item in found}) == len({plain(item.text) for item in found}) == len(found)


def test_matrix_sentences_use_every_word_equally_often_and_no_pair_twice() -> None:
    rows = [item.words for item in items("matrix")]
    for slot, choices in enumerate(MATRIX):
        assert Counter(row[slot] for row in rows) == {word.lower(): 4 for word in choices}
    for one in range(5):
        for other in range(one):
            assert len({(row[other], row[one]) for row in rows}) == len(rows)


@pytest.mark.parametrize("name", ENGLISH)
def test_the_recogniser_knows_every_english_word(name: str) -> None:
    known = recogniser("en")
    assert [word for item in items(name) for word in item.words if not known.pronunciations(word)] == []


@pytest.mark.parametrize(("language", "name"), [(language, name) for language, names in SETS.items() for name in names])
def test_the_engine_reads_every_text(language: str, name: str) -> None:
    assert all(to_phones(item.text, language).ids for item in items(name))


def test_figures_are_heard_as_the_engine_reads_them() -> None:
    for item in items("hard"):
        if item.spoken != item.text:
            assert words(to_phones(item.text, "en").normalised) == item.words


def test_the_hard_list_only_grows() -> None:
    """What stood in it first still does: a base is not made better by asking less."""
    texts = [item.text for item in items("hard")]
    assert texts[0].startswith("Responsibility")
    assert texts[39].startswith("Vision, treasure")
    assert texts[51].startswith("He lives on 42nd St.")
    assert [item.id for item in items("hard")][:2] == ["hard-01", "hard-02"]


def test_what_training_must_not_hold_is_every_text() -> None:
    assert len(held_out()) >= sum(len(items(name)) for names in SETS.values() for name in names)
    assert "peter bought two small chairs" in held_out()
    assert plain("今天天气很好，我们去公园走走吧。") in held_out()


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(ValueError, match="no set"):
        items("../../secret")


def test_what_must_be_heard_of_mandarin_is_its_syllables_with_tones() -> None:
    first = items("mandarin")[0]
    assert first.text.startswith("今天天气很好")
    assert first.words[:6] == ("jin1", "tian1", "tian1", "qi4", "hen2", "hao3")
    assert len(first.words) == sum(character.isalnum() for character in first.text)


def test_words_are_lower_case_with_their_apostrophes() -> None:
    assert words("Don't say 'never', B, I!") == ("don't", "say", "never", "b", "i")
