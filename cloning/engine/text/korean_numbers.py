"""Numbers in Korean: sino-Korean and native numerals in hangul (the rules of g2pK, https://github.com/kyubyong/g2pK)."""

from __future__ import annotations

import re

DIGITS = "영일이삼사오육칠팔구"
_SINO_ONES = ("", *DIGITS[1:])
_NATIVE_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_SMALL = ("", "십", "백", "천")
_LARGE = ("", "만", "억", "조")
#: Counters that take native numerals.
NATIVE_COUNTERS = (
    "군데 권 개 그루 닢 대 두 마리 모 모금 뭇 발 발짝 방 번 벌 보루 살 수 술 시 쌈 움큼 정 짝 채 척 첩 축 켤레 톨 통"
)
#: More digits have no name in upstream's table (it raises an error); they are read one by one.
MOST_DIGITS = 16
_COUNTED = re.compile(r"(\d[\d,]*)([ㄱ-힣]+)/B")
_DECIMAL = re.compile(r"(?<!\d)(?<!\d\.)\d+\.\d+(?![\d.])")
_NUMBER = re.compile(r"(?<!\d)(?<!\d[.,-])(\d{1,3}(?:,\d{3})+|[1-9]\d*|0(?=\.))(?:\.(\d+))?(?!\d|[.,-]\d)")


def numeral(digits: str, *, native: bool = False, compat: bool = False) -> str:
    """A whole number in hangul: `123` -> 백이십삼; native, in the form that stands before a counter: `23` -> 스물세.

    digits: ASCII digits, commas are ignored. Native numerals go up to 99, beyond them the sino-Korean ones take over.
    compat: 110,000 is read as 100,000, as upstream does, because it leaves out the one of every ten thousand.
    """
    digits = digits.replace(",", "")
    if digits == "0":
        return DIGITS[0]
    if len(digits) > MOST_DIGITS:
        return one_by_one(digits)
    if native and digits == "20":
        return "스무"
    said: list[str] = []
    for place, digit in zip(range(len(digits) - 1, -1, -1), map(int, digits), strict=True):
        group, small = divmod(place, 4)
        if native and place == 0:
            said.append(_NATIVE_ONES[digit])
        elif native and place == 1:
            said.append(_NATIVE_TENS[digit])
        elif digit == 0 and (small or not "".join(said[-3:])):
            said.append("")
        else:
            large = _LARGE[group] if small == 0 else ""
            # "il" is left out before 10, 100 and 1000, and where 10,000 begins a number
            bare = digit == 1 and (
                (small > 0 and (group < 2 or not compat)) or (small == 0 and group == 1 and (compat or not said))
            )
            said.append(("" if bare else _SINO_ONES[digit]) + _SMALL[small] + large)
    return "".join(said)


def one_by_one(text: str) -> str:
    """Every ASCII digit by its name."""
    return text.translate({ord("0") + place: name for place, name in enumerate(DIGITS)})


def spell(annotated: str, *, compat: bool = False) -> str:
    """Write out the numbers of an annotated text (`/B` after a counter, see `korean_rules.annotated`).

    Numbers before a counter are read whole. All others are read digit by digit by upstream (compat), by the default
    only where they look like a telephone number or a date (a hyphen beside them, a leading zero, two points).
    """

    def counted(match: re.Match[str]) -> str:
        number, counter = match.groups()
        # upstream asks whether the letters occur anywhere in its list, so that "ri" counts as "mari"
        native = counter in (NATIVE_COUNTERS if compat else NATIVE_COUNTERS.split())
        return f"{numeral(number, native=native, compat=compat)}{counter}/B"

    def whole(match: re.Match[str]) -> str:
        number, decimals = match.groups()
        return numeral(number) + (f"점{one_by_one(decimals)}" if decimals else "")

    if not compat:
        # a decimal before a counter is no count
        annotated = _DECIMAL.sub(lambda match: _NUMBER.sub(whole, match[0]), annotated)
    annotated = _COUNTED.sub(counted, annotated)
    return one_by_one(annotated if compat else _NUMBER.sub(whole, annotated))
