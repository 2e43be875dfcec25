from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloning.engine.errors import TextError
from cloning.engine.text import LANGUAGES, MAX_CHARACTERS, Phones, clean, to_phones
from cloning.engine.text.symbols import table
from tests.cloning.engine.official import needs_fixtures, rows


def test_ids_symbols_and_words_tell_the_same_story() -> None:
    phones = to_phones("Hello, world!", "en")
    assert phones.symbols == ["HH", "AH0", "L", "OW1", ",", "W", "ER1", "L", "D", "!"]
    assert phones.ids == [51, 12, 62, 68, 1, 91, 39, 62, 26, 0]
    assert [(w.text, phones.symbols[w.start : w.start + w.count]) for w in phones.words][2] == (
        "world", ["W", "ER1", "L", "D"],
    )  # fmt: skip
    assert phones.normalised == "Hello, world!"


def test_mandarin_counts_the_symbols_of_each_character() -> None:
    phones = clean("你好，世界！", "zh")
    assert phones.word2ph == [2, 2, 1, 2, 2, 1]
    assert " ".join(phones.symbols) == "n i2 h ao3 , sh ir4 j ie4 !"
    assert clean("Hello, world!", "en").word2ph is None


def test_latin_words_are_english_in_every_language() -> None:
    assert " ".join(to_phones("我爱London。", "zh").symbols) == "w o3 AA ai4 L AH1 N D AH0 N ."


def test_a_very_short_english_piece_gets_a_comma() -> None:
    assert clean("Hi", "en").symbols == [",", "HH", "AY1"]
    assert clean("Hello", "en").symbols == ["HH", "AH0", "L", "OW1"]


def test_v1_reads_with_its_own_table() -> None:
    assert clean("你好，世界！", "zh", version="v1").ids == clean("你好，世界！", "zh").ids
    with pytest.raises(TextError) as refusal:
        clean("안녕하세요", "ko", version="v1")
    assert refusal.value.code == "unsupported_language"


def test_with_compat_nothing_is_refused_but_what_cannot_be_read_at_all() -> None:
    assert clean("bonjour", "fr", compat=True).symbols == [","]
    assert clean("...", "en", compat=True).ids
    assert "Привет" not in clean("Привет, hello", "en", compat=True).normalised
    for text, code in (("a\ud800b", "bad_characters"), ("a" * (MAX_CHARACTERS + 1), "text_too_long")):
        with pytest.raises(TextError) as refusal:
            clean(text, "en", compat=True)
        assert refusal.value.code == code


def test_an_override_wins() -> None:
    assert clean("重庆", "zh", overrides={"重庆": ["zh", "ong4", "q", "ing4"]}).symbols == ["zh", "ong4", "q", "ing4"]
    assert clean("say hello", "en", overrides={"hello": ["W", "IY1"]}).symbols[-2:] == ["W", "IY1"]


@pytest.mark.parametrize(
    ("text", "language", "code"),
    [
        ("hello", "fr", "unsupported_language"),
        ("", "en", "empty_text"),
        (" \n ...!? ", "en", "empty_text"),
        ("，。", "zh", "empty_text"),
        ("😀😀", "en", "empty_text"),
        ("a" * (MAX_CHARACTERS + 1), "en", "text_too_long"),
        ("a\0b", "en", "bad_characters"),
        ("a\x1b[31mb", "en", "bad_characters"),
        ("a\ud800b", "en", "bad_characters"),
        ("a\ue000b", "en", "bad_characters"),
        ("Привет", "en", "unsupported_characters"),
        ("你好", "en", "unsupported_characters"),
        ("こんにちは", "zh", "unsupported_characters"),
        ("你好 مرحبا", "zh", "unsupported_characters"),
        ("สวัสดี", "zh", "unsupported_characters"),
        ("안녕", "ja", "unsupported_characters"),
        ("大韓民國", "ko", "unsupported_characters"),
    ],
)
@pytest.mark.parametrize("reader", [to_phones, clean])
def test_unusable_text_is_refused_by_name(
    reader: Callable[[str, str], Phones], text: str, language: str, code: str
) -> None:
    with pytest.raises(TextError) as refusal:
        reader(text, language)
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


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.sampled_from(LANGUAGES))
def test_with_compat_any_text_gives_rows_of_the_table(text: str, language: str) -> None:
    try:
        phones = clean(text, language, compat=True)
    except TextError:
        return
    assert phones.ids == [table("v2")[symbol] for symbol in phones.symbols]


@needs_fixtures
@pytest.mark.parametrize("name", ["zh", "en", "ja", "ko", "yue", "v1"])
def test_official_ids(name: str) -> None:
    wrong = []
    listed = rows(f"text_{name}.json")
    for row in listed:
        version = "v1" if name == "v1" else "v2"
        got = clean(row["text"], row.get("lang", name), version=version, compat=True)
        if got.ids != row["ids"]:
            wrong.append((row["text"], row["phones"], got.symbols))
    assert len(wrong) <= 0.02 * len(listed), wrong
