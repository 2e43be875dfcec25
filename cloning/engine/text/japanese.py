"""Japanese: text to phones with pitch marks.

Follows upstream's text/japanese.py (with prosody): the text is cut at everything that is not kana, kanji, a letter or
a digit; every piece is read by Open JTalk's rules (`openjtalk`), every mark stays a mark. "#" (an accent phrase ends)
is in no symbol table, so that the models were trained to see "UNK" there; `clean` does the same.

What upstream gets wrong and the default repairs (`compat=True` keeps it): "％" is read but "%" is not; the voicing of
half-width kana is lost, and so are digits of other scripts; a decimal point ends the number before it, a thousands
comma tears it apart; brackets, quotes and other unspoken signs become "UNK" wherever they stand, not only between two
phrases.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from cloning.engine.text.openjtalk.prosody import BORDER, pronounce
from cloning.engine.text.reading import Reading
from cloning.engine.text.symbols import PUNCTUATION

#: What is read; everything else is a mark. "％" is read as a word.
_READ = re.compile(r"[A-Za-z\d\u3005\u3040-\u30ff\u4e00-\u9fff\uff11-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uff9d％]+")
_MARKS = str.maketrans(
    {"：": ",", "；": ",", "，": ",", "。": ".", "！": "!", "？": "?", "\n": ".", "·": ",", "、": ","}
)
#: Marks that say the same as one upstream knows.
_MORE_MARKS = str.maketrans({":": ",", ";": ",", "．": ".", "｡": ".", "､": ",", "‥": "…", "—": "-", "–": "-", "―": "-"})
_PERCENT = "パーセント"
_WIDE = {code: code + 0xFEE0 for code in range(ord("0"), ord("z") + 1) if chr(code).isalnum()}
_HALF_KANA = re.compile("[\uff66-\uff9f]+")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_DECIMAL = re.compile(r"(?<![\d.])(\d+)\.(\d+)(?![\d.])")
#: A word of these scripts ends where its script does.
_SCRIPTS = (re.compile("[\u30a1-\u30fa\u30fc]"), re.compile("[A-Za-z]"))


def _repaired(text: str) -> str:
    """What upstream loses, written so that it is read."""
    text = _HALF_KANA.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text)
    text = re.sub(r"\d", lambda digit: str(unicodedata.digit(digit[0])), text)
    text = text.replace("%", "％")
    text = _THOUSANDS.sub(lambda number: number[0].replace(",", ""), text)
    return _DECIMAL.sub(r"\1・\2", text)


@lru_cache(maxsize=1024)
def _piece(text: str) -> tuple[str, ...]:
    """Phones and marks of a piece without marks."""
    text = _HALF_KANA.sub(lambda run: "".join(unicodedata.normalize("NFKC", sign) for sign in run[0]), text)
    return tuple(pronounce(text.replace("％", _PERCENT).translate(_WIDE)))


def _same_script(before: str, after: str) -> bool:
    return any(script.match(before) and script.match(after) for script in _SCRIPTS)


def _words(piece: str, overrides: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, list[str]]]:
    """The piece in parts: words that have an override, longest first, and what lies between them.

    A word in katakana or letters must not be the middle of a longer one.
    """
    lower = piece.lower()
    known = {word.lower(): phones for word, phones in overrides.items() if word and word.lower() in lower}
    words = sorted(known.items(), key=lambda pair: -len(pair[0]))
    start = at = 0
    while at < len(piece):
        for word, phones in words:
            end = at + len(word)
            if (
                lower.startswith(word, at)
                and not (at and _same_script(piece[at - 1], piece[at]))
                and not (end < len(piece) and _same_script(piece[end - 1], piece[end]))
            ):
                if at > start:
                    yield piece[start:at], list(_piece(lower[start:at]))
                yield piece[at:end], list(phones)
                start = at = end
                break
        else:
            at += 1
    if start < len(piece):
        yield piece[start:], list(_piece(lower[start:]))


def read(
    text: str,
    *,
    version: str = "v2",
    compat: bool = False,
    overrides: Mapping[str, Sequence[str]] | None = None,
) -> Reading:
    """Read a Japanese text: chunks are the pieces between marks (and words with an override), and the marks.

    version: both symbol tables are read alike. compat: keep what upstream gets wrong. overrides: word as written
    (letters in either case) -> phones with pitch marks; the words beside it are read as if it were not there.
    Raises TextError (dictionary_missing, dictionary_damaged).
    """
    if not compat:
        text = _repaired(text)
    # upstream looks for pieces after lower-casing, which a few signs only survive as letters
    lower = text.lower()
    shown = text if len(lower) == len(text) else lower
    chunks: list[tuple[str, list[str]]] = []
    end = 0
    for match in _READ.finditer(lower):
        chunks += _marks(shown[end : match.start()], compat=compat)
        chunks += _words(shown[match.start() : match.end()], overrides or {})
        end = match.end()
    chunks += _marks(shown[end:], compat=compat)
    return Reading(text, chunks if compat else _tidied(chunks))


def _marks(text: str, *, compat: bool) -> list[tuple[str, list[str]]]:
    """Marks one by one without spaces; the default makes a border of what no model reads."""
    if compat:
        return [(sign, [sign.translate(_MARKS)]) for sign in text if sign != " "]
    said = [(sign, sign.translate(_MARKS).translate(_MORE_MARKS)) for sign in text if sign != " "]
    return [(sign, [mark if mark in PUNCTUATION else BORDER]) for sign, mark in said]


def _tidied(chunks: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """No border beside another, beside a mark, or at either end."""
    kept: list[tuple[str, list[str]]] = []
    for place, (text, symbols) in enumerate(chunks):
        before = kept[-1][1][-1:] if kept else []
        after = chunks[place + 1][1][:1] if place + 1 < len(chunks) else []
        beside = {BORDER, *PUNCTUATION}
        if symbols == [BORDER] and (not before or not after or before[0] in beside or after[0] in beside):
            continue
        if symbols:
            kept.append((text, symbols))
    return kept
