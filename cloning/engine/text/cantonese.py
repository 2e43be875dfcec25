"""Cantonese: characters to initials and finals with tones, as the official models read them.

The Mandarin normaliser writes figures out and simplifies the characters, ToJyutping reads them; a syllable of Jyutping
is two symbols with a Y before them, the tone 1..6 on the second (upstream: `cantonese.py`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence

from cloning.engine.errors import TextError
from cloning.engine.text.chinese_normalise import sentences
from cloning.engine.text.chinese_overrides import latin, override
from cloning.engine.text.reading import Reading
from cloning.engine.text.symbols import UNKNOWN

_MARKS = {
    "：": ",", "；": ",", "，": ",", "。": ".", "！": "!", "？": "?", "\n": ".", "·": ",", "、": ",", "$": ".",
    "—": "-", "～": "-", "~": "-",
}  # fmt: skip
_UPSTREAM_MARKS = str.maketrans(_MARKS)
_OUR_MARKS = str.maketrans(
    {**_MARKS, "—": ",", "–": ",", ";": ",", ":": ",", "/": ",", "\r": ".", "～": "…", "~": "…", "’": "'"}
)
_SPOKEN_AS_MARK = "!?…,." + "-"
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f〇"
_UPSTREAM_KEEPS = re.compile(rf"[^\u4e00-\u9fa5{_SPOKEN_AS_MARK}]+")
_OUR_KEEPS = re.compile(rf"[^{_HAN}A-Za-z' {_SPOKEN_AS_MARK}]+")
#: Spaces and apostrophes that do not stand between Latin letters.
_STRAY = re.compile(r"(?<![A-Za-z])[ ']+|[ ']+(?![A-Za-z])")
_RUN = re.compile(rf"[{_HAN}{_SPOKEN_AS_MARK}]+|[A-Za-z]+(?:'[A-Za-z]+)*")
#: In upstream's order: the first that begins a syllable is its initial, and a syllable that is nothing else is said
#: with the last letter of its initial. Several are vowels: m4 is Ym Ym4, aa3 is Yaa Ya3, oi3 is Yoi Yi3.
_INITIALS = (
    "aa", "ai", "au", "ap", "at", "ak", "a", "p", "b", "e", "ts", "t", "dz", "d", "kw", "k", "gw", "g", "f", "h", "l",
    "m", "ng", "n", "s", "y", "w", "c", "z", "j", "ong", "on", "ou", "oi", "ok", "o", "uk", "ung",
)  # fmt: skip
_SYLLABLE = re.compile(r"([a-z]+)([1-6])")


@functools.lru_cache(maxsize=1)
def _reader() -> Callable[[str], list[tuple[str, str | None]]]:
    # Its dictionary is read at import, half a second that other languages need not wait.
    from ToJyutping import get_jyutping_list

    found: Callable[[str], list[tuple[str, str | None]]] = get_jyutping_list
    return found


def normalise(text: str, *, compat: bool = False) -> str:
    """Text as it is read: simplified characters and the marks `! ? … , . -`.

    `compat`: as upstream's text_normalize, which drops Latin letters and characters beyond U+9FA5, and keeps marks in
    a row. Raises TextError `unsupported_characters` for letters that are neither Han nor Latin (not with `compat`).
    """
    marked = "".join(
        sentence.replace("...", "…").translate(_UPSTREAM_MARKS if compat else _OUR_MARKS)
        for sentence in sentences(text if compat else text.replace("^", "").replace("￥", "¥"), compat=compat)
    )
    if compat:
        return _UPSTREAM_KEEPS.sub("", marked)
    for character in marked:
        if character.isalpha() and not re.match(rf"[{_HAN}A-Za-z]", character):
            raise TextError("unsupported_characters", f"{character!r} cannot be read as Cantonese")
    marks = re.escape(_SPOKEN_AS_MARK)
    return re.sub(rf"([{marks}])[{marks}]+", r"\1", _STRAY.sub("", _OUR_KEEPS.sub("", marked)))


def read(
    text: str,
    *,
    version: str = "v2",
    compat: bool = False,
    overrides: Mapping[str, Sequence[str]] | None = None,
) -> Reading:
    """Checked text to its reading, one entry for each character or mark; a Latin word is one entry.

    `compat`: upstream's reading in every detail; Latin words are dropped. Else they are read as English.
    `overrides`: words of 1..n characters to their symbols, two a character, or to as many syllables of Jyutping.
    `version` is taken for symmetry: v1 models speak no Cantonese.
    Raises TextError `unsupported_characters` (not with `compat`), `bad_override`.
    """
    normalised = normalise(text, compat=compat)
    spoken: list[tuple[str, list[str]]] = []
    for token in _RUN.findall(normalised):
        if re.match("[A-Za-z]", token):
            from cloning.engine.text import english

            spoken.append((token, english.read(token, version=version, overrides=latin(overrides)).symbols))
        else:
            spoken += override(_han(token, compat=compat), overrides, pair=initial_final)
    return Reading(normalised, spoken)


def _han(run: str, *, compat: bool) -> list[tuple[str, list[str]]]:
    spoken: list[tuple[str, list[str]]] = []
    for characters, syllable in _reader()(run):
        if syllable is not None:
            spoken.append((characters, _symbols(syllable, compat=compat)))
        else:
            # Marks, or characters that nobody can read, perhaps several at once.
            spoken += [(c, [c] if c in _SPOKEN_AS_MARK else [UNKNOWN]) for c in characters]
    return spoken


def _symbols(syllable: str, *, compat: bool) -> list[str]:
    """A character's Jyutping, now and then two syllables: upstream takes them for one, with the last one's tone."""
    if compat and " " in syllable:
        first = initial_final(syllable.split()[0])[0]
        return [first, f"Y{syllable[len(first) - 1 :]}"]
    return [symbol for one in syllable.split() for symbol in initial_final(one)]


def initial_final(syllable: str) -> list[str]:
    """Jyutping with a tone figure to two symbols: "hoeng1" -> Yh Yoeng1. What is no syllable gives [UNK]."""
    match = _SYLLABLE.fullmatch(syllable)
    initial = next((start for start in _INITIALS if match[1].startswith(start)), None) if match else None
    if match is None or initial is None:
        return [UNKNOWN]
    final = match[1][len(initial) :] or initial[-1]
    return [f"Y{initial}", f"Y{final}{match[2]}"]
