"""English: text to ARPAbet with stress, by dictionary, by the parts of a compound, then by spelling.

There are two readers. The one with `compat` does what GPT-SoVITS's text/english.py does, step by step, for parity; its
part of speech is always a noun. The default one speaks the text as a person would: it keeps the pauses of dashes and
semicolons, says addresses, units and titles in full, and refuses letters it cannot read instead of dropping them.

Honest limits: parts of speech are guessed from the neighbouring words for a table of homographs only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from cloning.engine.errors import TextError
from cloning.engine.text import english_homographs, english_upstream
from cloning.engine.text.english_lexicon import HISSING, VOICELESS, more, names, spell, upstream
from cloning.engine.text.english_segment import segment
from cloning.engine.text.english_writing import apart, write_out
from cloning.engine.text.letters import sound_out
from cloning.engine.text.reading import Reading
from cloning.engine.text.symbols import INDEX

_MARKS = {
    "，": ",", "、": ",", ";": ",", "；": ",", ":": ",", "：": ",", "。": ".", "！": "!", "？": "?", "—": ",", "–": ",",
    "...": "…", "(": ",", ")": ",", "（": ",", "）": ",", "[": ",", "]": ",", "\n": ".", "\r": ".",
}  # fmt: skip
_QUOTES = str.maketrans({"‘": "'", "’": "'", "ʼ": "'", "“": " ", "”": " ", '"': " ", "«": " ", "»": " ", "_": " "})
_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)*(?:(?<=s)')?|[.,!?…]", re.I)
#: Letters that NFD does not take apart.
_FOLD = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "đ": "d", "ł": "l", "Ł": "L", "œ": "oe"})
#: Short words in capitals that are words said with force, not initials.
_STRESSED = frozenset(
    str.split(
        "no go yes hey hi oh ok wow why how now not the and you out off up on in we he me my do so if is to of be bye "
        "all new end big one two six ten get got big any can did day man men she her his him our run see was are had"
    )
)
#: Initials that are said as a word.
_ACRONYMS = frozenset(str.split("gif ram rom sim pin lan zip"))
#: Shorter parts of a compound are too often no words at all.
_SHORTEST_PART = 3
#: Longer strings of letters are no compounds, and taking them apart is slow.
_LONGEST_COMPOUND = 48

Words = list[tuple[str, list[str]]]


def read(
    text: str,
    *,
    version: str = "v2",
    compat: bool = False,
    overrides: Mapping[str, Sequence[str]] | None = None,
) -> Reading:
    """The text as it is read, and its words and marks with their symbols.

    `version`: the symbol table, "v1" or "v2"; English has the same symbols in both. `compat`: upstream's reading,
    oddities included. `overrides`: words in lower case -> their phones, before every dictionary; a following 's is
    added by rule.

    Raises TextError `unsupported_characters` for letters of other scripts (never with `compat`: upstream drops them),
    `bad_override` for an override with a symbol that does not exist, EngineError `missing_data` without the data
    packages (g2p-en, wordsegment).
    """
    reader = english_upstream.read if compat else _read
    if not overrides:
        return Reading(*reader(text))
    for word, phones in overrides.items():
        if not word.strip() or not phones or any(phone not in INDEX for phone in phones):
            raise TextError("bad_override", f"the pronunciation given for {word!r} is not made of known symbols")
    normalised: list[str] = []
    words: Words = []
    for piece, given in _split(text, overrides):
        spoken, found = (piece, [(piece, given)]) if given else reader(piece)
        normalised.append(spoken)
        words += found
    return Reading(re.sub(r" (?=[,.!?…])", "", " ".join(part.strip() for part in normalised if part.strip())), words)


def _split(text: str, overrides: Mapping[str, Sequence[str]]) -> list[tuple[str, list[str]]]:
    """Text cut around the overridden words: (piece, its phones or [])."""
    table = {word.lower(): list(phones) for word, phones in overrides.items()}
    alternatives = "|".join(re.escape(word) for word in sorted(table, key=len, reverse=True))
    pieces: list[tuple[str, list[str]]] = []
    end = 0
    for match in re.finditer(rf"(?<![\w'’])({alternatives})(['’]s)?(?![\w'’])", text, re.I):
        # Folding case may change a word's length in other scripts; such a match is left to the dictionaries.
        phones = table.get(match[1].lower())
        if phones is not None:
            pieces += [(text[end : match.start()], []), (match[0], _with_s(phones) if match[2] else phones)]
            end = match.end()
    return [*pieces, (text[end:], [])]


def _read(text: str) -> tuple[str, Words]:
    text = unicodedata.normalize("NFD", apart(text).translate(_FOLD))
    text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    text = unicodedata.normalize("NFKC", text.translate(_QUOTES))
    for character in text:
        if character.isalpha() and not character.isascii():
            raise TextError("unsupported_characters", f"{character!r} cannot be read as English")
    # Before figures become words: those are in small letters.
    shouting = text.isupper() and len(re.findall("[A-Z]{2,}", text)) > 1
    text = write_out(text)
    for mark, reading in _MARKS.items():
        text = text.replace(mark, reading)
    # A dash between spaces is a pause; inside a word it only joins.
    text = re.sub(r"\s-+\s", ", ", text).replace("-", " ")
    found = _TOKEN.findall(text)
    lower = [token.lower() for token in found]
    words: Words = []
    for place, token in enumerate(found):
        if not token[0].isalpha():
            # Of several marks in a row the first is spoken.
            if words and words[-1][1] and words[-1][1][-1] in ",.!?…":
                continue
            words.append((token, [token]))
        else:
            words.append((token, _in_place(found, lower, place) or pronounce(token, spell_capitals=not shouting)))
    return re.sub(r" (?=[,.!?…])", "", " ".join(word for word, _ in words)), words


def _in_place(found: list[str], lower: list[str], place: int) -> list[str] | None:
    """Phones that depend on the neighbours: those of homographs, and of A, which is the letter within a sentence."""
    if found[place] == "A" and place and found[place - 1] not in ".!?…" and not found[place - 1].isupper():
        return ["EY1"]
    return english_homographs.reading(lower, place)


def lexicon(word: str) -> list[str] | None:
    """Phones of a lower-case word that a dictionary has: CMUdict, then newer words, then names."""
    for table in (upstream(), more(), names()):
        if word in table:
            return table[word].split()
    return None


def pronounce(word: str, *, spell_capitals: bool = True) -> list[str]:
    """Phones of one word (letters and apostrophes). Short or unknown words in capitals are spelled."""
    lower = word.lower().rstrip("'")
    known = lexicon(lower)
    initials = spell_capitals and word.isupper() and len(lower) >= 2 and lower not in _STRESSED | _ACRONYMS
    if initials and (len(lower) <= 3 or known is None):
        return spell(lower)
    if known is not None:
        return known
    if lower.endswith("'s") and lower.count("'") == 1:
        return _with_s(pronounce(word[: len(lower) - 2], spell_capitals=spell_capitals))
    if "'" in lower:
        return [sound for part in lower.split("'") if part for sound in pronounce(part, spell_capitals=False)]
    # OpenAI, ChatGPT: capitals inside a word part it.
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", word)
    if spell_capitals and len(parts) > 1:
        return [sound for part in parts for sound in pronounce(part)]
    if len(lower) <= 3 or not re.search("[aeiouy]", lower):
        return spell(lower)
    if lower.endswith("s") and (stem := lexicon(lower[:-1])):
        return _with_s(stem)
    parts = list(segment(lower)) if len(lower) <= _LONGEST_COMPOUND else []
    if len(parts) > 1 and all(len(part) >= _SHORTEST_PART and lexicon(part) for part in parts):
        return [sound for part in parts for sound in lexicon(part) or ()]
    return list(sound_out(lower)) or spell(lower)


def _with_s(sounds: list[str]) -> list[str]:
    if sounds and sounds[-1] in HISSING:
        return [*sounds, "IH0", "Z"]
    return [*sounds, "S" if sounds and sounds[-1] in VOICELESS else "Z"]
