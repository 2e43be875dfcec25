"""Pronunciations that win over every dictionary: those of a voice, and over them those of a request."""

from __future__ import annotations

import importlib
import unicodedata
from collections.abc import Mapping, Sequence

from cloning.engine.errors import TextError
from cloning.engine.text.modes import LANGUAGES
from cloning.engine.text.segment import script_of
from cloning.engine.text.symbols import UNKNOWN, table

#: Words of all languages together, phones of one word, characters of one word.
MOST_WORDS, MOST_PHONES, LONGEST_WORD = 500, 64, 64

#: Where one syllable as people write it becomes two phones.
_SYLLABLES = {"zh": ("mandarin_syllables", "initial_final"), "yue": ("cantonese", "initial_final")}
#: Language to word to phones.
Overrides = Mapping[str, Mapping[str, Sequence[str]]]


def parse(raw: object, *, version: str = "v2") -> dict[str, dict[str, tuple[str, ...]]]:
    """Checked overrides: language (en, zh, ja, ko, yue) to word to phones.

    `raw`: the same, as a caller sent it; phones in one string with spaces between, such as {"en": {"nguyen": "W IH1
    N"}}, or as a list. English words are lower-cased; in Mandarin and Cantonese every character of the word is two
    phones, or one syllable of pinyin (chong2) or Jyutping (zung6).
    Raises TextError `bad_override` with the entry that is wrong.
    """
    if not isinstance(raw, Mapping):
        raise _bad("pronunciations are given as language: {word: phones}")
    out: dict[str, dict[str, tuple[str, ...]]] = {}
    count = 0
    for language, words in raw.items():
        if language not in LANGUAGES.get(version, ()):
            raise _bad(f"pronunciations cannot be given for the language {_shown(language)}")
        if not isinstance(words, Mapping):
            raise _bad(f"the pronunciations for {language} are given as {{word: phones}}")
        count += len(words)
        if count > MOST_WORDS:
            raise _bad(f"there are more than {MOST_WORDS} pronunciations")
        entries = [(_word(word, language), phones) for word, phones in words.items()]
        out[language] = {word: _phones(word, phones, language, version) for word, phones in entries}
        if len(out[language]) != len(entries):
            raise _bad(f"a word for {language} is given twice")
    return out


def merge(voice: Overrides, request: Overrides) -> dict[str, dict[str, tuple[str, ...]]]:
    """Both together; the request's word wins over the voice's."""
    return {
        language: {
            word: tuple(phones)
            for words in (voice.get(language, {}), request.get(language, {}))
            for word, phones in words.items()
        }
        for language in [*voice, *(language for language in request if language not in voice)]
    }


def _word(word: object, language: str) -> str:
    if not isinstance(word, str) or not 0 < len(word) <= LONGEST_WORD:
        raise _bad(f"{_shown(word)} is not a word of 1 to {LONGEST_WORD} characters")
    word = unicodedata.normalize("NFC", word.strip())
    if any(unicodedata.category(c)[0] in "CZ" for c in word) or not any(c.isalnum() for c in word):
        raise _bad(f"{_shown(word)} is not one word")
    foreign = next((c for c in word if language in ("zh", "yue") and script_of(c) != "han"), None)
    if foreign is not None:
        raise _bad(f"{_shown(word)} holds {foreign!r}, which is not a Chinese character")
    return word.lower() if language == "en" else word


def _phones(word: str, phones: object, language: str, version: str) -> tuple[str, ...]:
    if isinstance(phones, str):
        listed = phones[: 16 * MOST_PHONES].split()
    elif isinstance(phones, Sequence) and all(isinstance(phone, str) for phone in phones):
        listed = list(phones)
    else:
        raise _bad(f"the phones of {word!r} are a string such as 'W IH1 N'")
    if not 0 < len(listed) <= MOST_PHONES:
        raise _bad(f"{word!r} has {len(listed)} phones; 1 to {MOST_PHONES} can be given")
    if language in _SYLLABLES and len(listed) == len(word):
        listed = [phone for syllable in listed for phone in _syllable(syllable, word, language)]
    rows = table(version)
    wrong = next((phone for phone in listed if phone not in rows or phone == UNKNOWN), None)
    if wrong is not None:
        raise _bad(f"{_shown(wrong)}, in {word!r}, is not a phone of the {version} symbol table")
    if language in ("zh", "yue") and len(listed) != 2 * len(word):
        raise _bad(f"{word!r} needs two phones for each of its {len(word)} characters, and has {len(listed)}")
    return tuple(listed)


def _syllable(syllable: str, word: str, language: str) -> list[str]:
    module, name = _SYLLABLES[language]
    pair: list[str] = getattr(importlib.import_module(f"cloning.engine.text.{module}"), name)(syllable)
    if UNKNOWN in pair:
        raise _bad(f"{_shown(syllable)}, in {word!r}, is not a syllable with its tone")
    return pair


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_WORD else f"{text[:LONGEST_WORD]}…"


def _bad(sentence: str) -> TextError:
    return TextError("bad_override", sentence)
