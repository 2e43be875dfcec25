"""English amounts in words: figures, money, measures and fractions."""

from __future__ import annotations

import re

from cloning.engine.text.english_numbers import BEYOND_NAMES, cardinal, digits, ordinal

#: Signs and codes of money: the coin of a hundred parts, and the part; "" where there is none in use.
CURRENCIES = {
    "$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "sen"),
    "₹": ("rupee", "paisa"), "₩": ("won", ""), "₽": ("ruble", "kopeck"), "₺": ("lira", ""), "₱": ("peso", "centavo"),
    "₪": ("shekel", ""), "₫": ("dong", ""), "฿": ("baht", ""), "₦": ("naira", ""), "₴": ("hryvnia", ""),
    "USD": ("US dollar", "cent"), "EUR": ("euro", "cent"), "GBP": ("pound", "penny"), "JPY": ("yen", "sen"),
    "CNY": ("yuan", ""), "RMB": ("yuan", ""), "CHF": ("Swiss franc", ""), "INR": ("rupee", "paisa"),
    "AUD": ("Australian dollar", "cent"), "CAD": ("Canadian dollar", "cent"), "HKD": ("Hong Kong dollar", "cent"),
}  # fmt: skip
SIGNS = "".join(sign for sign in CURRENCIES if len(sign) == 1)
CODES = "|".join(code for code in CURRENCIES if len(code) > 1)
#: What stands before a dollar sign: whose dollars they are.
DOLLARS = {
    "US": "US", "A": "Australian", "AU": "Australian", "C": "Canadian", "CA": "Canadian", "HK": "Hong Kong",
    "NZ": "New Zealand", "S": "Singapore", "NT": "Taiwan",
}  # fmt: skip
AMOUNTS = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion", "tn": "trillion"}
UNITS = {
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "um": "micrometer", "nm": "nanometer", "m": "meter",
    "kg": "kilogram", "mg": "milligram", "ug": "microgram", "g": "gram", "lb": "pound", "lbs": "pound",
    "oz": "ounce", "ft": "foot", "yd": "yard", "yds": "yard", "mi": "mile", "ml": "milliliter", "l": "liter",
    "s": "second", "sec": "second", "secs": "second", "ms": "millisecond", "min": "minute", "mins": "minute",
    "h": "hour", "hr": "hour", "hrs": "hour", "wk": "week", "wks": "week", "yr": "year", "yrs": "year",
    "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz", "mph": "mile per hour",
    "km/h": "kilometer per hour", "kph": "kilometer per hour", "m/s": "meter per second",
    "rpm": "revolution per minute", "tb": "terabyte", "gb": "gigabyte", "mb": "megabyte", "kb": "kilobyte",
    "kw": "kilowatt", "kwh": "kilowatt hour", "kcal": "kilocalorie", "mah": "milliamp hour", "db": "decibel",
    "tbsp": "tablespoon", "tsp": "teaspoon", "km2": "square kilometer", "m2": "square meter",
    "cm2": "square centimeter", "ft2": "square foot", "sq ft": "square foot", "m3": "cubic meter",
    "cm3": "cubic centimeter", "ft3": "cubic foot", "°c": "degree celsius", "°f": "degree fahrenheit", "°": "degree",
}  # fmt: skip
#: Units that no word or letter is taken for, as a pattern.
LONG_UNITS = "|".join(sorted((re.escape(u) for u in UNITS if len(u) > 1 or u == "°"), key=len, reverse=True))
#: From this many digits on a number is read digit by digit, as a serial number is; with commas it is an amount.
_LONGEST_NUMBER = 15
_IRREGULAR = {
    "foot": "feet", "penny": "pence", "yen": "yen", "sen": "sen", "won": "won", "dong": "dong", "baht": "baht",
    "yuan": "yuan", "naira": "naira", "paisa": "paise", "lira": "lira",
}  # fmt: skip
#: Adjectives of units and of money: what follows them takes the plural.
_BEFORE = ("square", "cubic", "kilowatt", "milliamp", "US", "Swiss", "Australian", "Canadian", "Singapore", "Taiwan")
_HALVES = {2: "half", 4: "quarter"}


def whole(figures: str) -> str:
    """ "1,250" -> "one thousand two hundred fifty", "007" -> "zero zero seven"."""
    plain = figures.replace(",", "")
    serial = len(plain) >= _LONGEST_NUMBER and plain == figures
    if serial or re.match(r"0\d", plain) or len(plain) >= len(str(BEYOND_NAMES)):
        return digits(plain)
    return cardinal(int(plain))


def number(text: str) -> str:
    """ "3.05" -> "three point zero five"."""
    head, _, fraction = text.partition(".")
    return whole(head) + (f" point {digits(fraction)}" if fraction else "")


def plural(noun: str, one: bool) -> str:
    """The noun as it stands beside a number: "mile per hour" -> "miles per hour"."""
    if one or noun.endswith("hertz"):
        return noun
    for before in (*_BEFORE, "Hong Kong", "New Zealand"):
        if noun.startswith(before + " "):
            return f"{before} {plural(noun[len(before) + 1 :], False)}"
    head, _, rest = noun.partition(" ")
    return f"{_IRREGULAR.get(head, head + 's')} {rest}".strip()


def money(sign: str, amount: str, scale: str | None, whose: str | None = None) -> str:
    """An amount of CURRENCIES, perhaps in thousands or millions (`scale`); `whose`: of DOLLARS."""
    noun, small = CURRENCIES[sign]
    if whose:
        noun = f"{DOLLARS[whose]} {noun}"
    if scale:
        return f"{number(amount)} {AMOUNTS.get(scale.lower(), scale)} {plural(noun, False)}"
    coins, _, parts = amount.partition(".")
    words = whole(coins)
    if len(parts) not in (0, 2) or (parts and not small):
        return f"{number(amount)} {plural(noun, False)}"
    out = f"{words} {plural(noun, words == 'one')}"
    if parts and int(parts):
        change = f"{cardinal(int(parts))} {plural(small, int(parts) == 1)}"
        return change if words == "zero" else f"{out} and {change}"
    return out


def measure(amount: str, unit: str) -> str:
    """ "5", "km/h" -> "five kilometers per hour"."""
    return f"{number(amount)} {plural(UNITS[unit.lower()], amount == '1')}"


def fraction(before: str | None, over: int, under: int, unit: str | None = None) -> str:
    """ "3 1/2" -> "three and one half", 3/4 tsp -> "three quarters of a teaspoon", 120/80 -> "one hundred twenty over
    eighty"."""
    noun = UNITS[unit.lower()] if unit else ""
    if not 0 < over < under <= 100:
        link = " " if (over, under) in ((24, 7), (50, 50)) else " over "
        return f"{before or ''} {cardinal(over)}{link}{cardinal(under)} {plural(noun, False) if noun else ''}".strip()
    if (over, under) == (9, 11) and not before:
        return "nine eleven"
    part = _HALVES.get(under) or ordinal(under)
    words = f"{cardinal(over)} {part}" + "s" * (over > 1)
    if before:
        return f"{whole(before.strip())} and {words} {plural(noun, False) if noun else ''}".strip()
    if noun and over > 1:
        return f"{words} of {'an' if noun[0] in 'aeio' or noun == 'hour' else 'a'} {noun}"
    return f"{words} {noun}".strip()
