"""What the synthesisers are given to say: endless English of many shapes and lengths, one word to about twelve seconds.

Reading is learnt from variety of phone sequences and of lengths, not from sense. Four kinds are mixed: sentences with
slots (`corpus.sentence`) and longer ones joined from them; chains of words drawn by how often the one follows the other
in written English (Shannon 1948, section 3: second-order word approximation); lists of rare words; and the short things
people really ask for: single words, numbers, spelled letters, dates.

The word pair counts are those of the wordsegment package (Apache 2.0, Grant Jenks; Google Web 1T by way of Norvig).
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import numpy as np

from cloning.engine.errors import EngineError
from cloning.engine.evaluate.texts import held_out, plain
from cloning.engine.starter.corpus import dictionary_words, sentence

#: Longest sentence in letters: about twelve seconds of unhurried speech.
MOST_LETTERS = 170
#: Counts are raised to this power, so that common pairs do not fill everything.
FLATTEN = 0.35
#: Words a chain does not end on, while it can still go on.
_NO_END = frozenset(
    str.split(
        "the a an and or of to in on at for with from by as is are was were be been that this these those which who "
        "my your our their his her its no not if than into about between i we they he she it but so very more most "
        "can will would could should may might must do does did have has had"
    )
)
_JOINTS = (", and ", ", but ", " because ", ", so ", " while ", ", although ", ", and then ", " before ", "; ", ": ")
_SMALL = str.split(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = str.split("twenty thirty forty fifty sixty seventy eighty ninety")
_MONTHS = str.split("January February March April May June July August September October November December")
_DAYS = str.split("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
_SHORT = (
    "Yes.", "No.", "Thank you.", "Good morning.", "Good evening.", "Hello.", "How are you?", "See you tomorrow.",
    "Of course.", "Excuse me.", "I do not know.", "Well done.", "Come in, please.", "What time is it?",
    "Wait a moment.", "That is right.", "Not today.", "Where are you going?", "I am sorry.", "Good luck.",
    "Never mind.", "Help me, please.", "Please speak slowly.", "Here we are.",
)  # fmt: skip


@functools.lru_cache(maxsize=1)
def _following() -> tuple[list[str], dict[str, tuple[list[str], np.ndarray]]]:
    """(words to begin with, word -> (words that follow it, cumulative shares)); dictionary words only."""
    spec = importlib.util.find_spec("wordsegment")
    if spec is None or spec.origin is None:
        raise EngineError("missing_data", "the word counts of the wordsegment package are not installed")
    known = {word for word in dictionary_words() if len(word) > 1} | {"a", "i"}
    rows: dict[str, tuple[list[str], list[float]]] = {}
    for line in Path(spec.origin).with_name("bigrams.txt").read_text(encoding="utf-8").splitlines():
        pair, _, count = line.partition("\t")
        first, _, second = pair.partition(" ")
        if first in known and second in known:
            words, counts = rows.setdefault(first, ([], []))
            words.append(second)
            counts.append(float(count) ** FLATTEN)
    following = {word: (words, np.cumsum(counts) / np.sum(counts)) for word, (words, counts) in rows.items()}
    return sorted(word for word, (words, _) in following.items() if len(words) > 5), following


def chain(rng: np.random.Generator, words: int) -> str:
    """About `words` words, each drawn by how often it follows the one before; a comma here and there."""
    starts, following = _following()
    word = starts[int(rng.integers(len(starts)))]
    out = [word]
    while len(out) < words or (out[-1] in _NO_END and len(out) < words + 6):
        if word in following:
            choices, shares = following[word]
            word = choices[min(len(choices) - 1, int(np.searchsorted(shares, rng.random())))]
        else:
            word = starts[int(rng.integers(len(starts)))]
        if len(out) > 3 and out[-1] not in _NO_END and rng.random() < 0.08:
            out[-1] += ","
        out.append(word)
    text = " ".join("I" if w == "i" else w for w in out)
    return text[0].upper() + text[1:] + str(rng.choice([".", ".", ".", "?", "!"]))


def joined(rng: np.random.Generator) -> str:
    """Two slot sentences as one."""
    first, second = sentence(rng), sentence(rng)
    if first[-1] != "." or rng.random() < 0.15:
        return f"{first} {second}"
    return first[:-1] + str(rng.choice(_JOINTS)) + second[0].lower() + second[1:]


def rare(rng: np.random.Generator) -> str:
    """Two to seven words from anywhere in the dictionary: every phone beside every other."""
    pool = dictionary_words()
    words = [pool[int(rng.integers(len(pool)))] for _ in range(int(rng.integers(2, 8)))]
    return str(rng.choice([" ", ", "])).join(words).capitalize() + "."


def number(rng: np.random.Generator, largest: int = 999_999) -> str:
    """A whole number up to `largest` in words."""
    value = int(np.exp(rng.uniform(0, np.log(largest + 1))))
    return " ".join(cardinal(min(value, largest)))


def cardinal(value: int) -> list[str]:
    """The words of a number, 1 to 999,999."""
    if value >= 1000:
        return [*cardinal(value // 1000), "thousand", *(cardinal(value % 1000) if value % 1000 else [])]
    if value >= 100:
        return [*cardinal(value // 100), "hundred", *(["and", *cardinal(value % 100)] if value % 100 else [])]
    if value >= 20:
        return [_TENS[value // 10 - 2], *(cardinal(value % 10) if value % 10 else [])]
    return [_SMALL[max(1, value) - 1]]


def small(rng: np.random.Generator) -> str:
    """A short request: a phrase, single words, numbers, digits, letters, a date, a time."""
    kind = int(rng.integers(7))
    pool = dictionary_words()
    if kind == 0:
        return str(rng.choice(_SHORT))
    if kind == 1:
        words = [pool[int(rng.integers(len(pool)))] for _ in range(int(rng.integers(1, 3)))]
        return " ".join(words).capitalize() + str(rng.choice([".", "?", "!"]))
    if kind == 2:
        return f"{number(rng)} {pool[int(rng.integers(len(pool)))]}, {number(rng, 99)}.".capitalize()
    if kind == 3:
        return " ".join(_SMALL[int(i)] for i in rng.integers(9, size=int(rng.integers(3, 8)))).capitalize() + "."
    if kind == 4:
        letters = [chr(65 + int(i)) for i in rng.integers(26, size=int(rng.integers(2, 6)))]
        return f"The letters are {', '.join(letters)}."
    if kind == 5:
        day, month = rng.choice(_DAYS), rng.choice(_MONTHS)
        return f"We meet on {day}, the {rng.choice(['first', 'third', 'tenth', 'sixteenth', 'twentieth'])} of {month}."
    return f"The train leaves at {number(rng, 12)} {rng.choice(['fifteen', 'thirty', 'forty five', 'twenty'])}."


def text(rng: np.random.Generator) -> str:
    """One thing to say, at most MOST_LETTERS long, and none of the texts that voices are judged by."""
    out = _any(rng)
    while plain(out) in held_out():
        out = _any(rng)
    return out


def _any(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.45:
        out = chain(rng, int(rng.integers(3, 26)))
    elif kind < 0.65:
        out = sentence(rng)
    elif kind < 0.80:
        out = joined(rng)
    elif kind < 0.90:
        out = rare(rng)
    else:
        out = small(rng)
    return out if len(out) <= MOST_LETTERS else out[:MOST_LETTERS].rpartition(" ")[0].rstrip(",;:") + "."
