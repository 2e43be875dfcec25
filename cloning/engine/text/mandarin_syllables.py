"""Pinyin syllables, and the two symbols that the models know each of them by."""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Any

from pypinyin import Style, lazy_pinyin

from cloning.engine.text.symbols import UNKNOWN

_SYLLABLE = re.compile(r"([a-zê]+)([1-5])")
#: Interjections without a vowel are said as a short "en". 哟 is its vowel alone: the models learnt it so, because
#: upstream looks it up by its strict final.
_SAID_AS = {"n": "en", "ng": "en", "m": "en", "hm": "en", "hng": "en", "yo": "o"}
_INITIAL = re.compile(r"zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw]")


@functools.lru_cache(maxsize=1)
def _table() -> dict[str, tuple[str, str]]:
    text = resources.files("cloning.engine.text").joinpath("data/pinyin_symbols.txt").read_text("utf-8")
    rows = (line.split() for line in text.splitlines())
    return {syllable: (initial, final) for syllable, initial, final in rows}


def initial_final(syllable: str) -> list[str]:
    """Pinyin with a tone figure to two symbols: "zhong1" -> zh ong1, "yuan2" -> y van2, "an4" -> AA an4.

    A syllable without an initial has a doubled capital in its place. What is no syllable of the table gives [UNK]: it
    is kept as a sound nobody knows, not dropped.
    """
    match = _SYLLABLE.fullmatch(syllable.replace("ü", "v"))
    if match is None:
        return [UNKNOWN]
    tone = match[2]
    name = _SAID_AS.get(match[1], match[1]).replace("ê", "e")
    pair = _table().get(name) or _apart(name)
    return [pair[0], pair[1] + tone] if pair else [UNKNOWN]


def _apart(name: str) -> tuple[str, str] | None:
    """Dialect syllables that the table lacks, such as biang, are an initial and a final that it has."""
    initial = _INITIAL.match(name)
    final = name[initial.end() :] if initial else ""
    return (initial[0], final) if initial and final in {known for _, known in _table().values()} else None


def dictionary(text: str) -> list[str]:
    """pypinyin's readings with tone figures. What has none comes back character by character, so that places stay."""
    # Its annotation forgets that a list is welcome.
    apart: Any = list
    return lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True, errors=apart)


def syllables(word: str) -> tuple[list[str], list[int]]:
    """A word's dictionary readings by pypinyin: pinyin without tones, and the tones 1..5, one for each character.

    A mark, or a character that nobody can read, stands for itself with tone 0.
    """
    names, tones = [], []
    for syllable in dictionary(word):
        readable = len(syllable) > 1 and syllable[-1] in "12345"
        names.append(syllable[:-1] if readable else syllable)
        tones.append(int(syllable[-1]) if readable else 0)
    return names, tones
