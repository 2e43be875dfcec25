"""English number words: cardinals, ordinals, years and digits.

Two ways of joining are in use. The plain one ("one thousand nine hundred eighty-four") is this engine's own. The
grouped one sets a comma between groups of three figures and, on request, an "and" inside them ("one thousand, nine
hundred and eighty-four"): that is how the inflect library, which upstream uses, writes them.
"""

from __future__ import annotations

import re

_ONES = str.split(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = str.split("- - twenty thirty forty fifty sixty seventy eighty ninety")
_SCALES = str.split(
    "- thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion decillion"
)
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
#: First number without a name here.
BEYOND_NAMES = 10 ** (3 * len(_SCALES))


def cardinal(number: int) -> str:
    """0 <= number < 10**36, for instance 1984 -> "one thousand nine hundred eighty-four"."""
    return " ".join(_groups(number, " "))


def grouped(number: int, *, conjunction: bool = False) -> str:
    """0 <= number < 10**36 with commas: 1984 -> "one thousand, nine hundred eighty-four".

    `conjunction` adds "and" before the tens ("two hundred and nine") and before a last group below a hundred ("one
    thousand and five"); without it such a group follows with no comma ("one thousand five").
    """
    link = " and " if conjunction else " "
    groups = _groups(number, link)
    if len(groups) > 1 and 0 < number % 1000 < 100:
        return ", ".join(groups[:-1]) + link + groups[-1]
    return ", ".join(groups)


def ordinal(number: int) -> str:
    """21 -> "twenty-first"."""
    return ordinal_of(cardinal(number))


def ordinal_of(words: str) -> str:
    """The ordinal of a number already in words: "one hundred and two" -> "one hundred and second"."""
    match = re.fullmatch(r"(.*?)([a-z]+)", words)
    assert match is not None, words
    head, last = match.groups()
    regular = (last[:-1] + "ie" if last.endswith("y") else last) + "th"
    return head + _ORDINALS.get(last, regular)


def ordinal_figures(figures: str) -> str:
    """ "22" -> "22nd"."""
    if figures[-2:] in ("11", "12", "13"):
        return figures + "th"
    return figures + {"1": "st", "2": "nd", "3": "rd"}.get(figures[-1], "th")


def year(number: int) -> str:
    """1000..2999: 1984 -> "nineteen eighty-four", 2005 -> "two thousand five", 1900 -> "nineteen hundred"."""
    century, rest = divmod(number, 100)
    if century % 10 == 0 and rest < 10:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def digits(figures: str) -> str:
    """ "007" -> "zero zero seven"."""
    return " ".join(_ONES[int(figure)] for figure in figures)


def _below_thousand(number: int, link: str) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        words.append(_TENS[tens] + (f"-{_ONES[ones]}" if ones else ""))
    elif rest or not hundreds:
        words.append(_ONES[rest])
    return link.join(words)


def _groups(number: int, link: str) -> list[str]:
    if not 0 <= number < BEYOND_NAMES:
        raise ValueError("the number has no name")
    groups: list[str] = []
    for scale in _SCALES:
        number, group = divmod(number, 1000)
        if group or not (groups or number):
            groups.append(_below_thousand(group, link) + (f" {scale}" if scale != "-" else ""))
        if not number:
            break
    return groups[::-1]
