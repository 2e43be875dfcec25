"""Compounds taken apart: the likeliest way to cut a string of letters into words.

Norvig's method ("Natural Language Corpus Data", in Beautiful Data, 2009): the product of word probabilities, each
given the word before it where that pair was counted (backoff to the word alone), found by dynamic programming. The
counts are those of the wordsegment package (Apache 2.0, Grant Jenks; Google Web 1T by way of Norvig); only its data
files are read, its code is never imported. The result is the same as that of its `segment`.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cloning.engine.errors import EngineError

#: Words in the corpus, counted ones or not.
_TOTAL = 1024908267229.0
_LONGEST_WORD = 24
#: Letters taken apart at once; in longer strings the last words of a piece are cut again with the next piece.
_PIECE = 250
_KEPT_WORDS = 5


@dataclass(frozen=True)
class _Counts:
    """`words`: sorted, ASCII bytes of 24 at most. `pairs`: sorted keys first * len(words) + second. 13 MB together."""

    words: np.ndarray
    word_counts: np.ndarray
    pairs: np.ndarray
    pair_counts: np.ndarray


@functools.lru_cache(maxsize=1)
def _counts() -> _Counts:
    spec = importlib.util.find_spec("wordsegment")
    if spec is None or spec.origin is None:
        raise EngineError("missing_data", "the word counts of the wordsegment package are not installed")
    folder = Path(spec.origin).parent
    fields = folder.joinpath("unigrams.txt").read_bytes().split()
    words, counts = np.array(fields[::2], dtype=f"S{_LONGEST_WORD}"), np.array(fields[1::2]).astype(np.float64)
    words, counts = _sorted(words, counts)
    fields = folder.joinpath("bigrams.txt").read_bytes().split()
    first, second = (np.array(fields[column::3]) for column in (0, 1))
    (first_row, first_known), (second_row, second_known) = _rows(words, first), _rows(words, second)
    known = first_known & second_known
    keys = (first_row * len(words) + second_row)[known]
    return _Counts(words, counts, *_sorted(keys, np.array(fields[2::3]).astype(np.float64)[known]))


def _sorted(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted by key; of lines with the same key the last counts, as in the reference."""
    order = keys.argsort(kind="stable")
    keys, values = keys[order], values[order]
    last = np.append(keys[1:] != keys[:-1], True)
    return keys[last], values[last]


def _rows(table: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row of each key in a sorted table, and whether it is there at all."""
    rows = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return rows, table[rows] == keys


@functools.lru_cache(maxsize=4096)
def segment(letters: str) -> tuple[str, ...]:
    """Words of a string of letters a..z; ("cafe",) for one that is best left whole, () for an empty one.

    Raises EngineError `missing_data` without the counts' package.
    """
    words: list[str] = []
    held = ""
    for start in range(0, len(letters), _PIECE):
        found = _best(held + letters[start : start + _PIECE])
        words += found[:-_KEPT_WORDS]
        held = "".join(found[-_KEPT_WORDS:])
    # The reference cuts the last words a second time, on their own: now and then they fall differently.
    return (*words, *_best(held))


def _best(text: str) -> list[str]:
    size = len(text)
    if not size:
        return []
    counts = _counts()
    spans = [(i, k) for i in range(size) for k in range(i + 1, min(i + _LONGEST_WORD, size) + 1)]
    rows, known = _rows(counts.words, np.array([text[i:k].encode() for i, k in spans], dtype=f"S{_LONGEST_WORD}"))
    row_of = {span: int(row) for span, row, there in zip(spans, rows, known, strict=True) if there}
    alone = {
        (i, k): counts.word_counts[row_of[i, k]] / _TOTAL if (i, k) in row_of else 10.0 / (_TOTAL * 10 ** (k - i))
        for i, k in spans
    }
    together = _pair_scores(counts, row_of, alone)
    # after[i, h]: score and words of text[i:] after the word text[h:i]. Most words before it say nothing about the
    # next; plain[i] is the answer for all of those, and for the first word of all.
    plain: list[tuple[float, list[str]]] = [(0.0, [])] * (size + 1)
    after: dict[tuple[int, int], tuple[float, list[str]]] = {}
    for i in range(size - 1, -1, -1):
        ends = range(i + 1, min(i + _LONGEST_WORD, size) + 1)
        tails = {k: after.get((k, i), plain[k]) for k in ends}
        choices = {k: (math.log10(alone[i, k]) + tails[k][0], [text[i:k], *tails[k][1]]) for k in ends}
        plain[i] = max(choices.values())
        for h in range(max(0, i - _LONGEST_WORD), i):
            if pairs := together.get((h, i)):
                linked = {k: (math.log10(score) + tails[k][0], choices[k][1]) for k, score in pairs.items()}
                after[i, h] = max({**choices, **linked}.values())
    return plain[0][1]


def _pair_scores(
    counts: _Counts, row_of: dict[tuple[int, int], int], alone: dict[tuple[int, int], float]
) -> dict[tuple[int, int], dict[int, float]]:
    """(h, i) -> k -> probability of text[i:k] after text[h:i], where the pair was counted."""
    followers: dict[int, list[tuple[int, int]]] = {}
    for (i, k), row in row_of.items():
        followers.setdefault(i, []).append((k, row))
    triples, keys = [], []
    for (h, i), row in row_of.items():
        for k, next_row in followers.get(i, ()):
            triples.append((h, i, k))
            keys.append(row * len(counts.words) + next_row)
    scores: dict[tuple[int, int], dict[int, float]] = {}
    if keys:
        rows, known = _rows(counts.pairs, np.array(keys))
        for (h, i, k), row, there in zip(triples, rows, known, strict=True):
            if there:
                scores.setdefault((h, i), {})[k] = counts.pair_counts[row] / _TOTAL / alone[h, i]
    return scores
