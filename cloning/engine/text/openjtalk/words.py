"""Spoken words: what becomes of morphemes before accents are set (Open JTalk's mecab2njd and njd_set_pronunciation)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from cloning.engine.text.openjtalk.dictionary import Morpheme
from cloning.engine.text.openjtalk.morae import KANA, LETTERS

#: What a column without content holds.
NOTHING = "*"
SYMBOL = "記号"
NOUN, VERB, AUXILIARY = "名詞", "動詞", "助動詞"
FILLER = "フィラー"
#: Stands in a pronunciation for a pause, and for a vowel drawn out.
PAUSE, LONG = "、", "ー"
#: Marks a devoiced vowel in a pronunciation; the models do not know the difference.
DEVOICED = "’"


@dataclass(slots=True)
class Word:
    """A word as it is spoken. `accent`: mora after which the pitch falls, 0 = never; `morae`: how many it has;
    `rule`: how it changes the accent of the phrase it joins; `chain`: 1 joins the phrase before, 0 does not, -1 open.
    """

    string: str = NOTHING
    pos: str = NOTHING
    group1: str = NOTHING
    group2: str = NOTHING
    group3: str = NOTHING
    form: str = NOTHING
    base: str = NOTHING
    reading: str = NOTHING
    pronunciation: str = NOTHING
    accent: int = 0
    morae: int = 0
    rule: str = NOTHING
    chain: int = -1

    def load(self, string: str, feature: Sequence[str]) -> list[Word]:
        """Become the word that a dictionary line describes; `chain` stays unless the line sets it. -> the words that
        follow from it, because one entry may hold several (`2/4:0/3`)."""
        pos, group1, group2, group3, _, form, base, reading, pronunciation, accents, rule, chain = (
            part or NOTHING for part in (*feature, *[""] * 12)[:12]
        )
        self.pos, self.group1, self.group2, self.group3, self.form = pos, group1, group2, group3, form
        self.rule = rule
        self.chain = int(chain) if chain in ("0", "1") else self.chain
        pronunciation = pronunciation.replace(DEVOICED, "")
        if "*" in accents or "/" not in accents:
            self._become(string, base, reading, pronunciation, "0/0")
            return []
        parts = accents.split(":")
        if len(parts) == 1:
            self._become(string, base, reading, pronunciation, accents)
            return []
        columns = [value.split(":") + [NOTHING] * len(parts) for value in (base, reading, pronunciation)]
        # Only bases of the parts are known, so the last part's string is what they leave of the surface, in bytes.
        rest = string.encode("utf-8")[sum(len(part.encode("utf-8")) for part in columns[0][: len(parts) - 1]) :]
        more = [replace(self, chain=0) for _ in parts[1:]]
        for place, word in enumerate((self, *more)):
            last = place + 1 == len(parts)
            spelled = rest.decode("utf-8", errors="replace") if last else columns[0][place]
            base, reading, pronunciation = (column[place] or NOTHING for column in columns)
            word._become(spelled or NOTHING, base, reading, pronunciation, parts[place])
        return more

    def _become(self, string: str, base: str, reading: str, pronunciation: str, accents: str) -> None:
        accent, _, morae = accents.partition("/")
        self.string, self.base, self.reading, self.pronunciation = string, base, reading, pronunciation
        self.accent, self.morae = _number(accent), _number(morae)

    @property
    def silent(self) -> bool:
        """Nothing of it is spoken, not even a pause."""
        return self.pronunciation == NOTHING

    def silence(self) -> None:
        """Let another word speak for it."""
        self.pronunciation = NOTHING


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def line(text: str) -> Word:
    """A word from one comma-separated dictionary line (string, then the feature)."""
    word = Word()
    string, *feature = text.split(",")
    word.load(string, feature)
    return word


def spoken(words: list[Word]) -> list[Word]:
    """The words that are not silent."""
    return [word for word in words if not word.silent]


def words_of(path: Sequence[Morpheme]) -> list[Word]:
    """Words with their pronunciation: kana that no entry knows are read as written, letters by name, other unknown
    signs become a pause."""
    words: list[Word] = []
    for morpheme in path:
        word = Word()
        words += [word, *word.load(morpheme.surface, morpheme.feature)]
    for word in words:
        if word.morae == 0:
            _read_as_written(word)
    words = _join_kana(spoken(words))
    for word, following in pairwise(words):
        verbal = word.pos in (VERB, AUXILIARY) and word.morae > 0
        if verbal and following.pos == AUXILIARY and following.pronunciation == "ウ":
            # the u of "ikou" draws out the vowel before it
            following.pronunciation = LONG
    return words


def _read_as_written(word: Word) -> None:
    said = ""
    at = 0
    while at < len(word.string):
        size = next((n for n in (2, 1) if word.string[at : at + n] in KANA), 0)
        if size:
            said += KANA[word.string[at : at + size]]
            word.morae += 1
        elif word.string[at] in LETTERS:
            said += LETTERS[word.string[at]].name
            word.morae += LETTERS[word.string[at]].morae
        at += size or 1
    word.reading = word.pronunciation = said or PAUSE
    if word.base == NOTHING:
        word.base = word.string
    if word.morae:
        word.pos, word.group1, word.group2, word.group3 = FILLER, NOTHING, NOTHING, NOTHING
    else:
        word.pos = SYMBOL


def _join_kana(words: list[Word]) -> list[Word]:
    """Single kana and letters in a row that were read as written are one word."""
    head: Word | None = None
    for word in words:
        if word.pos != FILLER or not (word.string in KANA or word.string in LETTERS):
            head = None
        elif head is None:
            head = word
        else:
            head.string += word.string
            head.base += word.base
            head.reading += word.reading
            head.pronunciation += word.pronunciation
            head.morae += word.morae
            word.silence()
    return spoken(words)
