"""English figures, money, dates, times and abbreviations written out as words. Simple rules, in a fixed order."""

from __future__ import annotations

import re
from collections.abc import Callable

_ONES = str.split(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = str.split("- - twenty thirty forty fifty sixty seventy eighty ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_MONTHS = str.split("January February March April May June July August September October November December")
_CURRENCIES = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "sen")}
_UNITS = {
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "m": "meter", "kg": "kilogram", "mg": "milligram",
    "g": "gram", "lb": "pound", "ft": "foot", "mi": "mile", "ml": "milliliter", "l": "liter", "s": "second",
    "ms": "millisecond", "min": "minute", "h": "hour", "hz": "hertz", "khz": "kilohertz", "mph": "mile per hour",
    "gb": "gigabyte", "mb": "megabyte", "kb": "kilobyte", "°c": "degree celsius", "°f": "degree fahrenheit",
    "°": "degree",
}  # fmt: skip
_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "dr": "doctor", "prof": "professor", "st": "saint", "jr": "junior",
    "sr": "senior", "vs": "versus", "etc": "et cetera", "no": "number", "dept": "department", "approx": "approximately",
}  # fmt: skip
#: From this many digits on a number is read digit by digit, as a serial number is.
_LONGEST_NUMBER = 15


def cardinal(number: int) -> str:
    """0 <= number < 10**15, for instance 1984 -> "one thousand nine hundred eighty-four"."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    for size, name in _SCALES:
        if number >= size:
            head, tail = divmod(number, size)
            return f"{cardinal(head)} {name}" + (f" {cardinal(tail)}" if tail else "")
    raise AssertionError(number)


def ordinal(number: int) -> str:
    """21 -> "twenty-first"."""
    head, separator, last = re.fullmatch(r"(.*?)([ -]?)(\w+)", cardinal(number)).groups()  # type: ignore[union-attr]
    regular = (last[:-1] + "ie" if last.endswith("y") else last) + "th"
    return f"{head}{separator}{_ORDINALS.get(last, regular)}"


def year(number: int) -> str:
    """1000..2999: 1984 -> "nineteen eighty-four", 2005 -> "two thousand five", 1900 -> "nineteen hundred"."""
    century, rest = divmod(number, 100)
    if century % 10 == 0 and rest < 10:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def digits(figures: str) -> str:
    return " ".join(_ONES[int(figure)] for figure in figures)


def _whole(figures: str) -> str:
    figures = figures.replace(",", "")
    return digits(figures) if len(figures) >= _LONGEST_NUMBER or re.match(r"0\d", figures) else cardinal(int(figures))


def _number(text: str) -> str:
    whole, _, fraction = text.partition(".")
    return _whole(whole) + (f" point {digits(fraction)}" if fraction else "")


def _plural(noun: str, one: bool) -> str:
    if one:
        return noun
    head, _, rest = noun.partition(" ")
    head = {"foot": "feet", "penny": "pence", "yen": "yen", "sen": "sen", "hertz": "hertz"}.get(head, head + "s")
    return f"{head} {rest}".strip()


def _money(match: re.Match[str]) -> str:
    sign, amount, scale = match.groups()
    noun, small = _CURRENCIES[sign]
    if scale:
        return f"{_number(amount)} {scale} {_plural(noun, False)}"
    whole, _, cents = amount.partition(".")
    value = int(whole.replace(",", ""))
    out = f"{_whole(whole)} {_plural(noun, value == 1)}"
    if len(cents) == 2 and int(cents):
        out += f" and {cardinal(int(cents))} {_plural(small, int(cents) == 1)}"
    elif len(cents) not in (0, 2):
        out = f"{_number(amount)} {_plural(noun, False)}"
    return out


def _iso_date(match: re.Match[str]) -> str:
    y, m, d = (int(part) for part in match.groups())
    if not (1 <= m <= 12 and 1 <= d <= 31 and 1000 <= y <= 2999):
        return " ".join(cardinal(part) for part in (y, m, d))
    return f"{_MONTHS[m - 1]} {ordinal(d)}, {year(y)}"


def _clock(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    if hour > 24 or minute > 59:
        return f"{cardinal(hour)} {cardinal(minute)}"
    tail = "o'clock" if not minute else ("oh " if minute < 10 else "") + cardinal(minute)
    return f"{cardinal(hour)} {tail}"


def _decade(match: re.Match[str]) -> str:
    words = year(int(match[1]))
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def _unit(match: re.Match[str]) -> str:
    return f"{_number(match[1])} {_plural(_UNITS[match[2].lower()], match[1] == '1')}"


_FIGURES = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_DECIMAL = rf"{_FIGURES}(?:\.\d+)?"
_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\be\.g\.", re.I), lambda m: "for example"),
    (re.compile(r"\bi\.e\.", re.I), lambda m: "that is"),
    (re.compile(r"\b([A-Za-z])\.(?=[A-Za-z]\.)"), lambda m: m[1] + " "),
    (re.compile(r"\bhttps?://|/+(?=\s|$)"), lambda m: " "),
    (re.compile(r"(?<=[A-Za-z])\.(?=[A-Za-z]{2})"), lambda m: " dot "),
    (re.compile(r"\bNo\.(?=\s*\d)"), lambda m: "number"),
    (
        re.compile(r"\b(Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|dept|approx)\.(?=\s)", re.I),
        lambda m: _ABBREVIATIONS[m[1].lower()],
    ),
    (re.compile(r"\betc\b", re.I), lambda m: "et cetera"),
    (re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b"), _iso_date),
    (re.compile(rf"([$£€¥])\s?({_DECIMAL})(?:\s(thousand|million|billion|trillion))?"), _money),
    (re.compile(r"\b(\d{1,2}):(\d{2})\b"), _clock),
    (re.compile(rf"({_DECIMAL})\s?%"), lambda m: f"{_number(m[1])} percent"),
    (re.compile(r"\b(\d+)(?:st|nd|rd|th)\b", re.I), lambda m: ordinal(int(m[1])) if len(m[1]) < 12 else digits(m[1])),
    (re.compile(r"\b([12]\d\d0)s\b"), _decade),
    (
        re.compile(
            rf"({_DECIMAL})\s?(km|cm|mm|kg|mg|ml|lb|ft|mi|mph|khz|hz|gb|mb|kb|ms|min|°c|°f|°)(?![A-Za-z])", re.I
        ),
        _unit,
    ),
    (re.compile(rf"({_DECIMAL})([mglsh])\b"), _unit),
    (re.compile(rf"(?<![\w.])[-−](?={_DECIMAL})"), lambda m: "minus "),
    (re.compile(r"(?<![\d,.])(1[1-9]\d\d|20\d\d)(?!\d|[,.]\d)"), lambda m: year(int(m[1]))),
    (re.compile(_DECIMAL), lambda m: f" {_number(m[0])} "),
    (re.compile(r"&"), lambda m: " and "),
    (re.compile(r"@"), lambda m: " at "),
    (re.compile(r"\+"), lambda m: " plus "),
    (re.compile(r"="), lambda m: " equals "),
    (re.compile(r"%"), lambda m: " percent "),
    (re.compile(r"#"), lambda m: " number "),
)


def write_out(text: str) -> str:
    """The text with figures, money, dates, times, units and common abbreviations as English words."""
    for pattern, reading in _RULES:
        text = pattern.sub(reading, text)
    return re.sub(r"[ \t]+", " ", text).strip()
