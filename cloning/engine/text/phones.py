"""Text in, phones out: checks the text, calls the language's front end, numbers the symbols."""

from __future__ import annotations

import importlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from cloning.engine.errors import TextError
from cloning.engine.text.modes import LANGUAGES as _LANGUAGES
from cloning.engine.text.modes import segments
from cloning.engine.text.reading import Reading
from cloning.engine.text.segment import Segment, script_of
from cloning.engine.text.symbols import PUNCTUATION, UNKNOWN, table

if TYPE_CHECKING:
    from cloning.engine.text.polyphones import Polyphones

#: Languages with a front end here.
LANGUAGES = _LANGUAGES["v2"]
#: Longest text of one request in characters: about fifteen minutes of speech.
MAX_CHARACTERS = 10_000
#: Very short pieces are babbled; a leading comma makes them calmer (upstream does the same in English).
SHORT_PIECE = 4
_MODULES = {"en": "english", "zh": "mandarin", "yue": "cantonese", "ja": "japanese", "ko": "korean"}
_NAMES = {"en": "English", "zh": "Mandarin", "yue": "Cantonese", "ja": "Japanese", "ko": "Korean"}
#: Scripts a language is written in. Signs, and Greek letters in formulas, are the language's own business.
_SCRIPTS = {
    "en": {"en"}, "zh": {"han", "en"}, "yue": {"han", "en"}, "ja": {"han", "ja", "en"}, "ko": {"ko", "en"},
}  # fmt: skip


@dataclass(frozen=True)
class Word:
    """One word or mark and its symbols: ids[start : start + count]."""

    text: str
    start: int
    count: int


@dataclass(frozen=True)
class Phones:
    """`ids` are rows of the symbol table and `symbols` their names; `normalised` is the text as it is read.

    `word2ph`: symbols of each word, in Mandarin and Cantonese only, where a word is one character or mark.
    """

    ids: list[int]
    symbols: list[str]
    words: list[Word]
    normalised: str
    word2ph: list[int] | None = None


def check_size(text: str) -> None:
    """What no reader can take. Raises TextError `text_too_long`, `bad_characters` (unpaired surrogates)."""
    if len(text) > MAX_CHARACTERS:
        raise TextError("text_too_long", f"the text has {len(text)} characters; at most {MAX_CHARACTERS} are read")
    for character in text:
        if "\ud800" <= character <= "\udfff":
            raise TextError("bad_characters", f"the text holds the character U+{ord(character):04X}, which is not text")


def check_text(text: str) -> str:
    """The text without space around it. Raises TextError: `empty_text`, `text_too_long`, `bad_characters`."""
    check_size(text)
    for character in text:
        category = unicodedata.category(character)
        # Cc: control; Co, Cn: private or unassigned, nobody can say how they sound.
        if category in ("Co", "Cn") or (category == "Cc" and character not in "\n\r\t"):
            raise TextError("bad_characters", f"the text holds the character U+{ord(character):04X}, which is not text")
    text = text.strip()
    if not any(character.isalnum() for character in text):
        raise TextError("empty_text", "the text holds nothing to say")
    return text


def clean(
    text: str,
    language: str,
    *,
    version: str = "v2",
    compat: bool = False,
    overrides: Mapping[str, Sequence[str]] | None = None,
    polyphones: Polyphones | None = None,
) -> Phones:
    """Phones of a text in one language, as upstream's `clean_text` and `cleaned_text_to_sequence` give them.

    `language`: en, zh, ja, ko, yue (v1: en, zh, ja). `overrides`: this language's words to their phones. `polyphones`:
    a mounted model for Mandarin readings. Symbols that the version's table lacks become UNK. Fewer than four English
    symbols get a comma in front.
    By default letters the language does not write are refused and nothing is dropped. With `compat` everything is
    read as upstream does: letters it cannot read are dropped, and a language it does not know is an English blank.
    Raises TextError: `unsupported_language`, `empty_text`, `text_too_long`, `bad_characters`, `unsupported_characters`.
    """
    if compat:
        check_size(text)
        if language not in _LANGUAGES.get(version, ()):
            language, text = "en", " "
    else:
        _check_language(language, version)
        text = unicodedata.normalize("NFC", check_text(text))
        check_letters(text, language)
    reading = read(text, language, version=version, compat=compat, overrides=overrides, polyphones=polyphones)
    words = calm(reading.words) if language == "en" else reading.words
    if not compat:
        refuse_silence(words)
    return numbered(words, reading.normalised, version, counted=language in ("zh", "yue"))


def to_phones(text: str, language: str) -> Phones:
    """Phones of one piece of text, in the order they are spoken, punctuation included.

    `language`: one of LANGUAGES; in all but en, Latin words are read as English.
    Raises TextError: `unsupported_language`, `empty_text`, `text_too_long`, `bad_characters`, `unsupported_characters`.
    """
    _check_language(language, "v2")
    text = unicodedata.normalize("NFC", check_text(text))
    words: list[tuple[str, list[str]]] = []
    normalised: list[str] = []
    for part in segments(text, language):
        check_letters(part.text, part.language)
        reading = read(part.text, part.language, overrides=None if language == "en" else letter_names(part))
        words += reading.words
        normalised.append(reading.normalised)
    if language == "en":
        words = calm(words)
    refuse_silence(words)
    return numbered(words, joined(normalised), "v2")


def read(
    text: str,
    language: str,
    *,
    version: str = "v2",
    compat: bool = False,
    overrides: Mapping[str, Sequence[str]] | None = None,
    polyphones: Polyphones | None = None,
) -> Reading:
    """The language's own front end; nothing is checked here."""
    module = importlib.import_module(f"cloning.engine.text.{_MODULES[language]}")
    more: dict[str, Any] = {"polyphones": polyphones} if language == "zh" and polyphones is not None else {}
    return cast(Reading, module.read(text, version=version, compat=compat, overrides=overrides, **more))


def check_letters(text: str, language: str) -> None:
    """Raises TextError `unsupported_characters` for the first letter that the language does not write."""
    scripts = _SCRIPTS.get(language)
    for character in text:
        if not character.isalpha():
            continue
        if scripts is None:
            raise TextError("unsupported_characters", f"{character!r} cannot be read in any language here")
        script = script_of(character)
        if script and script not in scripts:
            raise TextError("unsupported_characters", f"{character!r} cannot be read as {_NAMES[language]}")


def letter_names(
    part: Segment, overrides: Mapping[str, Sequence[str]] | None = None
) -> Mapping[str, Sequence[str]] | None:
    """Overrides with which a lone "A" among another language's words is the letter, not the article."""
    if part.language != "en" or sum(c.isalpha() for c in part.text) != 1:
        return overrides
    return {"a": ["EY1"], **(overrides or {})}


def calm(words: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """A very short English piece with a comma in front."""
    short = sum(len(symbols) for _, symbols in words) < SHORT_PIECE
    return [(",", [","]), *words] if short else words


def refuse_silence(words: list[tuple[str, list[str]]]) -> None:
    """Raises TextError `empty_text` when the words are marks only."""
    if all(symbol in PUNCTUATION for _, symbols in words for symbol in symbols):
        raise TextError("empty_text", "the text holds nothing to say")


def numbered(words: list[tuple[str, list[str]]], normalised: str, version: str, *, counted: bool = False) -> Phones:
    """Words laid out one after the other; symbols the table lacks become UNK."""
    rows = table(version)
    symbols: list[str] = []
    places: list[Word] = []
    for word, spoken in words:
        places.append(Word(word, len(symbols), len(spoken)))
        symbols += (symbol if symbol in rows else UNKNOWN for symbol in spoken)
    counts = [place.count for place in places] if counted else None
    return Phones([rows[symbol] for symbol in symbols], symbols, places, normalised, counts)


def joined(parts: list[str]) -> str:
    """Normalised segments one after the other, with a space where two Latin words would run into one."""
    out = ""
    for part in parts:
        touching = out and part and out[-1].isascii() and part[0].isascii() and out[-1].isalnum() and part[0].isalnum()
        out += " " * bool(touching) + part
    return out


def _check_language(language: str, version: str) -> None:
    offered = _LANGUAGES.get(version, ())
    if language not in offered:
        raise TextError(
            "unsupported_language", f"the language {language!r} is not supported; there are {', '.join(offered)}"
        )
