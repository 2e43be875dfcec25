"""Numbers and counters: digits to powers of ten, sound changes of both, days of the month (njd_set_digit).

Pieces of text hold no comma, so Open JTalk's rules for commas are not here; a decimal point is "・" or "．".
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import Any

from cloning.engine.text.openjtalk.words import NOUN, SYMBOL, Word, line, spoken

NUMBER, COUNTER, ADVERBIAL, BEFORE_NUMBER = "数", "助数詞", "副詞可能", "数接続"
POINTS = ("．", "・")
DASHES = ("―", "−", "‐", "—", "－")
OPEN, CLOSE, SERIAL = "（", "）", "番号"
ZEROS = ("〇", "０")
POINT = "．,名詞,接尾,助数詞,*,*,*,．,テン,テン,0/2,*,-1"
#: Single digits are drawn out to two morae where no power of ten carries them.
DRAWN_OUT = {"二": "ニー", "五": "ゴー"}
FIRST_OF_MONTH = "一日,名詞,副詞可能,*,*,*,*,一日,ツイタチ,ツイタチ,4/4,*"
#: 14, 20 and 24 days: what the tens and the units become, by counter.
FOURTEEN = {
    "日": "十四日,名詞,副詞可能,*,*,*,*,十四日,ジュウヨッカ,ジューヨッカ,1/5,*",
    "日間": "十四日間,名詞,副詞可能,*,*,*,*,十四日間,ジュウヨッカカン,ジューヨッカカン,5/7,*",
}
TWENTY = {
    "日": "二十日,名詞,副詞可能,*,*,*,*,二十日,ハツカ,ハツカ,0/3,*",
    "日間": "二十日間,名詞,副詞可能,*,*,*,*,二十日間,ハツカカン,ハツカカン,3/5,*",
}
TWENTY_AND = "二十,名詞,副詞可能,*,*,*,*,二十,ニジュウ,ニジュー,1/3,*"
FOUR_AFTER_TWENTY = {
    "日": "四日,名詞,副詞可能,*,*,*,*,四日,ヨッカ,ヨッカ,0/3,*,0",
    "日間": "四日間,名詞,副詞可能,*,*,*,*,四日間,ヨッカカン,ヨッカカン,3/5,*,0",
}


@lru_cache(maxsize=1)
def _tables() -> dict[str, Any]:
    path = resources.files("cloning.engine.text").joinpath("data/japanese_numbers.json")
    tables: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return tables


def _digit(word: Word) -> int:
    """0 to 9, or -1 for what is no digit."""
    known = _tables()["digits"].get(word.string) if word.group1 == NUMBER else None
    return int(known[0]) if known else -1


def _counts(word: Word) -> bool:
    return word.group2 == COUNTER or word.group1 == ADVERBIAL


def _reload(word: Word, text: str) -> None:
    string, *feature = text.split(",")
    word.load(string, feature)


def numbered(words: list[Word]) -> list[Word]:
    """Words with their numbers as they are spoken. Changes the words it is given."""
    if not any(word.group1 == NUMBER for word in words):
        return words
    words = spoken(_sequences(words))
    if not words:
        return words
    _points(words)
    _counters(words)
    _powers(words)
    _native(words)
    _days(words)
    return spoken(words)


def _sequences(words: list[Word]) -> list[Word]:
    """Find every run of digits and say it as one number or digit by digit."""
    place = 0
    while place < len(words):
        end = place
        while end < len(words) and _is_part(words[end]):
            end += 1
        place = (_sequence(words, place, end) if end > place else place) + 1
    return words


def _is_part(word: Word) -> bool:
    if _digit(word) >= 0:
        word.string = word.base = _tables()["digits"][word.string][1]
        return True
    return word.group1 == NUMBER and word.string in POINTS


def _sequence(words: list[Word], start: int, end: int) -> int:
    """Convert words[start:end], point by point; -> where it now ends."""
    while start < end:
        if words[start].string in POINTS:
            start += 1
            continue
        last = start + 1
        while last < end and words[last].string not in POINTS:
            last += 1
        leading_zero = last > start + 1 and _digit(words[start]) == 0
        if not leading_zero and _score(words, start, last) >= 0:
            said = _as_number(words[start:last])
        else:
            said = _digit_by_digit(words[start:last])
        words[start:last] = said
        end += len(said) - (last - start)
        start += len(said)
    return end


def _score(words: list[Word], start: int, end: int) -> int:
    """Below 0: more likely a telephone or serial number."""
    score = 0
    if start > 0:
        before = words[start - 1]
        further = words[start - 2] if start > 1 else None
        after_number = further is not None and further.group1 == NUMBER
        score += 2 * (before.group1 == BEFORE_NUMBER) + _counts(before)
        if before.string in POINTS:
            score -= 5 * after_number
        elif before.string in DASHES or before.string in (CLOSE, SERIAL):
            score -= 2
        elif before.string == OPEN:
            score -= 2 * after_number
        if further is not None and further.string == SERIAL:
            score -= 2
    if end < len(words):
        after = words[end]
        score += 2 * _counts(after)
        if after.string in DASHES or after.string in (OPEN, SERIAL):
            score -= 2
        elif after.string == CLOSE:
            score -= 2 * (end + 1 < len(words) and words[end + 1].group1 == NUMBER)
        elif after.string in POINTS:
            score += 4
    return score


def _digit_by_digit(digits: list[Word]) -> list[Word]:
    """Digits in pairs of four morae, each pair one accent phrase that falls after its third."""
    if len(digits) == 1:
        return digits
    for place, word in enumerate(digits):
        said = "ゼロ" if word.string in ZEROS else DRAWN_OUT.get(word.string)
        if said is not None:
            word.pronunciation, word.morae = said, 2
        word.rule = "*"
        word.chain = place % 2
        if place % 2:
            digits[place - 1].accent = 3
    return digits


def _as_number(digits: list[Word]) -> list[Word]:
    """Digits with the powers of ten between them."""
    tens, myriads = _tables()["tens"], _tables()["myriads"]
    if len(digits) == 1 or (len(digits) - 1) // 4 >= len(myriads):
        return digits
    said: list[Word] = []
    any_in_group = False
    for place, word in zip(range(len(digits) - 1, -1, -1), digits, strict=True):
        group, index = divmod(place, 4)
        digit = _digit(word)
        said.append(word)
        if digit == 0 or (index and digit < 0):
            word.silence()
            word.accent = word.morae = 0
        elif index and digit == 1:
            _reload(word, tens[index])
            any_in_group = True
        else:
            if index:
                said.append(line(tens[index]))
            any_in_group = True
        if index == 0:
            if any_in_group and group:
                said.append(line(myriads[group]))
            any_in_group = False
    return said


def _points(words: list[Word]) -> None:
    """Say the decimal point, and draw out the digit before it."""
    place = 1
    while place + 1 < len(words):
        before, word, after = words[place - 1 : place + 2]
        if word.string not in POINTS or before.group1 != NUMBER or after.group1 != NUMBER:
            place += 1
            continue
        _reload(word, POINT)
        word.chain = 1
        if before.string in ZEROS:
            before.pronunciation, before.morae = "レー", 2
        elif before.string in DRAWN_OUT:
            before.pronunciation, before.morae = DRAWN_OUT[before.string], 2
        elif before.string == "六":
            before.accent = 1
        place += 1
        while place < len(words) and words[place].pos == NOUN:
            place += 1
        place += 1


def _change_numeral(table: dict[str, list[Any]], word: Word) -> None:
    if word.string in table:
        word.pronunciation, word.accent, word.morae = table[word.string]


def _change_counter(table: dict[str, int], numeral: Word, word: Word) -> None:
    """Voice (1) or half-voice (2) the first sound of a counter."""
    kind = table.get(numeral.string)
    if kind is not None:
        sounds = _tables()["voiced" if kind == 1 else "half_voiced"]
        first = word.pronunciation[:1]
        word.pronunciation = sounds.get(first, first) + word.pronunciation[1:]


def _counters(words: list[Word]) -> None:
    for numeral, word in pairwise(words):
        if numeral.group1 != NUMBER or not _counts(word):
            continue
        for rule in _tables()["counters"]:
            if word.string in rule["counters"]:
                _change_numeral(rule["numerals"], numeral)
                break
        for rule in _tables()["softened"]:
            if word.string in rule["counters"]:
                _change_counter(rule["sound"], numeral, word)
                break
        numeral.chain, word.chain = 0, 1


def _powers(words: list[Word]) -> None:
    units, powers = _tables()["units"], _tables()["powers"]
    for before, word in pairwise(words):
        if before.group1 != NUMBER:
            continue
        if word.group1 == NUMBER:
            if before.string in units and word.string in powers:
                before.chain, word.chain = 0, 1
            elif before.string in powers and word.string in units:
                word.chain = 0
        if word.string == "百":
            _change_numeral(_tables()["hundreds"], before)
        if word.string in ("千", "兆"):
            _change_numeral(_tables()["thousands"], before)
        if word.string in ("百", "千"):
            _change_counter(_tables()["power_sound"], before, word)


def _native(words: list[Word]) -> None:
    """Native numerals before native counters, people and the days of the month."""
    tables = _tables()
    for place, (word, counter) in enumerate(pairwise(words)):
        before = words[place - 1] if place else None
        starts = before is None or before.pos == SYMBOL or before.group1 != NUMBER
        if word.group1 != NUMBER or not starts or not _counts(counter):
            continue
        if [counter.string, counter.reading] in tables["native_counters"] and word.string in tables["native"]:
            said, accent, morae = tables["native"][word.string]
            word.reading = word.pronunciation = said
            word.accent, word.morae = accent, morae
        merged = None
        if counter.string == "人":
            merged = tables["people"].get(word.string)
        if counter.string == "日":
            first = word.string == "一" and before is not None and "月" in before.string
            merged = FIRST_OF_MONTH if first else tables["days"].get(word.string)
        elif counter.string == "日間":
            merged = tables["spans"].get(word.string)
        if merged is not None:
            _reload(word, merged)
            counter.silence()


def _days(words: list[Word]) -> None:
    """14, 20 and 24 days."""
    for place, word in enumerate(words):
        if place and words[place - 1].group1 == NUMBER:
            continue
        strings = [following.string for following in words[place : place + 4]]
        if strings[:2] == ["十", "四"] and len(strings) > 2 and strings[2] in FOURTEEN:
            _reload(word, FOURTEEN[strings[2]])
            _silence(words[place + 1 : place + 3])
        elif strings[:2] == ["二", "十"] and len(strings) > 2 and strings[2] in TWENTY:
            _reload(word, TWENTY[strings[2]])
            _silence(words[place + 1 : place + 3])
        elif strings[:3] == ["二", "十", "四"] and len(strings) > 3 and strings[3] in FOUR_AFTER_TWENTY:
            _reload(word, TWENTY_AND)
            _reload(words[place + 1], FOUR_AFTER_TWENTY[strings[3]])
            _silence(words[place + 2 : place + 4])


def _silence(words: list[Word]) -> None:
    for word in words:
        word.silence()
