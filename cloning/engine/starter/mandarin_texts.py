"""What the synthesiser is given to say in Mandarin: endless sentences of words drawn by how common they are.

As in English (`texts`), reading is learnt from variety, not from sense: words of jieba's dictionary (MIT) in the order
of common parts of speech, single rare words, numbers, and lists. Every text can be read by the engine's own front end.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import numpy as np

from cloning.engine.errors import EngineError
from cloning.engine.evaluate.texts import held_out, plain
from cloning.engine.text.mandarin_syllables import syllables

#: Counts are raised to this power, so that common words do not fill everything.
FLATTEN = 0.5
#: Words rarer than this in the dictionary's counts are names and typing errors as often as words.
FEWEST = 20
#: Longest clause in syllables, about four seconds, and most clauses of a text.
MOST_SYLLABLES, MOST_CLAUSES = 16, 3
#: Parts of speech by jieba's letters: r pronoun, n noun, v verb, d adverb, a adjective, m number word, q measure, t
#: time, s place, p preposition, c conjunction, i idiom; "的", "了" and the like stand for themselves.
_SHAPES = tuple(
    map(
        str.split,
        (
            "r v n", "r d v n", "n d a", "t r v n", "r p s v n", "m q n v n", "r v 了 m q n", "a 的 n v n", "n v n 了",
            "r 的 n d a", "t n v m q n", "r d v", "n v v n", "c r v n", "r v 过 n", "n 在 s v 着", "r 把 n v 了",
            "n 被 n v 了", "s 有 m q n", "r 是 m q n", "n n v 得 d a", "r 们 d v n", "i", "n i", "v n", "a n", "n", "v",
            "r 想 v n 吗", "n 什么 时候 v", "r 不 v n",
        ),
    )
)  # fmt: skip
_LITERAL = frozenset(str.split("的 了 在 把 被 有 是 得 们 想 吗 什么 时候 不 过 着"))
_DIGITS = "一二三四五六七八九"


@functools.lru_cache(maxsize=1)
def _words() -> dict[str, tuple[list[str], np.ndarray]]:
    """Part of speech -> (its words, cumulative shares)."""
    spec = importlib.util.find_spec("jieba")
    if spec is None or spec.origin is None:
        raise EngineError("missing_data", "the dictionary of the jieba package is not installed")
    rows: dict[str, tuple[list[str], list[float]]] = {}
    for line in Path(spec.origin).with_name("dict.txt").read_text(encoding="utf-8").splitlines():
        word, count, kind = line.split(" ")
        if int(count) < FEWEST or not all("\u4e00" <= character <= "\u9fff" for character in word):
            continue
        words, counts = rows.setdefault(kind[0], ([], []))
        words.append(word)
        counts.append(float(count) ** FLATTEN)
    return {kind: (words, np.cumsum(counts) / np.sum(counts)) for kind, (words, counts) in rows.items()}


def word(rng: np.random.Generator, kind: str) -> str:
    """A word of this part of speech, one in five from anywhere in it."""
    words, shares = _words()[kind]
    if rng.random() < 0.2:
        return words[int(rng.integers(len(words)))]
    return words[min(int(np.searchsorted(shares, rng.random())), len(words) - 1)]


def cardinal(value: int) -> str:
    """A whole number, 1 to 9999, in characters: 305 is 三百零五."""
    out, gap = "", False
    for power, unit in ((3, "千"), (2, "百"), (1, "十"), (0, "")):
        digit = value // 10**power % 10
        if digit:
            out += ("零" if gap and out else "") + _DIGITS[digit - 1] + unit
        gap = not digit
    return out.removeprefix("一") if 10 <= value < 20 else out


def clause(rng: np.random.Generator) -> str:
    """One to MOST_SYLLABLES syllables without a mark."""
    kind = rng.random()
    if kind < 0.08:
        out = "".join(_DIGITS[int(i)] for i in rng.integers(9, size=int(rng.integers(3, 9))))
    elif kind < 0.16:
        out = cardinal(int(np.exp(rng.uniform(0, np.log(9999))))) + word(rng, "q") + word(rng, "n")
    elif kind < 0.3:
        out = "".join(word(rng, str(rng.choice(["n", "v", "a", "d"]))) for _ in range(int(rng.integers(1, 5))))
    else:
        shapes = [_SHAPES[int(i)] for i in rng.integers(len(_SHAPES), size=int(rng.integers(1, 3)))]
        out = "".join(part if part in _LITERAL else word(rng, part) for shape in shapes for part in shape)
    return out[:MOST_SYLLABLES]


def text(rng: np.random.Generator) -> str:
    """One thing to say: clauses with commas between them and a mark at the end; none that voices are judged by."""
    while True:
        clauses = [clause(rng) for _ in range(int(rng.integers(1, MOST_CLAUSES + 1)))]
        out = "，".join(clauses) + str(rng.choice(["。", "？", "！"], p=[0.8, 0.12, 0.08]))
        if plain(out) not in held_out() and all(tone for one in clauses for tone in syllables(one)[1]):
            return out
