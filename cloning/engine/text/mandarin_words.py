"""Mandarin words with their part of speech, merged so that tone sandhi sees what is spoken as one.

Words by jieba. The merging rules are upstream's (`tone_sandhi.py`, from PaddleSpeech).
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from importlib import resources
from typing import Any

from pypinyin import Style, lazy_pinyin


@dataclass(frozen=True, slots=True)
class Word:
    """Characters spoken as one word, and jieba's part of speech (`n`, `v`, `m`, ...; `x` for marks)."""

    text: str
    tag: str


@functools.lru_cache(maxsize=1)
def _jieba() -> tuple[Any, Any]:
    """(segmenter, tagger), with the dictionary inside the package."""
    with warnings.catch_warnings():
        # Old escapes in its sources and its use of pkg_resources warn on Python 3.11; neither concerns us.
        warnings.simplefilter("ignore")
        import jieba
        from jieba import posseg

    class Tokenizer(jieba.Tokenizer):  # type: ignore[misc]
        """jieba without its cache: that is read from a guessable name in the shared temporary folder."""

        def initialize(self, dictionary: str | None = None) -> None:
            with self.lock:
                if not self.initialized:  # type: ignore[has-type]
                    self.FREQ, self.total = self.gen_pfdict(self.get_dict_file())
                    self.initialized = True

    class Tagger(posseg.POSTokenizer):  # type: ignore[misc]
        """The tagger over our segmenter; the module has read the tags already."""

        def __init__(self, tokenizer: Any) -> None:
            self.tokenizer = tokenizer
            self.word_tag_tab = posseg.dt.word_tag_tab

    segmenter = Tokenizer()
    segmenter.initialize()
    return segmenter, Tagger(segmenter)


@functools.lru_cache(maxsize=1)
def word_lists() -> dict[str, frozenset[str]]:
    """The lists of `data/mandarin_words.txt` by name: neutral, not_neutral, erhua, no_erhua."""
    lists: dict[str, list[str]] = {}
    current: list[str] = []
    text = resources.files("cloning.engine.text").joinpath("data/mandarin_words.txt").read_text("utf-8")
    for line in text.splitlines():
        if line.startswith("["):
            current = lists.setdefault(line.strip("[]"), [])
        elif not line.startswith("#"):
            current += line.split()
    return {name: frozenset(words) for name, words in lists.items()}


def words(sentence: str) -> list[Word]:
    """A sentence of characters and marks as words, merged for tone sandhi. Their texts joined give the sentence."""
    found = [Word(pair.word, pair.flag) for pair in _jieba()[1].lcut(sentence)]
    found = _doubled(_with_yi(_with_bu(found)))
    for only_whole_words in (True, False):
        found = _third_tones(found, only_whole_words=only_whole_words)
    return _with_er(found)


def parts(word: str) -> tuple[str, str]:
    """A word in two: the shortest dictionary word within it, and the rest ("" for a word without parts).

    When the short one does not begin the word, it counts as its end, as upstream does.
    """
    shortest = min(_jieba()[0].cut_for_search(word), key=len)
    cut = len(shortest) if word.startswith(shortest) else len(word) - len(shortest)
    return word[:cut], word[cut:]


def _with_bu(found: list[Word]) -> list[Word]:
    """不 joins the word behind it: 不/怕 -> 不怕."""
    merged: list[Word] = []
    waiting = ""
    for word in found:
        text = waiting + word.text
        waiting = "不" if text == "不" else ""
        if not waiting:
            merged.append(Word(text, word.tag))
    return [*merged, Word("不", "d")] if waiting else merged


def _with_yi(found: list[Word]) -> list[Word]:
    """一 joins a verb on both sides of it (听/一/听 -> 听一听), or else the word behind it (一/天 -> 一天)."""
    merged: list[Word] = []
    place = 0
    while place < len(found):
        word = found[place]
        if word.text == "一" and merged and place + 1 < len(found):
            before, behind = merged[-1], found[place + 1]
            if before.text == behind.text and before.tag == behind.tag == "v":
                merged[-1] = Word(f"{before.text}一{behind.text}", before.tag)
                place += 2
                continue
        merged.append(word)
        place += 1
    found, merged = merged, []
    for word in found:
        if merged and merged[-1].text == "一":
            merged[-1] = Word("一" + word.text, merged[-1].tag)
        else:
            merged.append(word)
    return merged


def _doubled(found: list[Word]) -> list[Word]:
    """A word said twice becomes one: 看/看 -> 看看."""
    merged: list[Word] = []
    for word in found:
        if merged and word.text == merged[-1].text:
            merged[-1] = Word(merged[-1].text + word.text, merged[-1].tag)
        else:
            merged.append(word)
    return merged


def _third_tones(found: list[Word], *, only_whole_words: bool) -> list[Word]:
    """Short neighbours (three characters at most) with third tones become one word, so that their tones change.

    `only_whole_words`: every syllable of both has the third tone; else the two that meet. A doubled word stays: its
    second half is toneless.
    """
    tones = [third_tones(word.text) for word in found]
    merged: list[Word] = []
    joined = False
    for place, word in enumerate(found):
        behind = found[place - 1].text if place else ""
        if only_whole_words:
            meet = bool(place) and all(tones[place - 1]) and all(tones[place])
        else:
            meet = bool(place) and tones[place - 1][-1] and tones[place][0]
        doubled = len(behind) == 2 and behind[0] == behind[1]
        joined = meet and not joined and not doubled and len(behind) + len(word.text) <= 3
        if joined:
            merged[-1] = Word(merged[-1].text + word.text, merged[-1].tag)
        else:
            merged.append(word)
    return merged


def third_tones(text: str) -> list[bool]:
    """For every syllable or mark of a word: is its dictionary tone the third?"""
    return [
        syllable.endswith("3") for syllable in lazy_pinyin(text, neutral_tone_with_five=True, style=Style.FINALS_TONE3)
    ]


def _with_er(found: list[Word]) -> list[Word]:
    """儿 joins the word before it: 玩/儿 -> 玩儿."""
    merged: list[Word] = []
    for word in found:
        if merged and word.text == "儿":
            merged[-1] = Word(merged[-1].text + word.text, merged[-1].tag)
        else:
            merged.append(word)
    return merged
