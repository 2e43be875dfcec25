"""English read exactly as GPT-SoVITS reads it, quirks included (`compat`).

The order of the rules is upstream's (text/english.py and text/en_normalization/expend.py, MIT) and so are their
oddities, since each rule sees what the ones before it left. What they do to a text, in short: quotation marks, colons,
semicolons, slashes and every other sign but `' . , ? ! -` vanish without a pause; "1984. " is an ordinal; "fun - very"
is a subtraction; "5km/h" keeps its "/h"; `1,2` is twelve; a euro or yen sign is dropped; a capital inside a
word starts a new word, so that NASA and iOS are spelled.

Where upstream raises an exception (a number of more than 36 figures, "£,5") the figures are read one by one instead.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from cloning.engine.text.english_lexicon import HISSING, VOICELESS, homographs, names, spell, upstream
from cloning.engine.text.english_numbers import BEYOND_NAMES, digits, grouped, ordinal_figures, ordinal_of
from cloning.engine.text.english_segment import segment
from cloning.engine.text.letters import sound_out
from cloning.engine.text.symbols import INDEX, UNKNOWN

_FULL_WIDTH = str.maketrans({"。": ".", "！": "!", "？": "?"})
_UNITS = {
    "m": ("meter", "meters"), "km": ("kilometer", "kilometers"), "ft": ("feet", "feet"), "L": ("liter", "liters"),
    "tbsp": ("tablespoon", "tablespoons"), "tsp": ("teaspoon", "teaspoons"), "h": ("hour", "hours"),
    "min": ("minute", "minutes"), "s": ("second", "seconds"), "°C": ("degree celsius", "degrees celsius"),
    "°F": ("degree fahrenheit", "degrees fahrenheit"),
}  # fmt: skip
_FULL_HOUR = "o'clock"
_OPERATORS = {"+": "plus", "-": "minus", "×": "times", "÷": "divided by", "=": "Equals"}
_POWERS = "[⁰¹²³⁴⁵⁶⁷⁸⁹ˣʸⁿ]*"
# Here and below the look-behinds change no result: they keep long rows of figures from taking quadratic time.
_TERM = rf"(?:-?(?<!\d)\d+(?:\.\d+)?{_POWERS}|\.\d+{_POWERS}|[A-Za-z]{_POWERS})"
_SUM = re.compile(rf"({_TERM})\s+([-+×÷=])\s+({_TERM})")
#: For signs and for the letter network's marks.
_SIGNS = {"'": "-", "<unk>": UNKNOWN}
_MARKS = "!?…,.\\-"
_TOKEN = re.compile(
    # A word with a dot inside passes for a web address and stays whole, as in "e-mail.Then".
    r"[a-z]+(?:[.-][a-z]+)*\.[a-z]{2,13}\b|[a-z][a-z'-]+[a-z]|[a-z]+|\.(?: *\.)+|\S",
    re.I,
)


def read(text: str) -> tuple[str, list[tuple[str, list[str]]]]:
    """Any text to (text as it is read, [(token, symbols)]), symbols that no table has left out.

    Raises EngineError `missing_data` without the data packages (g2p-en, wordsegment).
    """
    text = write_out(text)
    words: list[tuple[str, list[str]]] = []
    for token in tokens(text):
        phones = (_SIGNS.get(phone, phone) for phone in _token(token))
        words.append((token, [phone for phone in phones if phone in INDEX]))
    return text, words


def write_out(text: str) -> str:
    """Text of any kind to text of `A-Z a-z ' . , ? ! -` and spaces, numbers in words. Never raises."""
    text = text.translate(_FULL_WIDTH)
    text = re.sub(r"\b([0-9]+)\. ", lambda m: ordinal_figures(m[1]) + ", ", text)
    while _SUM.search(text):
        text = _SUM.sub(lambda m: f"{m[1]} {_OPERATORS[m[2]]} {m[3]}", text)
    text = re.sub(r"(?:^|(?<!\s)\s+)-(\d+)", r"negative \1", text)
    for pattern, reading in _RULES:
        text = pattern.sub(reading, text)
    text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    text = re.sub(r"[^ A-Za-z'.,?!-]", "", text.replace("%", " percent"))
    text = re.sub(r"i\.e\.", "that is", text, flags=re.I)
    text = re.sub(r"e\.g\.", "for example", text, flags=re.I)
    text = re.sub(r"(?<!^)(?<!\s)([A-Z])", r" \1", text)
    # Of a mark or space and the marks right behind it only the first stays.
    return re.sub(rf"([{_MARKS}\s])[{_MARKS}]+", r"\1", text)


def tokens(text: str) -> list[str]:
    """Words and marks of a text that `write_out` gave: the rules of NLTK's TweetTokenizer for that alphabet."""
    return _TOKEN.findall(re.sub(r"([^A-Za-z])\1{3,}", r"\1\1\1", text))


def _words(figures: str, *, conjunction: bool = False) -> str:
    # The length first: Python refuses to convert thousands of figures.
    if len(figures) > 40 or int(figures) >= BEYOND_NAMES:
        return digits(figures)
    return grouped(int(figures), conjunction=conjunction)


def _clock(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    spoken = grouped(hour - 12 if hour > 12 else hour)
    return f"{spoken} {grouped(minute) if minute else _FULL_HOUR} {'a.m.' if hour < 12 else 'p.m.'}"


def _measure(match: re.Match[str]) -> str:
    one = match[2] is None and match[1].lstrip("0") == "1"
    return f"{match[1]}{match[2] or ''} {_UNITS[match[3]][0 if one else 1]}"


def _money(unit: str, small: tuple[str, str]) -> Callable[[re.Match[str]], str]:
    def read(match: re.Match[str]) -> str:
        parts = re.sub(r"[^0-9.]", "", match[1]).split(".")
        if len(parts) > 2:
            return f"{match[1]} {unit}s"
        # Three figures behind the point are so many hundred cents: upstream's reading.
        whole = parts[0].lstrip("0")
        cents = parts[1].ljust(2, "0").lstrip("0") if len(parts) > 1 and parts[1] else ""
        spoken = [f"{whole} {unit}" + "s" * (whole != "1")] if whole else []
        if cents:
            spoken.append(f"{cents} {small[0] if cents == '1' else small[1]}")
        return " and ".join(spoken) or f"zero {unit}s"

    return read


def _decimal(match: re.Match[str]) -> str:
    whole, _, fraction = match[0].partition(".")
    return f"{whole} point {' '.join(fraction)}"


def _fraction(match: re.Match[str]) -> str:
    over, under = match[1].lstrip("0") or "0", match[2].lstrip("0") or "0"
    words = _words(over, conjunction=True)
    if under == "1":
        return words
    if under == "2":
        return f"{words} {'half' if over == '1' else 'halves'}"
    return f"{words} {ordinal_of(_words(under, conjunction=True))}" + "s" * (over not in "01")


def _ordinal(match: re.Match[str]) -> str:
    return ordinal_of(_words(match[1], conjunction=True))


def _number(match: re.Match[str]) -> str:
    figures = match[0].lstrip("0") or "0"
    if len(figures) != 4 or not 1000 < int(figures) < 3000:
        return _words(figures)
    century, rest = divmod(int(figures), 100)
    if century == 20 and rest < 10:
        return "two thousand" + (f" {grouped(rest)}" if rest else "")
    return f"{grouped(century)} {'hundred' if not rest else 'oh ' * (rest < 10) + grouped(rest)}"


_POUNDS, _DOLLARS = _money("pound", ("penny", "pence")), _money("dollar", ("cent", "cents"))
_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"[0-9][0-9,]+[0-9]"), lambda m: m[0].replace(",", "")),
    (re.compile(r"\b([01]?[0-9]|2[0-3]):([0-5][0-9])\b"), _clock),
    (re.compile(r"\b([0-9]+)(\.[0-9]+)?(m|km|ft|L|tbsp|tsp|h|min|s|°C|°F)\b"), _measure),
    (re.compile(r"£([0-9.,]*[0-9])"), _POUNDS),
    (re.compile(r"(?<![0-9.,])([0-9.,]*[0-9])£"), _POUNDS),
    (re.compile(r"\$([0-9.,]*[0-9])"), _DOLLARS),
    (re.compile(r"(?<![(0-9.,])([(0-9.,]*[0-9])\$"), _DOLLARS),
    (re.compile(r"(?<![0-9])[0-9]+\.\s*[0-9]+"), _decimal),
    (re.compile(r"(?<![0-9])([0-9]+)/([0-9]+)"), _fraction),
    (re.compile(r"(?<![0-9])([0-9]+)(?:st|nd|rd|th)"), _ordinal),
    (re.compile(r"[0-9]+"), _number),
)


def _token(word: str) -> list[str]:
    lower = word.lower()
    if not re.search("[a-z]", lower):
        return [lower]
    if word == "A":
        return spell(word)
    if len(lower) == 1:
        return upstream()[lower].split()
    if lower in homographs():
        first, second, tag = homographs()[lower]
        return first if "NN".startswith(tag) else second
    return _word(word)


def _word(word: str) -> list[str]:
    lower = word.lower()
    if len(lower) > 1 and lower in upstream():
        return upstream()[lower].split()
    if word.istitle() and lower in names():
        return names()[lower].split()
    if len(lower) <= 3:
        return [s for c in lower for s in (spell(c) if c.isalpha() else [c])]
    if re.fullmatch("[a-z]+'s", lower):
        phones = _word(lower[:-2])
        if phones and phones[-1] in HISSING:
            return [*phones, "AH0", "Z"]
        return [*phones, "S" if phones and phones[-1] in VOICELESS | {"HH"} else "Z"]
    parts = segment(re.sub("[^a-z]", "", lower))
    if len(parts) == 1:
        return list(sound_out(lower, compat=True))
    return [phone for part in parts for phone in _word(part)]
