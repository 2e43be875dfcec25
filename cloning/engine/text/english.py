"""English: written-out words to ARPAbet with stress, by the CMU dictionary, then by spelling.

Honest limits: one pronunciation for each spelling (no part of speech, so "read" and "record" are read one way), and
unknown compounds are sounded out, not taken apart.
"""

from __future__ import annotations

import functools
import gzip
import re
import unicodedata
from importlib import resources

from cloning.engine.errors import TextError
from cloning.engine.text.english_numbers import write_out
from cloning.engine.text.letters import sound_out

#: Names the world agrees on but the dictionary lacks.
_OWN_WORDS = {"ok": "OW2 K EY1", "wifi": "W AY1 F AY2", "miz": "M IH1 Z", "app": "AE1 P"}
#: The dictionary's first entry for these is the weak or wrong one when a letter is named.
_LETTER_NAMES = {"a": "EY1"}
_MARKS = {
    "，": ",", "、": ",", ";": ",", "；": ",", ":": ",", "：": ",", "。": ".", "！": "!", "？": "?", "—": ",", "–": ",",
    "...": "…", "(": ",", ")": ",", "（": ",", "）": ",", "[": ",", "]": ",", "\n": ".", "\r": ".",
}  # fmt: skip
_QUOTES = str.maketrans({"‘": "'", "’": "'", "ʼ": "'", "“": " ", "”": " ", '"': " ", "«": " ", "»": " ", "_": " "})
_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)*'?|[.,!?…]", re.I)
#: Letters that NFD does not take apart.
_FOLD = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "đ": "d", "ł": "l", "Ł": "L", "œ": "oe"})
_VOICELESS = frozenset({"P", "T", "K", "F", "TH"})
_HISSING = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})


@functools.lru_cache(maxsize=1)
def lexicon() -> dict[str, str]:
    """Lower-case word to its phones in one string; 126,000 entries, about 20 MB in memory."""
    raw = resources.files("cloning.engine.text").joinpath("data/cmudict.txt.gz").read_bytes()
    table = dict(line.split(" ", 1) for line in gzip.decompress(raw).decode("ascii").splitlines())
    table.update(_OWN_WORDS)
    return table


def read(text: str) -> tuple[str, list[tuple[str, list[str]]]]:
    """Checked text to (text as it is read, [(word or mark, symbols)]).

    Raises TextError `unsupported_characters` for letters of other scripts: dropping them would change what is said.
    """
    text = unicodedata.normalize("NFD", text.translate(_FOLD))
    text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    text = unicodedata.normalize("NFKC", text.translate(_QUOTES))
    for character in text:
        if character.isalpha() and not character.isascii():
            raise TextError("unsupported_characters", f"{character!r} cannot be read as English")
    text = write_out(text)
    for mark, reading in _MARKS.items():
        text = text.replace(mark, reading)
    # A dash between spaces is a pause; inside a word it only joins.
    text = re.sub(r"\s-+\s", ", ", text).replace("-", " ")
    shouting = not any(c.islower() for c in text)
    words: list[tuple[str, list[str]]] = []
    for token in _TOKEN.findall(text):
        if not token[0].isalpha():
            # Of several marks in a row the first is spoken.
            if words and words[-1][1] and words[-1][1][-1] in ",.!?…":
                continue
            words.append((token, [token]))
        else:
            words.append((token, pronounce(token, spell_capitals=not shouting)))
    normalised = re.sub(r" (?=[,.!?…])", "", " ".join(word for word, _ in words))
    return normalised, words


def pronounce(word: str, *, spell_capitals: bool = True) -> list[str]:
    """Phones of one word (letters and apostrophes). Short or unknown words in capitals are spelled."""
    table = lexicon()
    lower = word.lower().rstrip("'")
    if spell_capitals and word.isupper() and len(lower) >= 2 and (len(lower) <= 3 or lower not in table):
        return _spell(lower)
    if lower in table:
        return table[lower].split()
    if lower.endswith("'s"):
        return _with_s(pronounce(lower[:-2], spell_capitals=False))
    if "'" in lower:
        return [sound for part in lower.split("'") if part for sound in pronounce(part, spell_capitals=False)]
    # OpenAI, ChatGPT: capitals inside a word part it.
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", word)
    if spell_capitals and len(parts) > 1:
        return [sound for part in parts for sound in pronounce(part)]
    if not re.search("[aeiouy]", lower):
        return _spell(lower)
    if lower.endswith("s") and lower[:-1] in table:
        return _with_s(table[lower[:-1]].split())
    return list(sound_out(lower)) or _spell(lower)


def _spell(letters: str) -> list[str]:
    return [s for c in letters if c.isalpha() for s in (_LETTER_NAMES.get(c) or lexicon()[c]).split()]


def _with_s(sounds: list[str]) -> list[str]:
    if sounds and sounds[-1] in _HISSING:
        return [*sounds, "IH0", "Z"]
    return [*sounds, "S" if sounds and sounds[-1] in _VOICELESS else "Z"]
