"""Mandarin figures, dates, times, percentages and units written out in characters. Simple rules, in a fixed order."""

from __future__ import annotations

import re
from collections.abc import Callable

_DIGITS = "零一二三四五六七八九"
_PLACES = ("", "十", "百", "千")
_GROUPS = ("", "万", "亿", "万亿")
#: From this many digits on figures are read one by one.
_LONGEST_NUMBER = 15
_UNITS = {
    "km": "千米", "cm": "厘米", "mm": "毫米", "m": "米", "kg": "千克", "g": "克", "mg": "毫克", "ml": "毫升", "l": "升",
    "℃": "度", "°c": "度", "°": "度", "s": "秒", "h": "小时", "gb": "吉字节", "mb": "兆字节",
}  # fmt: skip
_MONEY = {"$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "￥": "元"}


def cardinal(number: int) -> str:
    """0 <= number < 10**15: 10203 -> 一万零二百零三."""
    if number == 0:
        return "零"
    parts: list[str] = []
    group = 0
    gap = False
    while number:
        number, low = divmod(number, 10_000)
        if low:
            text = _four(low) + _GROUPS[group]
            parts.append(text + ("零" if gap and parts else ""))
            gap = low < 1000
        else:
            gap = True
        group += 1
    out = "".join(reversed(parts))
    return out[1:] if out.startswith("一十") else out


def _four(number: int) -> str:
    out, zero = "", False
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit:
            out += ("零" if zero and out else "") + _DIGITS[digit] + _PLACES[place]
            zero = False
        else:
            zero = True
    return out


def one_by_one(figures: str, *, telephone: bool = False) -> str:
    """2009 -> 二零零九; on the telephone one is said 幺."""
    out = "".join(_DIGITS[int(figure)] for figure in figures)
    return out.replace("一", "幺") if telephone else out


def _number(text: str) -> str:
    whole, _, fraction = text.replace(",", "").partition(".")
    plain = len(whole) >= _LONGEST_NUMBER or re.match(r"0\d", whole) is not None
    head = one_by_one(whole) if plain else cardinal(int(whole))
    return head + (f"点{one_by_one(fraction)}" if fraction else "")


def _clock(match: re.Match[str]) -> str:
    hour, minute, second = match[1], match[2], match[3]
    out = f"{cardinal(int(hour))}点"
    if int(minute) or second:
        out += ("零" if int(minute) < 10 and int(minute) else "") + f"{cardinal(int(minute))}分"
    if second:
        out += ("零" if 0 < int(second) < 10 else "") + f"{cardinal(int(second))}秒"
    return out


def _date(match: re.Match[str]) -> str:
    return f"{one_by_one(match[1])}年{cardinal(int(match[2]))}月{cardinal(int(match[3]))}日"


_N = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(?<!\d)(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)"), _date),
    (re.compile(r"(\d{2,4})(?=年)"), lambda m: one_by_one(m[1])),
    (re.compile(r"(?<!\d)(\d{1,2}):(\d{2})(?::(\d{2}))?(?!\d)"), _clock),
    (
        re.compile(r"(?<!\d)(1\d{10}|0\d{2,3}-?\d{7,8})(?!\d)"),
        lambda m: one_by_one(m[1].replace("-", ""), telephone=True),
    ),
    (re.compile(rf"(?<![0-9A-Za-z])-({_N})(?=\s?[℃°])"), lambda m: f"零下{_number(m[1])}"),
    (re.compile(rf"({_N})\s?%"), lambda m: f"百分之{_number(m[1])}"),
    (re.compile(r"(?<!\d)(\d+)/(\d+)(?!\d)"), lambda m: f"{_number(m[2])}分之{_number(m[1])}"),
    (re.compile(rf"([$€£¥￥])\s?({_N})"), lambda m: f"{_number(m[2])}{_MONEY[m[1]]}"),
    (
        re.compile(
            rf"({_N}|(?<=[零一二三四五六七八九十百千万]))\s?(km|cm|mm|kg|mg|ml|gb|mb|℃|°c|°|[mglsh])(?![A-Za-z])", re.I
        ),
        lambda m: (_number(m[1]) if m[1] else "") + _UNITS[m[2].lower()],
    ),
    (re.compile(rf"({_N})[~～-]({_N})"), lambda m: f"{_number(m[1])}到{_number(m[2])}"),
    (re.compile(rf"(?<![0-9A-Za-z])-({_N})"), lambda m: f"负{_number(m[1])}"),
    (re.compile(_N), lambda m: _number(m[0])),
    (re.compile(r"\+"), lambda m: "加"),
    (re.compile(r"×"), lambda m: "乘"),
    (re.compile(r"="), lambda m: "等于"),
    (re.compile(r"%"), lambda m: "百分之"),
    (re.compile(r"&"), lambda m: "和"),
    (re.compile(r"[²³]"), lambda m: "的二次方" if m[0] == "²" else "的三次方"),
)


def write_out(text: str) -> str:
    """The text with figures, dates, times, percentages, money and units in Chinese characters."""
    for pattern, reading in _RULES:
        text = pattern.sub(reading, text)
    return text
