"""Accent phrases: which words share one, and where its pitch falls (njd_set_accent_phrase, njd_set_accent_type).

The rules are Open JTalk's; the numbers in comments are theirs. The accent rules F1 to F5, C1 to C5 and P1 to P14 are
those of Sagisaka and Sato (1983).
"""

from __future__ import annotations

from itertools import pairwise

from cloning.engine.text.openjtalk.words import AUXILIARY, NOUN, SYMBOL, VERB, Word

ADJECTIVE, PARTICLE, PREFIX = "形容詞", "助詞", "接頭詞"
APART = frozenset({"副詞", "接続詞", "連体詞"})
ATTACHED = frozenset({AUXILIARY, PARTICLE})
NA_STEM, ADVERBIAL, SUFFIX, DEPENDENT = "形容動詞語幹", "副詞可能", "接尾", "非自立"
CONTINUATIVE = "連用"
NUMBER = "数"


def phrase(words: list[Word]) -> None:
    """Set `chain` of every word that has none yet."""
    for before, word in pairwise(words):
        if word.chain < 0:
            word.chain = int(_joins(before, word))


def _joins(before: Word, word: Word) -> bool:
    """Whether `word` belongs to the accent phrase of the word before it; the last rule that applies decides."""
    noun = word.pos == NOUN
    joins = True
    if before.pos == ADJECTIVE and noun:  # 3
        joins = False
    if before.pos == NOUN and before.group1 == NA_STEM and noun:  # 4
        joins = False
    if before.pos == VERB and word.pos in (ADJECTIVE, NOUN):  # 5
        joins = False
    if word.pos in APART or before.pos in APART:  # 6
        joins = False
    if (before.pos == NOUN and before.group1 == ADVERBIAL) or (noun and word.group1 == ADVERBIAL):  # 7
        joins = False
    if word.pos in ATTACHED:  # 8
        joins = True
    if before.pos in ATTACHED and word.pos not in ATTACHED:  # 9
        joins = False
    if before.group1 == SUFFIX and noun:  # 10
        joins = False
    if word.pos == ADJECTIVE and word.group1 == DEPENDENT:  # 11
        if before.pos in (VERB, ADJECTIVE):
            joins = joins or before.form.startswith(CONTINUATIVE)
        elif before.pos == PARTICLE and before.group1 == "接続助詞" and before.string in ("て", "で"):
            joins = True
    if word.pos == VERB and word.group1 == DEPENDENT:  # 12
        if before.pos == VERB:
            joins = joins or before.form.startswith(CONTINUATIVE)
        elif before.pos == NOUN and before.group1 == "サ変接続":
            joins = True
    if before.pos == NOUN and (word.pos in (VERB, ADJECTIVE) or word.group1 == NA_STEM):  # 13
        joins = False
    if SYMBOL in (word.pos, before.pos):  # 14
        joins = False
    if word.pos == PREFIX:  # 15
        joins = False
    if before.group3 == "姓" and noun:  # 16
        joins = False
    if before.pos == NOUN and word.group3 == "名":  # 17
        joins = False
    if word.group1 == SUFFIX:  # 18
        joins = True
    return joins


def accentuate(words: list[Word]) -> None:
    """Set the accent of every phrase, kept at its first word."""
    if not words:
        return
    top = words[0]
    morae = 0
    for place, word in enumerate(words):
        before = words[place - 1] if place else None
        after = words[place + 1] if place + 1 < len(words) else None
        if before is None or word.chain != 1:
            top = word
            morae = 0
        else:
            _join(top, word, before.pos, morae)
        if before is not None and word.chain == 1 and before.group1 == NUMBER and word.group1 == NUMBER:
            _power(before, word, after)
        if word.string == "十" and word.chain != 1 and after is not None and after.group1 == NUMBER:
            word.accent = 0
        morae += word.morae


def _rule(rules: str, pos: str) -> tuple[str, int]:
    """The rule for what stands before, of a list such as `動詞%F4@1/形容詞%F4@-2` or a plain `C1`, and its offset."""
    for rule in rules.split("/"):
        wanted, conditional, name = rule.partition("%")
        if not conditional:
            name = rule
        if not conditional or wanted in pos:
            name, _, offset = name.partition("@")
            return name, int(offset) if offset.lstrip("-").isdecimal() else 0
    return "*", 0


def _join(top: Word, word: Word, pos: str, morae: int) -> None:
    """Let `word` change the accent of the phrase it joins; `morae` stand before it in the phrase."""
    rule, offset = _rule(word.rule, pos)
    accent = top.accent
    if (rule == "F2" and accent == 0) or (rule == "F3" and accent != 0) or rule == "F4":
        accent = morae + offset
    elif rule in ("F5", "C4", "P6"):
        accent = 0
    elif rule == "C1":
        accent = morae + word.accent
    elif rule == "C2":
        accent = morae + 1
    elif rule == "C3":
        accent = morae
    elif rule == "P1":
        accent = morae + word.accent if word.accent else 0
    elif rule == "P2":
        accent = morae + (word.accent or 1)
    elif rule == "P14" and word.accent:
        accent = morae + word.accent
    top.accent = max(accent, 0)


def _power(numeral: Word, word: Word, after: Word | None) -> None:
    """Accent of a numeral with its power of ten."""
    digit = numeral.string
    if word.string == "十":
        more = after is not None and after.string in tuple("一二三四五六七八九")
        numeral.accent = 0 if digit in ("五", "六", "八") and more else 1
    elif word.string == "百":
        if digit == "七":
            numeral.accent = 2
        elif digit in ("三", "四", "九", "何"):
            numeral.accent = 1
        else:
            numeral.accent = numeral.morae + word.morae
    elif word.string in ("千", "万"):
        numeral.accent = numeral.morae + 1
    elif word.string == "億":
        numeral.accent = 2 if digit in ("一", "六", "七", "八", "幾") else 1
    elif word.string == "兆":
        numeral.accent = 2 if digit in ("六", "七") else 1
