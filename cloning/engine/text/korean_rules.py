"""Standard pronunciation of Korean (표준 발음법) on decomposed hangul, rule by rule in the order of g2pK.

Texts here are conjoining jamo (U+1100 to U+11C2) with marks after some syllables: /E and /P, a verb's ending or stem
whose final consonant hardens what follows, and /B, a counter. Numbers in comments are articles of the standard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import resources
from typing import Any

FIRST, LAST = 0xAC00, 0xD7A3
ONSETS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
CODAS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
#: Conjoining jamo -> the letters of the symbol table.
LETTERS = {
    **{0x1100 + place: letter for place, letter in enumerate(ONSETS)},
    **{0x1161 + place: chr(0x314F + place) for place in range(21)},
    **{0x11A8 + place: letter for place, letter in enumerate(CODAS)},
}
#: Diphthongs are two symbols.
DIPHTHONGS = str.maketrans(
    {
        **{"ㅘ": "ㅗㅏ", "ㅙ": "ㅗㅐ", "ㅚ": "ㅗㅣ", "ㅝ": "ㅜㅓ", "ㅞ": "ㅜㅔ", "ㅟ": "ㅜㅣ", "ㅢ": "ㅡㅣ"},
        **{"ㅑ": "ㅣㅏ", "ㅒ": "ㅣㅐ", "ㅕ": "ㅣㅓ", "ㅖ": "ㅣㅔ", "ㅛ": "ㅣㅗ", "ㅠ": "ㅣㅜ"},
    }
)
_HARD = str.maketrans("ᄀᄃᄇᄉᄌ", "ᄁᄄᄈᄊᄍ")
#: Final consonants that carry over to a vowel: alone (13), or their second half (14).
_CARRIED = dict(zip("ᆨᆩᆫᆮᆯᆷᆸᆺᆻᆽᆾᆿᇀᇁ", "ᄀᄁᄂᄃᄅᄆᄇᄉᄊᄌᄎᄏᄐᄑ", strict=True))
_HALF_CARRIED = {
    **{"ᆪ": "ᆨᄊ", "ᆬ": "ᆫᄌ", "ᆰ": "ᆯᄀ", "ᆱ": "ᆯᄆ", "ᆲ": "ᆯᄇ", "ᆳ": "ᆯᄊ", "ᆴ": "ᆯᄐ", "ᆵ": "ᆯᄑ", "ᆹ": "ᆸᄊ"},
    **{"ᇂ": "ᄋ", "ᆭ": "ᄂ", "ᆶ": "ᄅ"},
}
#: Endings after which the standard lists a hard sound (27).
_HARD_ENDINGS = ("걸", "밖에", "세라", "수록", "지라도", "지언정", "진대")


def decomposed(text: str) -> str:
    """Hangul syllables -> conjoining jamo; everything else stays."""
    out = []
    for sign in text:
        if not FIRST <= ord(sign) <= LAST:
            out.append(sign)
            continue
        onset, rest = divmod(ord(sign) - FIRST, 588)
        vowel, coda = divmod(rest, 28)
        out.append(chr(0x1100 + onset) + chr(0x1161 + vowel) + (chr(0x11A7 + coda) if coda else ""))
    return "".join(out)


def annotated(text: str, tokens: Iterable[tuple[str, str]]) -> str:
    """Hangul with marks, from morphemes and their tags (mecab-ko); without, where morphemes do not spell the text."""
    tokens = list(tokens)
    if text.replace(" ", "") != "".join(surface for surface, _ in tokens):
        return text
    ends: list[str] = []
    for surface, tag in tokens:
        tag = tag.split("+")[-1]
        ends += [""] * (len(surface) - 1) + ["B" if tag == "NNBC" else tag[:1]]
    out = []
    place = 0
    for sign in text:
        out.append(sign)
        if sign == " ":
            continue
        kind = ends[place]
        place += 1
        final = decomposed(sign)[-1]
        if kind == "B" or (kind == "E" and final == "ᆯ"):
            out.append(f"/{kind}")
        elif kind == "V" and final in "ᆫᆬᆷᆱᆰᆲᆴ":
            out.append("/P")
    return "".join(out)


@lru_cache(maxsize=1)
def _tables() -> dict[str, Any]:
    path = resources.files("cloning.engine.text").joinpath("data/korean_sounds.json")
    tables: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return tables


@lru_cache(maxsize=2)
def _word_rules(compat: bool) -> list[tuple[re.Pattern[str], str]]:
    """Words whose sound no rule gives; the default does not find "1st" in "11st"."""
    return [
        (re.compile(re.escape(word) if compat or not word[0].isdigit() else rf"(?<!\d){re.escape(word)}"), said)
        for word, said in _tables()["words"].items()
    ]


def irregular(text: str, *, compat: bool = False) -> str:
    """Spell words with an irregular sound as they sound."""
    for pattern, said in _word_rules(compat):
        text = pattern.sub(said, text)
    return text


@lru_cache(maxsize=2)
def _coda_rules(compat: bool) -> list[tuple[str, re.Pattern[str], str]]:
    """Final consonant, what it meets, what both become: articles 9 to 12, 18 to 20 and 23."""
    rules = []
    for coda, row in _tables()["codas"].items():
        cells = row if compat else {**row, **_tables()["repairs"].get(coda, {})}
        # the end of a word is looked for last, because a space may stand between two syllables that meet
        for onset, said in sorted(cells.items(), key=lambda cell: cell[0] == "end"):
            meets = r"(\W|$)" if onset == "end" else f"( ?){onset}"
            rules.append((coda, re.compile(coda + meets), said.replace("_", r"\1")))
    return rules


Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


def _hardened(match: re.Match[str]) -> str:
    return match[1] + match[2].translate(_HARD)


def _upstream_class(syllable: str) -> str:
    return f"([{decomposed(syllable)}])"


_LETTER_NAMES: list[Rule] = [
    (re.compile(f"({decomposed('디그')})ᆮᄋ"), r"\1ᄉ"),
    (re.compile(f"({'|'.join(map(decomposed, ('지으', '치으', '티으', '히으')))})[ᆽᆾᇀᇂ]ᄋ"), r"\1ᄉ"),
    (re.compile(f"({decomposed('키으')})ᆿᄋ"), r"\1ᄀ"),
    (re.compile(f"({decomposed('피으')})ᇁᄋ"), r"\1ᄇ"),
]
#: Upstream's form of the same article (16): its brackets hold the parts of a syllable, so that any "eu" counts.
_LETTER_NAMES_UPSTREAM: list[Rule] = [
    (re.compile(_upstream_class("그") + "ᆮᄋ"), r"\1ᄉ"),
    (re.compile(_upstream_class("으") + "[ᆽᆾᇀᇂ]ᄋ"), r"\1ᄉ"),
    (re.compile(_upstream_class("으") + "ᆿᄋ"), r"\1ᄀ"),
    (re.compile(_upstream_class("으") + "ᇁᄋ"), r"\1ᄇ"),
]
_BEFORE_NAMES: list[Rule] = [
    (re.compile("([ᄌᄍᄎ])ᅧ"), r"\1ᅥ"),  # 5, but 1
    (re.compile("([ᄀᄁᄂᄃᄄᄅᄆᄇᄈᄉᄊᄌᄍᄎᄏᄐᄑᄒ])ᅴ"), r"\1ᅵ"),  # 5, but 3
]
#: Upstream does not palatalise before "yeo" after h, and forgets that the "yeo" it makes is "eo" (닫혀, 붙여).
_CLOSED: list[Rule] = [
    (re.compile(f"ᆮ{decomposed('혀')}"), decomposed("처")),
    (re.compile(f"ᆮ{decomposed('여')}"), decomposed("저")),
    (re.compile(f"ᇀ{decomposed('여')}"), decomposed("처")),
    (re.compile(f"ᆴ{decomposed('여')}"), "ᆯ" + decomposed("처")),
]
_AFTER_NAMES: list[Rule] = [
    (re.compile("ᆰ/P[ᄀᄁ]"), "ᆯᄁ"),  # 11, but
    (re.compile("([ᆲᆴ])/P([ᄀᄃᄉᄌ])"), _hardened),  # 25
    (re.compile("([ᆫᆷ])/P([ᄀᄃᄉᄌ])"), _hardened),  # 24
    (re.compile("ᆬ/P([ᄀᄃᄉᄌ])"), lambda match: "ᆫ" + match[1].translate(_HARD)),
    (re.compile("ᆱ/P([ᄀᄃᄉᄌ])"), lambda match: "ᆷ" + match[1].translate(_HARD)),
    (re.compile(f"({decomposed('바')})ᆲ($|[^ᄋᄒ])"), r"\1ᆸ\2"),  # 10, but
    (re.compile(f"({decomposed('너')})ᆲ([ᄌᄍᄃᄄ]ᅮ)"), r"\1ᆸ\2"),
    (re.compile("ᆮᄋ([ᅵᅧ])"), r"ᄌ\1"),  # 17
    (re.compile("ᇀᄋ([ᅵᅧ])"), r"ᄎ\1"),
    (re.compile("ᆴᄋ([ᅵᅧ])"), r"ᆯᄎ\1"),
    (re.compile("ᆮ" + decomposed("히")), decomposed("치")),
    (re.compile("(ᆯ)/E( [ᄀᄃᄇᄉᄌ])"), _hardened),  # 27
    *(
        (re.compile(f"ᆯ{decomposed(ending)}"), "ᆯ" + decomposed(ending)[0].translate(_HARD) + decomposed(ending)[1:])
        for ending in _HARD_ENDINGS
    ),
    (re.compile("/[PJEB]"), ""),
]
_LINKED = re.compile(f"([{''.join(_CARRIED)}{''.join(_HALF_CARRIED)}])ᄋ")


def pronounced(jamo: str, *, compat: bool = False) -> str:
    """Annotated jamo as written -> jamo as spoken, without annotations."""
    names = _LETTER_NAMES_UPSTREAM if compat else _LETTER_NAMES
    for pattern, said in (*_BEFORE_NAMES, *names, *([] if compat else _CLOSED), *_AFTER_NAMES):
        jamo = pattern.sub(said, jamo)
    for coda, pattern, replacement in _coda_rules(compat):
        if coda in jamo:
            jamo = pattern.sub(replacement, jamo)
    linked = {**_CARRIED, **_HALF_CARRIED}
    jamo = _LINKED.sub(lambda match: linked[match[1]], jamo)
    return re.sub("(^|[^\u1100-\u1112])([\u1161-\u1175])", r"\1ᄋ\2", jamo)
