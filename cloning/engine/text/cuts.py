"""Upstream's cutting of a text into pieces, step by step: its six methods, and the chain around them.

`upstream_cut` is text_segmentation_method.py (cut0 to cut5); `presegment` is TextPreprocessor's
`replace_consecutive_punctuation` and `pre_seg_text`. Both give upstream's strings exactly. `split` cuts by the same six
methods without upstream's losses, and is what the service uses unless parity is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cloning.engine.errors import TextError
from cloning.engine.text.split import METHODS, split

#: Marks that end a clause for cut1, cut2 and the chain.
_ENDS = "，。？！,.?!~:：—…"
#: Marks that end a clause for cut5.
_EVERY_MARK = frozenset(",.;?!、，。？！：…")
#: A piece of nothing but these is dropped.
_SILENT = frozenset("!?…,.- ")
_CLAUSES, _CHARACTERS, _SHORTEST, _LONGEST, _SHORT_START = 4, 50, 5, 510, 4
_REPEATED = re.compile(r"([!?…,.\-])[!?…,.\-]+")


def upstream_cut(text: str, method: str) -> str:
    """Pieces by one of the six methods, joined by newlines.

    Quirks kept: cut1 and cut2 read …… as a full stop and —— as a comma and cut inside 3.14; cut1 joins the last group
    to the one before it, so that up to seven clauses stay together; cut2 alone keeps a lone mark; cut3 and cut4 take
    the full stops away, and cut4 leaves a full stop that touches a digit.
    Raises TextError: `unknown_split_method`; `empty_text` where upstream fails on an empty text.
    """
    if method not in METHODS:
        raise TextError("unknown_split_method", f"{method!r} is not one of {', '.join(METHODS)}")
    if method == "cut0":
        return "\n" if set(text) <= _SILENT else text
    text = text.strip("\n")
    if not text and method in ("cut1", "cut2"):
        raise TextError("empty_text", "the text holds nothing to say")
    if method == "cut2" and len(_clauses(text)) < 2:
        return text
    pieces = _CUTTERS[method](text)
    silent = _EVERY_MARK if method == "cut5" else _SILENT
    return "\n".join(piece for piece in pieces if not set(piece) <= silent)


def presegment(text: str, method: str, language: str, *, compat: bool = True) -> list[str]:
    """Pieces that are read one after the other, as upstream's TextPreprocessor gives them.

    `language` only decides the mark that is added: "." for en, else "。". Quirks kept: of several marks in a row the
    first stays; a text whose first clause is shorter than four characters gets a mark in front; pieces shorter than
    five characters are joined forward; a piece above 510 characters is cut at marks only, so it may stay longer,
    with an empty piece before it and its last mark behind it.
    With `compat=False` this is `split`. Raises TextError `empty_text` where upstream raises, and
    `unknown_split_method`.
    """
    if not compat:
        return split(text, method)
    stop = "." if language == "en" else "。"
    text = _REPEATED.sub(r"\1", text).strip("\n")
    if not text:
        return []
    if text[0] not in _ENDS and len(re.split(f"[{_ENDS}]", text)[0].strip()) < _SHORT_START:
        text = stop + text
    lines = [line for line in re.sub(r"\n{2,}", "\n", upstream_cut(text, method)).split("\n") if line not in ("", " ")]
    if not lines:
        raise TextError("empty_text", "the text holds nothing to say")
    out: list[str] = []
    for line in _joined(lines):
        if not re.sub(r"\W+", "", line):
            continue
        line = line if line[-1] in _ENDS else line + stop
        out += _parts(line) if len(line) > _LONGEST else [line]
    return out


def _clauses(text: str) -> list[str]:
    text = text.replace("……", "。").replace("——", "，")
    if text[-1] not in _ENDS:
        text += "。"
    return re.findall(f"[^{_ENDS}]*[{_ENDS}]", text)


def _cut1(text: str) -> list[str]:
    clauses = _clauses(text)
    # Upstream's last border is the start of the last group, so that two groups become one and a rest.
    starts = [*range(0, len(clauses), _CLAUSES)][:-1]
    if not starts:
        return [text]
    ends = [*starts[1:], len(clauses)]
    return ["".join(clauses[a:b]) for a, b in zip(starts, ends, strict=True)]


def _cut2(text: str) -> list[str]:
    out = [""]
    for clause in _clauses(text):
        out[-1] += clause
        if len(out[-1]) > _CHARACTERS:
            out.append("")
    out = [piece for piece in out if piece]
    if len(out) > 1 and len(out[-1]) < _CHARACTERS:
        out[-2:] = [out[-2] + out[-1]]
    return out


def _cut3(text: str) -> list[str]:
    return text.strip("。").split("。")


def _cut4(text: str) -> list[str]:
    return re.split(r"(?<!\d)\.(?!\d)", text.strip("."))


def _cut5(text: str) -> list[str]:
    out = [""]
    for place, character in enumerate(text):
        out[-1] += character
        # Digits in the sense of str.isdigit, as upstream asks.
        in_number = character == "." and text[place - 1 : place].isdigit() and text[place + 1 : place + 2].isdigit()
        if character in _EVERY_MARK and not in_number:
            out.append("")
    return [piece for piece in out if piece]


_CUTTERS: dict[str, Callable[[str], list[str]]] = {
    "cut1": _cut1, "cut2": _cut2, "cut3": _cut3, "cut4": _cut4, "cut5": _cut5,
}  # fmt: skip


def _joined(lines: list[str]) -> list[str]:
    """Lines shorter than five characters joined to the next ones; a short rest goes to the line before."""
    if len(lines) < 2:
        return lines
    out: list[str] = []
    waiting = ""
    for line in lines:
        waiting += line
        if len(waiting) >= _SHORTEST:
            out.append(waiting)
            waiting = ""
    if waiting:
        out[-1:] = [out[-1] + waiting] if out else [waiting]
    return out


def _parts(piece: str) -> list[str]:
    out = [""]
    for part in re.split(f"([{_ENDS}])", piece):
        if len(out[-1] + part) > _LONGEST:
            out.append("")
        out[-1] += part
    return out if out[-1] else out[:-1]
