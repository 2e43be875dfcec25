"""Mandarin: characters to initials and finals with tones, as the official models read them.

Words by jieba, readings by pypinyin or a mounted polyphone model, tone sandhi and erhua by upstream's rules
(`chinese2.py`; `chinese.py` for v1 models). A syllable is two symbols: its initial (for syllables without one a doubled
capital such as `AA`) and its final with the tone 1..5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cloning.engine.errors import TextError
from cloning.engine.text import mandarin_sandhi
from cloning.engine.text.chinese_normalise import sentences
from cloning.engine.text.chinese_overrides import latin, override
from cloning.engine.text.mandarin_syllables import initial_final, syllables
from cloning.engine.text.mandarin_words import words
from cloning.engine.text.polyphones import Polyphones
from cloning.engine.text.reading import Reading
from cloning.engine.text.symbols import UNKNOWN

_MARKS = {
    "：": ",", "；": ",", "，": ",", "。": ".", "！": "!", "？": "?", "\n": ".", "·": ",", "、": ",", "$": ".",
    "/": ",", "—": "-", "~": "…", "～": "…",
}  # fmt: skip
_UPSTREAM_MARKS = str.maketrans(_MARKS)
_OUR_MARKS = str.maketrans({**_MARKS, "—": ",", "–": ",", ";": ",", ":": ",", "\r": ".", "’": "'"})
_HUMS = str.maketrans({"嗯": "恩", "呣": "母"})
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f〇"
_LATIN = r"[A-Za-z]+(?:'[A-Za-z]+)*"
#: Signs for a long and a longer silence, and the symbols they become.
_SILENCES = {"￥": "SP2", "^": "SP3"}
#: They wait as private characters while the text is normalised: nothing else can look like them.
_WAITING = {"\ue000": "SP2", "\ue001": "SP3"}
_SPOKEN_AS_MARK = "!?…,." + "-"
_UPSTREAM_KEEPS = re.compile(rf"[^\u4e00-\u9fa5{_SPOKEN_AS_MARK}]+")
_OUR_KEEPS = re.compile(rf"[^{_HAN}A-Za-z' {''.join(_WAITING)}{_SPOKEN_AS_MARK}]+")
#: Spaces and apostrophes that do not stand between Latin letters.
_STRAY = re.compile(r"(?<![A-Za-z])[ ']+|[ ']+(?![A-Za-z])")
_RUN = re.compile(rf"[{_HAN}]+[{_SPOKEN_AS_MARK}]?|{_LATIN}|[{''.join(_WAITING)}{_SPOKEN_AS_MARK}]")


def normalise(text: str, *, compat: bool = False) -> str:
    """Text as it is read: simplified characters and the marks `! ? … , . -`, never two in a row.

    `compat`: as upstream's text_normalize, which drops Latin letters. Else Latin words stay.
    Raises TextError `unsupported_characters` for letters that are neither Han nor Latin (not with `compat`).
    """
    return _normalise(text, compat=compat).translate({ord(sign): "," for sign in _WAITING})


def _normalise(text: str, *, compat: bool) -> str:
    # Three dots are one mark; the order matters, for the single dots are marks too.
    marked = "".join(
        sentence.translate(_HUMS).replace("...", "…").translate(_UPSTREAM_MARKS if compat else _OUR_MARKS)
        for sentence in sentences(text, compat=compat)
    )
    if compat:
        marks = re.escape(_SPOKEN_AS_MARK)
        return re.sub(f"([{marks}])[{marks}]+", r"\1", _UPSTREAM_KEEPS.sub("", marked))
    for character in marked:
        if character.isalpha() and not re.match(rf"[{_HAN}A-Za-z]", character):
            raise TextError("unsupported_characters", f"{character!r} cannot be read as Mandarin")
    marks = f"[{re.escape(_SPOKEN_AS_MARK)}{''.join(_WAITING)}]"
    return re.sub(f"{marks}{marks}+", _one_mark, _STRAY.sub("", _OUR_KEEPS.sub("", marked)))


def _one_mark(match: re.Match[str]) -> str:
    """Of several marks the first, but a silence that was asked for wins."""
    return next((sign for sign in match[0] if sign in _WAITING), match[0][0])


def read(
    text: str,
    *,
    version: str = "v2",
    compat: bool = False,
    overrides: Mapping[str, Sequence[str]] | None = None,
    polyphones: Polyphones | None = None,
) -> Reading:
    """Checked text to its reading, one entry for each character or mark; a Latin word is one entry.

    `version`: "v1" leaves erhua out, as upstream does for v1 models. `compat`: upstream's reading in every detail:
    Latin words are dropped, and with a silence sign (￥ = SP2, ^ = SP3) all commas become that silence. Else Latin
    words are read as English, and only the sign itself is silent (￥ before a figure is money).
    `overrides`: words of 1..n characters to their symbols, two a character, or to as many pinyin syllables.
    `polyphones`: a mounted model that chooses readings by context; without it they come from the dictionary.
    Raises TextError `unsupported_characters` (not with `compat`), `bad_override`.
    """
    silence = None
    if compat:
        # Upstream looks for the first sign only.
        sign = next((sign for sign in _SILENCES if sign in text), None)
        if sign is not None:
            text, silence = text.replace(sign, ","), _SILENCES[sign]
    else:
        text = re.sub(f"[{''.join(_WAITING)}]", "", text)
        text = re.sub(r"￥(?![0-9０-９])", "\ue000", text).replace("^", "\ue001")
    normalised = _normalise(text, compat=compat)
    spoken: list[tuple[str, list[str]]] = []
    for token in _RUN.findall(normalised):
        if token in _WAITING:
            spoken.append((",", [_WAITING[token]]))
        elif re.match("[A-Za-z]", token):
            spoken.append((token, _english(token, version, overrides)))
        else:
            spoken += override(_han(token, version, polyphones, compat=compat), overrides)
    if silence is not None:
        spoken = [(word, [silence if symbol == "," else symbol for symbol in symbols]) for word, symbols in spoken]
    return Reading(normalised.translate({ord(sign): "," for sign in _WAITING}), spoken)


def _english(word: str, version: str, overrides: Mapping[str, Sequence[str]] | None) -> list[str]:
    from cloning.engine.text import english

    return english.read(word, version=version, overrides=latin(overrides)).symbols


def _han(run: str, version: str, polyphones: Polyphones | None, *, compat: bool) -> list[tuple[str, list[str]]]:
    """Characters up to their mark, and the mark."""
    chosen = polyphones.readings(run) if polyphones else None
    spoken: list[tuple[str, list[str]]] = []
    for word in words(run):
        if chosen is None or polyphones is None:
            names, tones = syllables(word.text)
        else:
            names, tones = polyphones.corrected(word.text, chosen[len(spoken) : len(spoken) + len(word.text)])
        mandarin_sandhi.apply(word, tones, compat=compat)
        if version != "v1":
            mandarin_sandhi.erhua(word, names, tones)
        for character, name, tone in zip(word.text, names, tones, strict=True):
            if tone:
                symbols = initial_final(f"{name}{tone}")
            else:
                symbols = [character] if character in _SPOKEN_AS_MARK else [UNKNOWN]
            spoken.append((character, symbols))
    return spoken
