"""Which part of a mixed text is in which language.

`compat=True` answers as upstream's LangSegmenter does on top of its splitter (see `runs`), misjudgements included: a
date in a Chinese sentence may come out as Japanese, and text it cannot place may be lost. The default decides by
script, and for Han characters by what only one of the languages writes, by kana nearby, and only then by fastText.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass, replace
from itertools import groupby

from cloning.engine.text.identify import languages
from cloning.engine.text.runs import DIGIT, NOBODY, Run, upstream_runs

#: Languages a segment can be in. `x` is text that none of them writes.
LANGUAGES = ("zh", "en", "ja", "ko")


@dataclass(frozen=True)
class Segment:
    """A piece of text and its language: zh, en, ja, ko, or x (letters of another script).

    With `compat` also "punctuation" or "newline", for a text of nothing else.
    """

    language: str
    text: str


def segment(text: str, default: str = "", *, compat: bool = False) -> list[Segment]:
    """Segments in order, neighbours of different languages.

    `default`: everything that is not English is taken to be in this language; without it each piece is judged.
    No character is lost, unless `compat` is set.
    """
    return _upstream(text, default) if compat else _by_script(text, default)


# As upstream.

_ENGLISH = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9\s\u0020-\u007E\u2000-\u206F\u3000-\u303F\uFF00-\uFFEF]+$")
# Upstream's class says 0-9 and 、-〜: the second is a range, U+3001 to U+301C.
_LOOSE = r"[0-9、-〜。！？.!?… ]"
_KANA = r"[\u3041-\u3096\u3099\u309A\u30A1-\u30FA\u30FC]"
_HANGUL = r"[\u1100-\u11FF\u3130-\u318F\uAC00-\uD7AF]"
_FOREIGN = {
    "ja": re.compile(f"{_KANA}+(?:{_LOOSE}+{_KANA}*)*"),
    "ko": re.compile(f"{_HANGUL}+(?:{_LOOSE}+{_HANGUL}*)*"),
}
_NOT_KEPT = re.compile(
    r"[^0-9、-〜。！？.!?… /\u4E00-\u9FFF\u3400-\u4DB5\U00020000-\U0002A6DD\U0002A700-\U0002B73F\U0002B740-\U0002B81F"
    r"\U0002B820-\U0002CEAF\U0002CEB0-\U0002EBEF\U0002EBF0-\U0002EE5D\U00030000-\U0003134A\U00031350-\U000323AF]"
)
_STOPS = frozenset(",.!?，。！？")


def _upstream(text: str, default: str) -> list[Segment]:
    runs: list[Run] = []
    for run in upstream_runs(text):
        if run.language == DIGIT and not default:
            _add(runs, run)
        elif run.language != DIGIT and _ENGLISH.match(run.text):
            _add(runs, Run("en", run.text))
        elif default:
            _add(runs, Run(default, run.text))
        else:
            for part in _foreign_apart(run):
                kept = _NOT_KEPT.sub("", part.text) if part.language == NOBODY else ""
                _add(runs, Run("zh", kept) if kept else part)
    runs = _rejoined(_figures_named(runs))
    for place, run in enumerate(runs):
        if run.language == NOBODY:
            near = runs[place - 1] if place else runs[1] if len(runs) > 1 else Run("zh", "")
            run.language = near.language
    return [Segment(run.language, run.text) for run in _rejoined(runs)]


def _add(runs: list[Run], run: Run) -> None:
    if runs and runs[-1].language == run.language:
        runs[-1].text += run.text
    else:
        runs.append(run)


def _rejoined(runs: list[Run]) -> list[Run]:
    out: list[Run] = []
    for run in runs:
        _add(out, run)
    return out


def _foreign_apart(run: Run) -> list[Run]:
    """Kana inside what is not Japanese, and Hangul inside what is not Korean, with the marks between."""
    out = [run]
    for language, pattern in _FOREIGN.items():
        parts: list[Run] = []
        for piece in out:
            if piece.language == language:
                parts.append(piece)
                continue
            place = 0
            for match in pattern.finditer(piece.text):
                parts += [Run(piece.language, piece.text[place : match.start()]), Run(language, match[0])]
                place = match.end()
            parts.append(Run(piece.language, piece.text[place:]))
        out = [part for part in parts if part.text]
    # What is foreign as a whole keeps the language the splitter gave it.
    return out if len(out) > 1 else [run]


def _figures_named(runs: list[Run]) -> list[Run]:
    """Figures take the language of a neighbour: of the one they are not cut off from, else of the longer."""
    out: list[Run] = []
    for place, run in enumerate(runs):
        if run.language == DIGIT:
            left = out[-1] if out else None
            right = runs[place + 1] if place + 1 < len(runs) else None
            run.language = _of_figures(left, run.text, right)
        _add(out, run)
    return out


def _of_figures(left: Run | None, figures: str, right: Run | None) -> str:
    if left is None or right is None:
        near = left or right
        return near.language if near else "zh"
    if left.text[-1] in _STOPS and left.language != right.language:
        return right.language
    if right.text[0] in _STOPS or figures[-1] in "。." or len(left) >= len(right):
        return left.language
    return right.language


# Our own rules.

# One Greek letter is a sign, as in α-粒子; two are a word nobody here can read.
_GREEK_WORD = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]{2,}")
_SENTENCE_END = re.compile(r"[。！？!?\n…]+|\.(?!\d)")


@functools.lru_cache(maxsize=4096)
def script_of(character: str) -> str:
    """en (Latin), ja (kana), ko, han, x (letters of other scripts), digit, or "" for everything that is not spoken
    by itself. Letters by their Unicode names, full-width forms included."""
    if character.isdecimal():
        return DIGIT
    if not character.isalpha():
        return "han" if character in "々〇" else "ja" if character in "ー゛゜" else ""
    name = unicodedata.name(character, "")
    name = name.removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
    for start, script in _SCRIPTS:
        if name.startswith(start):
            return script
    return NOBODY


_SCRIPTS = (
    ("CJK UNIFIED", "han"), ("CJK COMPATIBILITY IDEOGRAPH", "han"), ("IDEOGRAPHIC", "han"), ("LATIN", "en"),
    ("HIRAGANA", "ja"), ("KATAKANA", "ja"), ("HANGUL", "ko"), ("MODIFIER LETTER APOSTROPHE", ""), ("MICRO SIGN", ""),
    ("FEMININE ORDINAL", "en"), ("MASCULINE ORDINAL", "en"), ("GREEK", ""), ("BOPOMOFO", "han"),
)  # fmt: skip


@functools.lru_cache(maxsize=8192)
def han_of(character: str) -> str:
    """zh or ja for a character that only one of the two writes, by the national character sets; "" for the rest.

    Chinese: GB 2312 or Big5; Japanese: JIS X 0208.
    """
    chinese = _encodable(character, "gb2312") or _encodable(character, "big5")
    japanese = _encodable(character, "cp932")
    if chinese == japanese:
        return ""
    return "zh" if chinese else "ja"


def _encodable(text: str, charset: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def _by_script(text: str, default: str) -> list[Segment]:
    places = [script_of(c) for c in text]
    for match in _GREEK_WORD.finditer(text):
        places[match.start() : match.end()] = [NOBODY] * len(match[0])
    if default:
        places = [default if place in ("han", "ja", "ko") else place for place in places]
    else:
        _place_han(text, places)
    _place_figures(text, places, default)
    _place_rest(text, places, default)
    out: list[Segment] = []
    for character, place in zip(text, places, strict=True):
        if out and out[-1].language == place:
            out[-1] = replace(out[-1], text=out[-1].text + character)
        else:
            out.append(Segment(place, character))
    return out


def _place_han(text: str, places: list[str]) -> None:
    """Names the language of every Han character, sentence by sentence, run by run."""
    kana = "ja" in places
    start = 0
    for end in [*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]:
        sentence = range(start, end)
        start = end
        kana_here = any(places[i] == "ja" for i in sentence)
        votes = [han_of(text[i]) for i in sentence if places[i] == "han"]
        if not votes:
            continue
        if not kana_here:
            # Without any kana it is Chinese, unless it is written as only Japanese is, or lies among Japanese.
            letters = "".join(text[i] for i in sentence if places[i] == "han")
            japanese = "ja" in votes or _only_japan_mixes(letters)
            found = "zh" if "zh" in votes else "ja" if japanese else _guess(letters) if kana else "zh"
            for i in sentence:
                places[i] = found if places[i] == "han" else places[i]
            continue
        chinese = votes.count("zh") > votes.count("ja")
        for _, group in groupby(sentence, lambda i: _clause_part(text[i], places[i])):
            run = list(group)
            own = [han_of(text[i]) for i in run if places[i] == "han"]
            if not own:
                continue
            beside = any(0 <= i < len(text) and places[i] == "ja" for i in (run[0] - 1, run[-1] + 1))
            found = "zh" if "zh" in own and "ja" not in own else "ja"
            if found == "ja" and chinese and not beside and "ja" not in own:
                found = "zh"
            for i in run:
                places[i] = found if places[i] == "han" else places[i]


def _clause_part(character: str, place: str) -> str:
    """Han characters and the figures among them are one part."""
    return "han" if place in ("han", DIGIT) else character if place == "" else place


def _only_japan_mixes(letters: str) -> bool:
    """Whether simplified and traditional forms stand together as in 会議, which Chinese writes 会议 or 會議."""
    return _encodable(letters, "cp932") and not (_encodable(letters, "gb2312") or _encodable(letters, "big5"))


def _guess(letters: str) -> str:
    return next((code for code in languages(letters) if code in ("zh", "ja")), "zh")


def _place_figures(text: str, places: list[str], default: str) -> None:
    """Figures belong to the word they are written together with, else to what stands before, else behind."""
    behind = _next_known(places, skip=("", DIGIT))
    before = ""
    for figures, group in groupby(range(len(text)), lambda i: places[i] == DIGIT or _inside_number(text, i)):
        run = list(group)
        if figures:
            first, end = run[0], run[-1] + 1
            if text[first - 1 : first] == "-":
                first -= 1
            left = places[first - 1] if first else ""
            right = places[end] if end < len(text) else ""
            found = (left if left == "en" else "") or right or left or before or behind[end] or default or "zh"
            for i in run:
                places[i] = found
        before = next((places[i] for i in reversed(run) if places[i]), before)


def _next_known(places: list[str], skip: tuple[str, ...]) -> list[str]:
    """For each place the first one from there on that is not in `skip`; one more, empty, at the end."""
    out = [""]
    for place in reversed(places):
        out.append(out[-1] if place in skip else place)
    return out[::-1]


def _inside_number(text: str, place: int) -> bool:
    inside = text[place] in ".,:/-" and 0 < place < len(text) - 1
    return inside and text[place - 1].isdecimal() and text[place + 1].isdecimal()


def _place_rest(text: str, places: list[str], default: str) -> None:
    """Marks and spaces belong to what stands before them; at the head, and opening brackets, to what follows."""
    behind = _next_known(places, skip=("",))
    last = behind[0] or default or "zh"
    for i, place in enumerate(places):
        if place:
            last = place
        elif unicodedata.category(text[i]) in ("Ps", "Pi"):
            last = behind[i] or last
        places[i] = last
