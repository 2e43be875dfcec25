"""Mandarin figures in characters: cardinals, decimals, and figures one by one.

Same readings as upstream's `zh_normalization/num.py` (PaddleSpeech).
"""

from __future__ import annotations

DIGITS = "零一二三四五六七八九"
#: Places that have a character of their own, by power of ten, largest first.
_PLACES = ((8, "亿"), (4, "万"), (3, "千"), (2, "百"), (1, "十"))
#: Longer numbers are read figure by figure: nobody follows eight times 亿, and the recursion stays shallow.
_LONGEST_CARDINAL = 64


def one_by_one(figures: str, *, telephone: bool = False) -> str:
    """2009 -> 二零零九; `telephone`: one is said 幺. `figures` holds 0..9 only."""
    out = "".join(DIGITS[int(figure)] for figure in figures)
    return out.replace("一", "幺") if telephone else out


def cardinal(figures: str) -> str:
    """10203 -> 一万零二百零三, 10 -> 十, 000 -> 零, "" -> "". `figures` holds 0..9 only; leading zeros are dropped."""
    if not figures:
        return ""
    figures = figures.lstrip("0")
    if not figures:
        return "零"
    if len(figures) > _LONGEST_CARDINAL:
        return one_by_one(figures)
    out = _value(figures)
    return out[1:] if out.startswith("一十") else out


def _value(figures: str) -> str:
    stripped = figures.lstrip("0")
    if len(stripped) <= 1:
        gap = "零" if stripped and len(stripped) < len(figures) else ""
        return gap + "".join(DIGITS[int(figure)] for figure in stripped)
    power, name = next(place for place in _PLACES if place[0] < len(stripped))
    return _value(figures[:-power]) + name + _value(figures[-power:])


def number(text: str) -> str:
    """A number with at most one point: 924.70 -> 九百二十四点七零, .5 -> 零点五, 3.0 -> 三点零.

    Of the zeros at the end of a fraction one is kept. Raises ValueError with two points.
    """
    if text.count(".") > 1:
        raise ValueError(f"more than one point in the number {text!r}")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0") + ("0" if fraction.endswith("0") else "")
    spoken = cardinal(whole)
    return f"{spoken or '零'}点{one_by_one(fraction)}" if fraction else spoken
