"""English figures, money, dates, times, units and abbreviations written out as words: this engine's own rules.

They run in a fixed order, the more specific before the more general, and are judged by ear, not by parity with
upstream; upstream's own rules are in `english_upstream`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cloning.engine.text.english_numbers import cardinal, digits, ordinal, year
from cloning.engine.text.english_quantities import (
    CODES,
    DOLLARS,
    LONG_UNITS,
    SIGNS,
    fraction,
    measure,
    money,
    number,
    plural,
    whole,
)

_MONTHS = str.split("January February March April May June July August September October November December")
_MONTH = "|".join(_MONTHS)
_SHORT_MONTHS = {month[:3]: month for month in _MONTHS} | {"Sept": "September"}
_ANY_MONTH = "|".join((*_MONTHS, "Sept", *(month[:3] for month in _MONTHS)))
_DAYS = {day[:3]: day for day in str.split("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")}
_ANY_DAY = "|".join((*_DAYS.values(), "Tues", "Thurs", "Thur", *_DAYS))
_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "dr": "doctor", "prof": "professor", "st": "saint", "jr": "junior",
    "sr": "senior", "vs": "versus", "etc": "et cetera", "no": "number", "dept": "department", "approx": "approximately",
    "mt": "mount", "capt": "captain", "gen": "general", "lt": "lieutenant", "sgt": "sergeant", "rev": "reverend",
    "gov": "governor", "inc": "incorporated", "ltd": "limited", "corp": "corporation", "ave": "avenue",
    "blvd": "boulevard", "est": "established",
}  # fmt: skip
_TITLES = "Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|dept|approx|Mt|Capt|Gen|Lt|Sgt|Rev|Gov|Inc|Ltd|Corp|Ave|Blvd|Est"
_BEFORE_NAMES = {"Col": "colonel", "Sen": "senator", "Rep": "representative"}
_PLACES = {
    "fig": "figure", "vol": "volume", "ch": "chapter", "pp": "pages", "p": "page", "eq": "equation", "sec": "section",
}  # fmt: skip
#: What a Roman number stands behind. One letter may be something else there: Class X, the Book I read; and Malcolm X is
#: no ruler.
_PARTS = "War|Part|Chapter|Volume|Act|Scene|Book|Bowl|Article|Section|Appendix|Phase|Stage|Episode|Title|Apollo"
_KINDS = "Type|Class|Level|Category|Grade|Tier|Figure|Table|Unit|Schedule"
_FIRST = "World War|Part|Chapter|Volume|Act|Scene|Article|Section|Appendix|Phase|Stage|Apollo|Type|Class|Category|Tier"
_RULERS = (
    "Henry|Edward|George|Charles|James|William|Richard|Elizabeth|Louis|Philip|Philippe|Catherine|Peter|Paul|John|Pius|"
    "Benedict|Alexander|Nicholas|Ivan|Frederick|Leo|Gregory|Clement|Innocent|Urban|Napoleon|Wilhelm|Ferdinand|Francis|"
    "Leopold|Alfonso|Ramses|Ptolemy|Constantine|Otto|Rudolf|Maximilian|Christian|Gustav|Harald|Felipe|Carlos|Boniface"
)
_ROMAN = r"(?=[IVXL]{2}|[VX]\b)(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_ROMAN_FIGURES = {"I": 1, "V": 5, "X": 10, "L": 50}
_COMPARISONS = {
    "±": "plus or minus", "≈": "approximately", "≤": "at most", "≥": "at least", "≠": "does not equal",
    "<": "less than", ">": "more than", "~": "about",
}  # fmt: skip
_POWERS = {"2": "squared", "3": "cubed"}


def apart(text: str) -> str:
    """Signs that Unicode's compatibility forms (NFKC) would join to the number before them: 3½ is not 31⁄2, nor 10⁶
    106."""
    text = re.sub("(?<=[0-9])(?=[¼-¾⅐-⅞])", " ", text)
    text = re.sub("(?<=[0-9])(⁻?[⁰¹²³⁴-⁹]+)", lambda m: "^" + m[1], text)
    text = re.sub("(?<=[abcnrxyz])([²³])", lambda m: f" {_POWERS['2' if m[1] == '²' else '3']}", text)
    return re.sub("[µμ](?=[mgl]\\b)", "u", text)


def write_out(text: str) -> str:
    """The text with figures, money, dates, times, units and common abbreviations as English words."""
    for pattern, reading in _RULES:
        text = pattern.sub(reading, text)
    return re.sub(r"[ \t]+", " ", text).strip()


# -- dates and times ---------------------------------------------------------------------------------------------------
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


def _numeric_date(match: re.Match[str]) -> str:
    """3/14/2025 as in America; where the first can be no month, and with dots (14.3.2025), the day comes first."""
    month, day, of = int(match[1]), int(match[3]), int(match[4])
    if match[2] == "." or month > 12:
        month, day = day, month
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return f"{cardinal(int(match[1]))} {cardinal(int(match[3]))} {match[4]}"
    return f"{_MONTHS[month - 1]} {ordinal(day)}, {year(of if of > 99 else of + (1900 if of > 68 else 2000))}"


def _day_first(match: re.Match[str]) -> str:
    return f"the {ordinal(int(match[1]))} of {match[2]}" if 1 <= int(match[1]) <= 31 else match[0]


def _exact_time(match: re.Match[str]) -> str:
    hour, minute, second = (int(part) for part in match.groups())
    return f"{cardinal(hour)} {'oh ' if 0 < minute < 10 else ''}{cardinal(minute)} and {cardinal(second)} seconds"


def _span(match: re.Match[str]) -> str:
    """Mon-Fri, Jan-Mar."""
    names = _DAYS if match[1][:3] in _DAYS else _SHORT_MONTHS
    return f"{names[match[1][:3]]} to {names[match[2][:3]]}"


def _many(words: str) -> str:
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


# -- names, numbers and addresses --------------------------------------------------------------------------------------
def _roman(figures: str) -> int:
    """Of a number in Roman figures up to 89."""
    values = [_ROMAN_FIGURES[figure] for figure in figures]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))


def _power(match: re.Match[str]) -> str:
    raised = match[1].replace("−", "-")
    words = ("minus " if raised[0] == "-" else "") + whole(raised.lstrip("-"))
    return f" {_POWERS.get(raised, 'to the power of ' + words)}"


def _address(match: re.Match[str]) -> str:
    """A web address as it is said: without the protocol, with its slashes."""
    return re.sub(r"^https?://", "", match[0]).rstrip("/").replace("/", " slash ")


def _code(match: re.Match[str]) -> str:
    """BA2490 is read figure by figure, FY2024 as a year."""
    figures = match[2]
    named = len(figures) == 4 and 1900 <= int(figures) <= 2099
    return f"{match[1]} {year(int(figures)) if named else digits(figures)}"


def _initials(match: re.Match[str]) -> str:
    letters = re.sub(r"[^A-Za-z]", "", match[0][: match.start(1) - match.start()] if match[1] is not None else match[0])
    after = match[1] or ""
    # Only where a sentence may end is the last dot one; "at 5 p.m. Then" ends one, "the U.S. Army" does not.
    ends = match[1] is not None and (not after.strip() or letters.lower() in ("am", "pm"))
    return letters.upper() + "." * ends + after


def _initial(match: re.Match[str]) -> str:
    """John F. Kennedy and J. R. R. Tolkien, but not Plan b. Then."""
    before = match.string[: match.start()].split()[-1:]
    another = re.match(r"\s+[A-Z]\.", match.string[match.end() : match.end() + 10])
    return match[1] if not before or before[0][0].isupper() or another else match[0]


def _range(match: re.Match[str]) -> str:
    return f"{match[1] or match[2]} to "


def _telephone(match: re.Match[str]) -> str:
    return ", ".join(digits(group) for group in re.findall(r"\d+", match[0]))


# Numbers are tried from their first figure only: else a long row of figures takes quadratic time.
_FIGURES = r"(?<!\d)(?:\d{1,3}(?:,\d{3})+|\d+)"
_DECIMAL = rf"{_FIGURES}(?:\.\d+)?"
_SCALE = r"(?:\s(thousand|million|billion|trillion)\b|(k|m|bn|b|tn)\b)"
_WHOSE = rf"(?:(?<![A-Za-z])({'|'.join(sorted(DOLLARS, key=len, reverse=True))})(?=\$))?"
_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    # Roman numbers, before an I or a V is taken for an initial.
    (re.compile(rf"\b({_FIRST}) I\b(?!')"), lambda m: f"{m[1]} one"),
    (re.compile(rf"\b({_PARTS}) ({_ROMAN})\b"), lambda m: f"{m[1]} {cardinal(_roman(m[2]))}"),
    (re.compile(rf"\b({_KINDS}) (?!X\b)({_ROMAN})\b"), lambda m: f"{m[1]} {cardinal(_roman(m[2]))}"),
    (re.compile(rf"\b({_RULERS}) ({_ROMAN})\b"), lambda m: f"{m[1]} the {ordinal(_roman(m[2]))}"),
    # Abbreviations, initials and addresses, whose dots end no sentence.
    (re.compile(r"\be\.g\.", re.I), lambda m: "for example"),
    (re.compile(r"\bi\.e\.", re.I), lambda m: "that is"),
    (re.compile(r"\b[Pp]h\.?\s?D\b\.?"), lambda m: "PhD"),
    (re.compile(r"\b(?:[A-Za-z]\.){2,}(\s+[A-Z]|\s*$)?"), _initials),
    (re.compile(r"\b([A-Z])\.(?=\s+[A-Z])"), _initial),
    (
        re.compile(r"\bhttps?://[^\s,;]+|\b(?:[A-Za-z0-9-]{1,63}\.){1,4}(?:com|org|net|io|gov|edu|app|dev)/[^\s,;]*"),
        _address,
    ),
    (re.compile(r"\bWi-Fi\b"), lambda m: "WiFi"),
    (re.compile(r"\bw/o\b"), lambda m: "without"),
    (re.compile(r"\bw/\s?(?=\w)"), lambda m: "with "),
    (re.compile(r"/+(?=\s|$)"), lambda m: " "),
    (re.compile(r"(?<=[A-Za-z])\.(?=[A-Za-z]{2})|(?<![\w.])\.(?=[A-Z]{2,}\b)"), lambda m: " dot "),
    (re.compile(r"(?<=\w)\?(?=\w)"), lambda m: " "),
    (re.compile(r"(?<![\w.])\.(?=\d)"), lambda m: "0."),
    (re.compile(r"\bNo\.(?=\s*\d)"), lambda m: "number"),
    (re.compile(rf"\b({'|'.join(_PLACES)})\.\s?(?=\d)", re.I), lambda m: _PLACES[m[1].lower()] + " "),
    # Main St. is a street and St. John a saint: what comes before it, and what after, tells them apart.
    (re.compile(r"\b([A-Z][a-z']+) St\.?(?=\s+[a-z]|[,;])"), lambda m: m[1] + " street"),
    (re.compile(r"\b([A-Z][a-z']+|\d+(?:st|nd|rd|th)) St(?=\.?\s*$)"), lambda m: m[1] + " street"),
    (re.compile(r"\b(\d+(?:st|nd|rd|th)) St\b\.?"), lambda m: m[1] + " street"),
    (re.compile(r"\b(Col|Sen|Rep)\.(?=\s+[A-Z])"), lambda m: _BEFORE_NAMES[m[1]]),
    (re.compile(r"\b(Ave|Blvd)\.(?=\s+[A-Z])"), lambda m: _ABBREVIATIONS[m[1].lower()] + "."),
    (re.compile(rf"\b({_TITLES})\.(?=\s)", re.I), lambda m: _ABBREVIATIONS[m[1].lower()]),
    (re.compile(r"\b(Ave|Blvd|Jr|Sr|Inc|Ltd|Corp|dept)(?=\.?$|\.[,;!?])"), lambda m: _ABBREVIATIONS[m[1].lower()]),
    (re.compile(r"\betc\b", re.I), lambda m: "et cetera"),
    # Dates.
    (re.compile(rf"\b({_ANY_DAY})\.?\s?[-–]\s?({_ANY_DAY})\b"), _span),
    (re.compile(rf"\b({_ANY_MONTH})\.?\s?[-–]\s?({_ANY_MONTH})\b"), _span),
    (re.compile(rf"(?<=\d )({'|'.join(_SHORT_MONTHS)})\b\.?(?=\s+\d{{4}})"), lambda m: _SHORT_MONTHS[m[1]]),
    (re.compile(rf"\b({'|'.join(_SHORT_MONTHS)})\b\.?(?=\s+\d)"), lambda m: _SHORT_MONTHS[m[1]]),
    (re.compile(rf"\b({_MONTH})\s+(\d{{1,2}})\b(?![\d:/%]|[.,]\d)"), _day),
    # May is also a verb: 5 May attend.
    (re.compile(rf"(?<![\w:/.,$-])(\d{{1,2}}) ((?!May\b(?!\s+\d{{4}}|[,.;]|$))(?:{_MONTH}))\b"), _day_first),
    (re.compile(r"\b(\d{4})[-/](\d{1,2})[-/](\d{1,2})\b"), _iso_date),
    (re.compile(r"(?<![\d/.])(\d{1,2})([/.])(\d{1,2})\2((?:19|20)\d\d)(?![\d/])"), _numeric_date),
    (re.compile(r"(?<![\d/.])(\d{1,2})(/)(\d{1,2})/(\d{2})(?![\d/])"), _numeric_date),
    # Numbers that are rows of figures.
    (re.compile(r"\+\d[\d ().-]{6,18}\d\b"), lambda m: "plus " + _telephone(m)),
    (re.compile(r"(?<![\w-])(?:\d{1,3}[ .-])?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b"), _telephone),
    (re.compile(r"(?<![\w.-])\d{3}-\d{4}\b(?!-)|(?<![\w-])\d+(?:-\d+){3,}(?![\w-])"), _telephone),
    (
        re.compile(r"(?<![\d.])\d{1,5}(?:\.\d{1,5}){2,7}(?!\d|\.\d)"),
        lambda m: " point ".join(whole(part) for part in m[0].split(".")),
    ),
    (re.compile(r"\b([A-Z]{1,3})(\d{4,})\b"), _code),
    (re.compile(r"\b(call|dial) 911\b", re.I), lambda m: f"{m[1]} nine one one"),
    # Signs between and before numbers.
    (re.compile(r"(?<=\d)\^\(?([-−]?\d{1,3})\)?"), _power),
    (re.compile(rf"[{''.join(_COMPARISONS)}]\s?(?=[{SIGNS}]?\d)"), lambda m: f" {_COMPARISONS[m[0][0]]} "),
    (re.compile(r"\b50-50\b"), lambda m: "fifty fifty"),
    (re.compile(r"(\d(?:st|nd|rd|th|\s?[ap]m))\s?[-–]\s?(?=\d)", re.I), lambda m: m[1] + " to "),
    (
        re.compile(rf"([{SIGNS}])({_DECIMAL})\s?[-–]\s?[{SIGNS}]?({_DECIMAL}){_SCALE}?", re.I),
        lambda m: f"{number(m[2])} to {money(m[1], m[3], m[4] or m[5])}",
    ),
    (re.compile(r"(?<![\d.,-])(\d{1,4})\s?–\s?(?=\d)|(?<![\d.,-])(\d{1,4})-(?=\d{1,4}(?![\d-]))"), _range),
    (re.compile(rf"(?<![\w.])[-−](?=[{SIGNS}]?\d)"), lambda m: "minus "),
    # Money.
    (
        re.compile(rf"{_WHOSE}([{SIGNS}])\s?({_DECIMAL}){_SCALE}?", re.I),
        lambda m: money(m[2], m[3], m[4] or m[5], m[1] and m[1].upper()),
    ),
    (re.compile(rf"({_DECIMAL})\s?([{SIGNS}])(?!\d)"), lambda m: money(m[2], m[1], None)),
    (re.compile(rf"\b({CODES})\s?({_DECIMAL}){_SCALE}?"), lambda m: money(m[1], m[2], m[3] or m[4])),
    (re.compile(rf"({_DECIMAL}){_SCALE}?\s?({CODES})\b"), lambda m: money(m[4], m[1], m[2] or m[3])),
    (re.compile(rf"({_DECIMAL})\s?¢"), lambda m: f"{number(m[1])} {plural('cent', m[1] == '1')}"),
    (re.compile(r"(?<![\w.])(\d{1,2})p\b"), lambda m: f"{cardinal(int(m[1]))} {plural('penny', m[1] == '1')}"),
    # Times.
    (re.compile(r"\b(\d{1,2}):(\d{2}):(\d{2})\b"), _exact_time),
    (
        re.compile(r"(?<![\d:.,])(?:(\d{1,4}):(\d)|(\d{3,4}):(\d{2,4}))(?![\d:])"),
        lambda m: f"{cardinal(int(m[1] or m[3]))} to {cardinal(int(m[2] or m[4]))}",
    ),
    (re.compile(r"\b(\d{1,2}):(\d{2})(?:\s?([ap])m\b)?", re.I), _clock),
    (re.compile(r"\b(\d{1,2})\s?([ap])m\b", re.I), lambda m: f"{cardinal(int(m[1]))} {m[2].upper()}M"),
    (re.compile(rf"({_DECIMAL})\s?%"), lambda m: f"{number(m[1])} percent"),
    (re.compile(r"\b(\d+)(?:st|nd|rd|th)\b", re.I), lambda m: ordinal(int(m[1])) if len(m[1]) < 12 else digits(m[1])),
    (re.compile(r"\b([12]\d\d0)s\b"), lambda m: _many(year(int(m[1])))),
    (
        re.compile(r"(?:'|\b(?:[Tt]he|[Mm]id|[Ee]arly|[Ll]ate)[ -])\b([1-9]0)s\b"),
        lambda m: f"{m[0][:-3].rstrip(chr(39))}{_many(cardinal(int(m[1])))}",
    ),
    (re.compile(r"\b((?:19|20)\d\d)/(\d\d)\b"), lambda m: f"{year(int(m[1]))} {cardinal(int(m[2]))}"),
    # Measures.
    (
        re.compile(
            rf"(?<![\d/])(\d{{1,4}}\s+)?\b(\d{{1,4}})[/⁄](\d{{1,4}})(?![\d/])(?:\s?({LONG_UNITS})(?![A-Za-z\d]))?",
            re.I,
        ),
        lambda m: f" {fraction(m[1], int(m[2]), int(m[3]), m[4])} ",
    ),
    (
        re.compile(r"(?<![\w.])(\d{1,2}) ?(?:ft|feet|foot)\.? ?(\d{1,2}) ?(?:in\b(?:\.(?=\s+[a-z]))?|inches)"),
        lambda m: f"{measure(m[1], 'ft')} {number(m[2])} {'inch' if m[2] == '1' else 'inches'}",
    ),
    (re.compile(r"(?<![\w'])(\d)['′] ?(\d{1,2})(?![\w'])"), lambda m: f"{number(m[1])} foot {number(m[2])}"),
    (re.compile(rf"({_DECIMAL})in\b"), lambda m: f"{number(m[1])} {'inch' if m[1] == '1' else 'inches'}"),
    (
        re.compile(rf"({_DECIMAL})\s?((?i:{LONG_UNITS}))(?![A-Za-z\d])(?:\.(?=\s+[a-z]))?"),
        lambda m: measure(m[1], m[2]),
    ),
    (re.compile(rf"({_DECIMAL})(?:(s)|\s?([mglhL]))\b(?!['’])"), lambda m: measure(m[1], m[2] or m[3])),
    (re.compile(rf"({_DECIMAL})M\b"), lambda m: f"{number(m[1])} million"),
    (re.compile(r"(?<=[a-z])/(?=(?:second|minute|hour|day|night|week|month|year|person)\b)"), lambda m: " per "),
    (re.compile(rf"({_DECIMAL})[x×](?!\w)"), lambda m: f"{number(m[1])} times"),
    (re.compile(r"(?<=\d)\s?[x×]\s?(?=\d)"), lambda m: " times "),
    (re.compile(r"(?<=[\d\s])÷"), lambda m: " divided by "),
    (re.compile(r"(?<=\d)\s-\s(?=\d)"), lambda m: " minus "),
    # What is left.
    (re.compile(r"(?<![\d,.])(1[1-9]\d\d|20\d\d)(?!\d|[,.]\d)"), lambda m: f" {year(int(m[1]))} "),
    (re.compile(_DECIMAL), lambda m: f" {number(m[0])} "),
    (re.compile(r"&"), lambda m: " and "),
    (re.compile(r"@"), lambda m: " at "),
    (re.compile(r"\+"), lambda m: " plus "),
    (re.compile(r"="), lambda m: " equals "),
    (re.compile(r"%"), lambda m: " percent "),
    (re.compile(r"\b([A-G])#(?!\w)"), lambda m: m[1] + " sharp"),
    (re.compile(r"#(?=[A-Za-z])"), lambda m: " hashtag "),
    (re.compile(r"#"), lambda m: " number "),
)
