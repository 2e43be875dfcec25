"""Cutting a long text into pieces that are spoken one after the other, by the six methods upstream's users know."""

from __future__ import annotations

import re
from itertools import pairwise

from cloning.engine.errors import TextError
from cloning.engine.text.phones import check_text
from cloning.engine.text.stops import kept

#: cut0 lines only; cut1 four clauses; cut2 about fifty characters; cut3 Chinese full stops; cut4 English full
#: stops; cut5 every mark.
METHODS = ("cut0", "cut1", "cut2", "cut3", "cut4", "cut5")
#: Pieces shorter than this are joined to the next one: very short pieces are babbled.
SHORTEST = 5
#: Longer pieces are cut again at any mark, else at a space, else hard.
LONGEST = 510
#: cut1 takes this many clauses, cut2 about this many characters.
CLAUSES, CHARACTERS = 4, 50

# A full stop or comma between digits belongs to the number.
_ANY_MARK = r"[，。？！；：、…,;?!:]|\."
_CLAUSE = re.compile(rf"(?:(?<!\d)|(?!\d|.\d))(?:{_ANY_MARK})+|(?:{_ANY_MARK})+(?!\d)")
_PATTERNS = {
    "cut1": _CLAUSE,
    "cut2": _CLAUSE,
    "cut3": re.compile(r"。+"),
    "cut4": re.compile(r"(?<!\d)\.+|\.+(?!\d)"),
    "cut5": _CLAUSE,
}


def split(text: str, method: str = "cut5") -> list[str]:
    """Pieces in order, each ending in a mark, each at most LONGEST characters; no word of the text is lost.

    Raises TextError: `unknown_split_method`, and what `check_text` raises.
    """
    if method not in METHODS:
        raise TextError("unknown_split_method", f"{method!r} is not one of {', '.join(METHODS)}")
    pieces: list[str] = []
    for line in check_text(text).splitlines():
        pieces += _cut(line, method)
    pieces = [part.strip() for piece in pieces for part in _shorten(piece)]
    return [_ended(piece) for piece in _join_short([p for p in pieces if p])]


def _cut(line: str, method: str) -> list[str]:
    if method == "cut0":
        return [line]
    clauses = _after(_PATTERNS[method], line, kept(line))
    if method == "cut1":
        return ["".join(clauses[i : i + CLAUSES]) for i in range(0, len(clauses), CLAUSES)]
    if method == "cut2":
        out = [""]
        for clause in clauses:
            if len(out[-1]) > CHARACTERS:
                out.append("")
            out[-1] += clause
        # A short rest is not worth its own breath.
        if len(out) > 1 and len(out[-1]) < CHARACTERS:
            out[-2:] = [out[-2] + out[-1]]
        return out
    return clauses


def _after(pattern: re.Pattern[str], text: str, not_at: frozenset[int] = frozenset()) -> list[str]:
    """Cut behind every match but at these places; nothing is lost."""
    ends = [match.end() for match in pattern.finditer(text) if match.end() not in not_at]
    places = [0, *ends, len(text)]
    return [text[a:b] for a, b in pairwise(places) if b > a]


def _shorten(piece: str) -> list[str]:
    if len(piece) <= LONGEST:
        return [piece]
    out = [""]
    for clause in _after(re.compile(r"(?:[，。？！；：、…,;?!:]|\.(?!\d))+|\s+"), piece):
        while len(clause) > LONGEST:
            out += [clause[:LONGEST]]
            clause = clause[LONGEST:]
        if len(out[-1]) + len(clause) > LONGEST:
            out.append("")
        out[-1] += clause
    return [part for part in out if part]


def _join_short(pieces: list[str]) -> list[str]:
    out: list[str] = []
    waiting = ""
    for piece in pieces:
        waiting = _joined(waiting, piece)
        if len(waiting) >= SHORTEST and any(c.isalnum() for c in waiting):
            out.append(waiting)
            waiting = ""
    if any(c.isalnum() for c in waiting) or (waiting and out):
        if out and len(out[-1]) + len(waiting) < LONGEST:
            out[-1] = _joined(out[-1], waiting)
        elif any(c.isalnum() for c in waiting):
            out.append(waiting)
    return out


def _joined(left: str, right: str) -> str:
    return left + (" " if left and left[-1].isascii() and right[0].isascii() else "") + right


def _ended(piece: str) -> str:
    if piece[-1] in "，。？！；：、…,;?!:.":
        return piece
    return piece + ("." if piece[-1].isascii() else "。")
