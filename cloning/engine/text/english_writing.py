"""English figures, money, dates, times, units and abbreviations written out as words: this engine's own rules.

They run in a fixed order, the more specific before the more general, and are judged by ear, not by parity with
upstream; upstream's own rules are in `english_upstream`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cloning.engine.text.english_numbers import cardinal, digits, ordinal, year

_MONTHS = str.split("January February March April May June July August September October November December")
_MONTH = "|".join(_MONTHS)
_SHORT_MONTHS = {month[:3]: month for month in _MONTHS} | {"Sept": "September"}
_CURRENCIES = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "sen")}
_AMOUNTS = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion", "tn": "trillion"}
_UNITS = {
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "m": "meter", "kg": "kilogram", "mg": "milligram",
    "g": "gram", "lb": "pound", "lbs": "pound", "oz": "ounce", "ft": "foot", "mi": "mile", "ml": "milliliter",
    "l": "liter", "s": "second", "ms": "millisecond", "min": "minute", "h": "hour", "hz": "hertz", "khz": "kilohertz",
    "mhz": "megahertz", "ghz": "gigahertz", "mph": "mile per hour", "km/h": "kilometer per hour",
    "kph": "kilometer per hour", "m/s": "meter per second", "tb": "terabyte", "gb": "gigabyte", "mb": "megabyte",
    "kb": "kilobyte", "kw": "kilowatt", "kwh": "kilowatt hour", "tbsp": "tablespoon", "tsp": "teaspoon",
    "km2": "square kilometer", "m2": "square meter", "m3": "cubic meter", "°c": "degree celsius",
    "°f": "degree fahrenheit", "°": "degree",
}  # fmt: skip
_LONG_UNITS = "|".join(sorted((re.escape(u) for u in _UNITS if len(u) > 1 or u == "°"), key=len, reverse=True))
_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "dr": "doctor", "prof": "professor", "st": "saint", "jr": "junior",
    "sr": "senior", "vs": "versus", "etc": "et cetera", "no": "number", "dept": "department", "approx": "approximately",
    "mt": "mount", "capt": "captain", "gen": "general", "lt": "lieutenant", "sgt": "sergeant", "rev": "reverend",
    "gov": "governor", "inc": "incorporated", "ltd": "limited", "corp": "corporation", "ave": "avenue",
    "blvd": "boulevard", "est": "established",
}  # fmt: skip
_TITLES = "Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|dept|approx|Mt|Capt|Gen|Lt|Sgt|Rev|Gov|Inc|Ltd|Corp|Ave|Blvd|Est"
#: From this many digits on a number is read digit by digit, as a serial number is.
_LONGEST_NUMBER = 15
_IRREGULAR = {"foot": "feet", "penny": "pence", "yen": "yen", "sen": "sen"}


def write_out(text: str) -> str:
    """The text with figures, money, dates, times, units and common abbreviations as English words."""
    for pattern, reading in _RULES:
        text = pattern.sub(reading, text)
    return re.sub(r"[ \t]+", " ", text).strip()


def _whole(figures: str) -> str:
    figures = figures.replace(",", "")
    return digits(figures) if len(figures) >= _LONGEST_NUMBER or re.match(r"0\d", figures) else cardinal(int(figures))


def _number(text: str) -> str:
    whole, _, fraction = text.partition(".")
    return _whole(whole) + (f" point {digits(fraction)}" if fraction else "")


def _plural(noun: str, one: bool) -> str:
    if one or noun.endswith("hertz"):
        return noun
    head, _, rest = noun.partition(" ")
    if head in ("square", "cubic", "kilowatt"):
        return f"{head} {rest}s"
    return f"{_IRREGULAR.get(head, head + 's')} {rest}".strip()


def _money(sign: str, amount: str, scale: str | None) -> str:
    noun, small = _CURRENCIES[sign]
    if scale:
        return f"{_number(amount)} {_AMOUNTS.get(scale.lower(), scale)} {_plural(noun, False)}"
    whole, _, cents = amount.partition(".")
    words = _whole(whole)
    if len(cents) not in (0, 2):
        return f"{_number(amount)} {_plural(noun, False)}"
    out = f"{words} {_plural(noun, words == 'one')}"
    if cents and int(cents):
        change = f"{cardinal(int(cents))} {_plural(small, int(cents) == 1)}"
        return change if words == "zero" else f"{out} and {change}"
    return out


def _iso_date(match: re.Match[str]) -> str:
    y, m, d = (int(part) for part in match.groups())
    if not (1 <= m <= 12 and 1 <= d <= 31 and 1000 <= y <= 2999):
        return " ".join(cardinal(part) for part in (y, m, d))
    return f"{_MONTHS[m - 1]} {ordinal(d)}, {year(y)}"


def _day(match: re.Match[str]) -> str:
    return f"{match[1]} {ordinal(int(match[2]))}" if 1 <= int(match[2]) <= 31 else match[0]


def _clock(match: re.Match[str]) -> str:
    hour, minute, half = int(match[1]), int(match[2]), match[3]
    if hour > 24 or minute > 59:
        return f"{cardinal(hour)} {cardinal(minute)}"
    tail = "o'clock" if not minute else ("oh " if minute < 10 else "") + cardinal(minute)
    if half:
        return f"{cardinal(hour)} {tail if minute else ''} {half.upper()}M"
    return f"{cardinal(hour)} {tail}"


def _many(words: str) -> str:
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def _unit(match: re.Match[str]) -> str:
    return f"{_number(match[1])} {_plural(_UNITS[match[2].lower()], match[1] == '1')}"


def _fraction(match: re.Match[str]) -> str:
    before, over, under = match[1], int(match[2]), int(match[3])
    if not 0 < over < under <= 100:
        return f"{before or ''} {cardinal(over)} {cardinal(under)}"
    part = {2: "half", 4: "quarter"}.get(under) or ordinal(under)
    return f"{_whole(before.strip()) + ' and ' if before else ''}{cardinal(over)} {part}" + "s" * (over > 1)


def _initials(match: re.Match[str]) -> str:
    letters = re.sub(r"[^A-Za-z]", "", match[0][: match.start(1) - match.start()] if match[1] is not None else match[0])
    after = match[1] or ""
    # Only where a sentence may end is the last dot one; "at 5 p.m. Then" ends one, "the U.S. Army" does not.
    ends = match[1] is not None and (not after.strip() or letters.lower() in ("am", "pm"))
    return letters.upper() + "." * ends + after


def _initial(match: re.Match[str]) -> str:
    """John F. Kennedy, but not Plan b. Then."""
    before = match.string[: match.start()].split()[-1:]
    return match[1] if not before or before[0][0].isupper() else match[0]


def _range(match: re.Match[str]) -> str:
    return f"{match[1] or match[2]} to "


def _telephone(match: re.Match[str]) -> str:
    return ", ".join(digits(group) for group in re.findall(r"\d+", match[0]))


# Numbers are tried from their first figure only: else a long row of figures takes quadratic time.
_FIGURES = r"(?<!\d)(?:\d{1,3}(?:,\d{3})+|\d+)"
_DECIMAL = rf"{_FIGURES}(?:\.\d+)?"
_SCALE = r"(?:\s(thousand|million|billion|trillion)\b|(k|m|bn|b|tn)\b)"
_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\be\.g\.", re.I), lambda m: "for example"),
    (re.compile(r"\bi\.e\.", re.I), lambda m: "that is"),
    (re.compile(r"\b[Pp]h\.?\s?D\b\.?"), lambda m: "PhD"),
    (re.compile(r"\b(?:[A-Za-z]\.){2,}(\s+[A-Z]|\s*$)?"), _initials),
    (re.compile(r"\b([A-Z])\.(?=\s+[A-Z])"), _initial),
    (re.compile(r"\bhttps?://|/+(?=\s|$)"), lambda m: " "),
    (re.compile(r"(?<=[A-Za-z])\.(?=[A-Za-z]{2})"), lambda m: " dot "),
    (re.compile(r"(?<=\w)\?(?=\w)"), lambda m: " "),
    (re.compile(r"(?<![\w.])\.(?=\d)"), lambda m: "0."),
    (re.compile(r"\bNo\.(?=\s*\d)"), lambda m: "number"),
    # Main St. is a street and St. John a saint: what comes before it, and what after, tells them apart.
    (re.compile(r"\b([A-Z][a-z]+|\d(?:st|nd|rd|th)) St\.?(?=\s+[a-z]|[,;])"), lambda m: m[1] + " street"),
    (re.compile(rf"\b({_TITLES})\.(?=\s)", re.I), lambda m: _ABBREVIATIONS[m[1].lower()]),
    (re.compile(r"\betc\b", re.I), lambda m: "et cetera"),
    (re.compile(rf"\b({'|'.join(_SHORT_MONTHS)})\b\.?(?=\s+\d)"), lambda m: _SHORT_MONTHS[m[1]]),
    (re.compile(rf"\b({_MONTH})\s+(\d{{1,2}})\b(?![\d:/%]|[.,]\d)"), _day),
    (re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b"), _iso_date),
    (re.compile(r"\+\d[\d ().-]{6,18}\d\b"), lambda m: "plus " + _telephone(m)),
    (re.compile(r"(?<![\w-])(?:\d{1,3}[ .-])?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b"), _telephone),
    (re.compile(r"(?<![\w.-])\d{3}-\d{4}\b(?!-)"), _telephone),
    (re.compile(r"(?<![\d.,-])(\d{1,4})\s?–\s?(?=\d)|(?<![\d.,-])(\d{1,4})-(?=\d{1,4}(?![\d-]))"), _range),
    (re.compile(r"(?<![\w.])[-−](?=[$£€¥]?\d)"), lambda m: "minus "),
    (
        re.compile(rf"([$£€¥])\s?({_DECIMAL}){_SCALE}?", re.I),
        lambda m: _money(m[1], m[2], m[3] or m[4]),
    ),
    (re.compile(rf"({_DECIMAL})\s?([$£€¥])(?!\d)"), lambda m: _money(m[2], m[1], None)),
    (re.compile(r"\b(\d{1,2}):(\d{2})(?:\s?([ap])m\b)?", re.I), _clock),
    (re.compile(r"\b(\d{1,2})\s?([ap])m\b", re.I), lambda m: f"{cardinal(int(m[1]))} {m[2].upper()}M"),
    (re.compile(rf"({_DECIMAL})\s?%"), lambda m: f"{_number(m[1])} percent"),
    (re.compile(r"\b(\d+)(?:st|nd|rd|th)\b", re.I), lambda m: ordinal(int(m[1])) if len(m[1]) < 12 else digits(m[1])),
    (re.compile(r"\b([12]\d\d0)s\b"), lambda m: _many(year(int(m[1])))),
    (re.compile(r"(?:'|\b[Tt]he )\b([1-9]0)s\b"), lambda m: f"{m[0][:-3].rstrip(chr(39))}{_many(cardinal(int(m[1])))}"),
    (re.compile(rf"({_DECIMAL})\s?({_LONG_UNITS})(?![A-Za-z\d])", re.I), _unit),
    (re.compile(rf"({_DECIMAL})([mglsh])\b", re.I), _unit),
    (re.compile(r"(?<![\d/])(\d{1,4}\s+)?\b(\d{1,4})[/⁄](\d{1,4})(?![\d/])"), _fraction),
    (re.compile(r"(?<=[a-z])/(?=(?:second|minute|hour|day|night|week|month|year|person)\b)"), lambda m: " per "),
    (re.compile(r"(?<=\d)\s?[x×]\s?(?=\d)"), lambda m: " times "),
    (re.compile(r"(?<=[\d\s])÷"), lambda m: " divided by "),
    (re.compile(r"(?<=\d)\s-\s(?=\d)"), lambda m: " minus "),
    (re.compile(r"(?<![\d,.])(1[1-9]\d\d|20\d\d)(?!\d|[,.]\d)"), lambda m: year(int(m[1]))),
    (re.compile(_DECIMAL), lambda m: f" {_number(m[0])} "),
    (re.compile(r"&"), lambda m: " and "),
    (re.compile(r"@"), lambda m: " at "),
    (re.compile(r"\+"), lambda m: " plus "),
    (re.compile(r"="), lambda m: " equals "),
    (re.compile(r"%"), lambda m: " percent "),
    (re.compile(r"#"), lambda m: " number "),
)
