"""Text in, phones out: checks the text, calls the language's front end, numbers the symbols."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from cloning.engine.errors import TextError
from cloning.engine.text.symbols import INDEX, PUNCTUATION

#: Languages with a front end here. (The models know ja, ko and yue as well; their front ends are not built yet.)
LANGUAGES = ("en", "zh")
#: Longest text of one request in characters: about fifteen minutes of speech.
MAX_CHARACTERS = 10_000
#: Very short pieces are babbled; a leading comma makes them calmer (upstream does the same in English).
SHORT_PIECE = 4


@dataclass(frozen=True)
class Word:
    """One word or mark and its symbols: ids[start : start + count]."""

    text: str
    start: int
    count: int


@dataclass(frozen=True)
class Phones:
    """`ids` are rows of the v2 symbol table and `symbols` their names; `normalised` is the text as it is read."""

    ids: list[int]
    symbols: list[str]
    words: list[Word]
    normalised: str


def check_text(text: str) -> str:
    """The text without space around it. Raises TextError: `empty_text`, `text_too_long`, `bad_characters`."""
    if len(text) > MAX_CHARACTERS:
        raise TextError("text_too_long", f"the text has {len(text)} characters; at most {MAX_CHARACTERS} are read")
    for character in text:
        category = unicodedata.category(character)
        # Cc: control; Cs: unpaired surrogate; Co, Cn: private or unassigned, nobody can say how they sound.
        if category in ("Cs", "Co", "Cn") or (category == "Cc" and character not in "\n\r\t"):
            raise TextError("bad_characters", f"the text holds the character U+{ord(character):04X}, which is not text")
    text = text.strip()
    if not any(character.isalnum() for character in text):
        raise TextError("empty_text", "the text holds nothing to say")
    return text


def to_phones(text: str, language: str) -> Phones:
    """Phones of one piece of text, in the order they are spoken, punctuation included.

    `language`: "en", or "zh" (Mandarin, in which Latin words are read as English).
    Raises TextError: `unsupported_language`, `empty_text`, `text_too_long`, `bad_characters`, `unsupported_characters`.
    """
    if language not in LANGUAGES:
        raise TextError(
            "unsupported_language", f"the language {language!r} is not supported; there are {', '.join(LANGUAGES)}"
        )
    text = unicodedata.normalize("NFC", check_text(text))
    if language == "en":
        from cloning.engine.text import english

        normalised, words = english.read(text)
    else:
        from cloning.engine.text import mandarin

        normalised, words = mandarin.read(text)
    if sum(len(symbols) for _, symbols in words) < SHORT_PIECE and language == "en":
        words = [(",", [","]), *words]
    if all(symbol in PUNCTUATION for _, symbols in words for symbol in symbols):
        raise TextError("empty_text", "the text holds nothing to say")
    symbols: list[str] = []
    places: list[Word] = []
    for word, spoken in words:
        places.append(Word(word, len(symbols), len(spoken)))
        symbols += spoken
    return Phones(ids=[INDEX[symbol] for symbol in symbols], symbols=symbols, words=places, normalised=normalised)
