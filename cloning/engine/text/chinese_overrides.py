"""Pronunciations that a person gave for Chinese words, put over what the dictionaries say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cloning.engine.errors import TextError
from cloning.engine.text.chinese_normalise import simplify
from cloning.engine.text.mandarin_syllables import initial_final
from cloning.engine.text.symbols import UNKNOWN

Spoken = list[tuple[str, list[str]]]


def override(
    spoken: Spoken,
    overrides: Mapping[str, Sequence[str]] | None,
    *,
    pair: Callable[[str], list[str]] = initial_final,
) -> Spoken:
    """Characters with their symbols, to the same with the given words spoken as given; the longest word wins.

    `overrides`: a word of n characters, traditional or simplified, to 2 n symbols, or to n syllables that `pair` knows
    (by default pinyin with tone figures). Words in other letters are passed over.
    Raises TextError `bad_override` for any other number.
    """
    if not overrides:
        return spoken
    given = {simplify(word): list(phones) for word, phones in overrides.items() if word and not word.isascii()}
    lengths = sorted({len(word) for word in given}, reverse=True)
    text = "".join(character for character, _ in spoken)
    out: Spoken = []
    while len(out) < len(text):
        place = len(out)
        word = next((w for w in (text[place : place + n] for n in lengths) if w in given), None)
        if word is None:
            out.append(spoken[place])
        else:
            out += zip(word, _pairs(word, given[word], pair), strict=True)
    return out


def _pairs(word: str, phones: list[str], pair: Callable[[str], list[str]]) -> list[list[str]]:
    if len(phones) == len(word):
        pairs = [pair(syllable) for syllable in phones]
        if all(symbols != [UNKNOWN] for symbols in pairs):
            return pairs
    elif len(phones) == 2 * len(word):
        return [phones[at : at + 2] for at in range(0, len(phones), 2)]
    raise TextError(
        "bad_override", f"the pronunciation of {word!r} needs two symbols or one syllable with its tone a character"
    )


def latin(overrides: Mapping[str, Sequence[str]] | None) -> dict[str, Sequence[str]]:
    """The words among them that are written in ASCII letters: English between Chinese characters."""
    return {word: phones for word, phones in (overrides or {}).items() if word.isascii()}
