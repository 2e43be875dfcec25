import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloning.engine.errors import TextError
from cloning.engine.text import LANGUAGES, MAX_CHARACTERS, to_phones
from cloning.engine.text.symbols import INDEX, SYMBOLS


def test_symbol_table_is_the_official_one() -> None:
    assert len(SYMBOLS) == 732
    assert len(INDEX) == 732
    assert (INDEX["!"], INDEX["HH"], INDEX["AH0"], INDEX["sh"], INDEX["ir4"]) == (0, 51, 12, 251, 214)


def test_ids_symbols_and_words_tell_the_same_story() -> None:
    phones = to_phones("Hello, world!", "en")
    assert phones.symbols == ["HH", "AH0", "L", "OW1", ",", "W", "ER1", "L", "D", "!"]
    assert phones.ids == [51, 12, 62, 68, 1, 91, 39, 62, 26, 0]
    assert [(w.text, phones.symbols[w.start : w.start + w.count]) for w in phones.words][2] == (
        "world", ["W", "ER1", "L", "D"],
    )  # fmt: skip
    assert phones.normalised == "Hello, world!"


@pytest.mark.parametrize(
    ("text", "language", "code"),
    [
        ("hello", "fr", "unsupported_language"),
        ("", "en", "empty_text"),
        (" \n ...!? ", "en", "empty_text"),
        ("，。", "zh", "empty_text"),
        ("a" * (MAX_CHARACTERS + 1), "en", "text_too_long"),
        ("a\0b", "en", "bad_characters"),
        ("a\x1b[31mb", "en", "bad_characters"),
        ("a\ud800b", "en", "bad_characters"),
        ("a\ue000b", "en", "bad_characters"),
        ("Привет", "en", "unsupported_characters"),
        ("你好", "en", "unsupported_characters"),
        ("こんにちは", "zh", "unsupported_characters"),
    ],
)
def test_unusable_text_is_refused_by_name(text: str, language: str, code: str) -> None:
    with pytest.raises(TextError) as refusal:
        to_phones(text, language)
    assert refusal.value.code == code


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.sampled_from(LANGUAGES))
def test_any_text_gives_phones_or_a_named_refusal(text: str, language: str) -> None:
    try:
        phones = to_phones(text, language)
    except TextError:
        return
    assert phones.ids
    assert all(0 <= row < 732 for row in phones.ids)
    assert sum(word.count for word in phones.words) == len(phones.ids)
