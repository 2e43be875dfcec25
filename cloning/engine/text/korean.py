"""Korean: text to letters of hangul as they sound.

Follows upstream's text/korean.py with g2pk2 0.0.3: Latin letters become their names, morphemes (mecab-ko) say where
verbs and counters are, numbers are written out, the standard pronunciation is applied (`korean_rules`), syllables fall
apart into letters and diphthongs into two. A space is "空"; what the models do not know is the pause "停".

What upstream gets wrong and the default repairs (`compat=True` keeps it): a rule for the names of letters changes every
"eu" (끝이 is read 끄시); some cells of the rule table are damaged; numbers that count nothing are read digit by digit;
the 1 of 11번째 becomes "first"; units and "mp3" are spelled before their word is looked up.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from cloning.engine.text.korean_numbers import spell
from cloning.engine.text.korean_rules import DIPHTHONGS, LETTERS, annotated, decomposed, irregular, pronounced
from cloning.engine.text.reading import Reading
from cloning.engine.text.symbols import INDEX

if TYPE_CHECKING:
    from mecab import MeCab

SPACE, STOP = "空", "停"
_NAMES = {
    **{"a": "에이", "b": "비", "c": "시", "d": "디", "e": "이", "f": "에프", "g": "지", "h": "에이치", "i": "아이"},
    **{"j": "제이", "k": "케이", "l": "엘", "m": "엠", "n": "엔", "o": "오", "p": "피", "q": "큐", "r": "아르"},
    **{"s": "에스", "t": "티", "u": "유", "v": "브이", "w": "더블유", "x": "엑스", "y": "와이", "z": "제트"},
}
#: Two more signs that Python's regular expressions take for letters from a to z.
_NAMES |= {"ſ": _NAMES["s"], "\u212a": _NAMES["k"]}
_LETTER = re.compile("[a-z]", re.IGNORECASE)
_MARKS = str.maketrans(
    {"：": ",", "；": ",", "，": ",", "。": ".", "！": "!", "？": "?", "\n": ".", "·": ",", "、": ","}
)
_LAST_LETTER = re.compile("[\u3131-\u3163]")
#: Where a word may begin: not inside a run of hangul or of letters.
_INSIDE = "(?<![가-힣A-Za-z])"


@lru_cache(maxsize=1)
def _analyser() -> MeCab:
    from mecab import MeCab

    return MeCab()


@lru_cache(maxsize=1024)
def _letters(text: str, compat: bool) -> str:
    """A text as it sounds, in letters of the symbol table, with spaces and marks as they are."""
    if not compat:
        text = irregular(text)
    text = _LETTER.sub(lambda letter: _NAMES.get(letter[0]) or _NAMES[letter[0].lower()], text)
    if compat:
        text = irregular(text, compat=True)
    clean = re.sub("[\ud800-\udfff]", "\ufffd", text)
    text = annotated(clean, _analyser().pos(clean))
    text = pronounced(decomposed(spell(text, compat=compat)), compat=compat)
    text = text.translate(LETTERS).translate(DIPHTHONGS)
    # g2pk2 turns the n after an object particle into l; upstream turns it back
    return re.sub("([ㅇㄹ]ㅡㄹ )ㄹ", r"\1ㄴ", text)


def _symbol(sign: str) -> str:
    sign = SPACE if sign == " " else sign.translate(_MARKS)
    return sign if sign in INDEX else STOP


def _parts(text: str, overrides: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Sequence[str] | None]]:
    """Words that have an override, longest first, and what lies between them (None)."""
    words = sorted((word for word in overrides if word), key=len, reverse=True)
    known = {word.lower(): overrides[word] for word in words}
    pattern = re.compile(_INSIDE + f"(?:{'|'.join(map(re.escape, words))})", re.IGNORECASE)
    end = 0
    for match in pattern.finditer(text) if words else ():
        if match.start() > end:
            yield text[end : match.start()], None
        yield match[0], known[match[0].lower()]
        end = match.end()
    if end < len(text):
        yield text[end:], None


def _chunks(text: str, symbols: list[str]) -> list[tuple[str, list[str]]]:
    """Words and spaces with their symbols; the whole text as one chunk where upstream has lost a space."""
    words = re.split(f"([ {SPACE}])", text)
    said: list[list[str]] = [[]]
    for symbol in symbols:
        if symbol == SPACE:
            said += [[symbol], []]
        else:
            said[-1].append(symbol)
    if len(words) != len(said):
        return [(text, symbols)]
    chunks: list[tuple[str, list[str]]] = []
    for word, spoken in zip(words, said, strict=True):
        marks: list[tuple[str, list[str]]] = []
        while len(word) > 1 and len(spoken) > 1 and not word[-1].isalnum() and spoken[-1] == _symbol(word[-1]):
            marks.insert(0, (word[-1], [spoken[-1]]))
            word, spoken = word[:-1], spoken[:-1]
        chunks += [(word, spoken), *marks] if word else []
    return chunks


def read(
    text: str,
    *,
    version: str = "v2",
    compat: bool = False,
    overrides: Mapping[str, Sequence[str]] | None = None,
) -> Reading:
    """Read a Korean text: chunks are words, spaces and the marks after words. A text that ends without a mark gets ".".

    version: v1 knows no Korean; its readings come from the v2 table. compat: keep what upstream gets wrong. overrides:
    word as written (from the start of a word on, particles may follow) -> symbols; what follows is read by itself.
    """
    if not compat:
        text = "".join(str(unicodedata.digit(sign)) if sign.isdecimal() else sign for sign in text)
    words: list[tuple[str, list[str]]] = []
    for part, given in _parts(text, overrides or {}):
        if given is not None:
            words.append((part, list(given)))
        else:
            words += _chunks(part, [_symbol(sign) for sign in _letters(part, compat)])
    symbols = [symbol for _, said in words for symbol in said]
    if symbols and _LAST_LETTER.fullmatch(symbols[-1]):
        words[-1][1].append(".")
    elif compat and text.endswith("\n") and len(symbols) > 1 and _LAST_LETTER.fullmatch(symbols[-2]):
        # upstream's pattern for the end of the text also matches before a last line break
        words[-1][1].insert(-1, ".")
    return Reading(text, words)
