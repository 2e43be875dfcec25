"""Where things stand in a text, and how near each other: the arithmetic of features. Pure; every cost is bounded.

Every function takes time that grows as n log n with the number of hits, in arrays: a text that is full of hits (ten
thousand characters of frauds) must not take longer to judge than a person notices.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]

MAX_HITS: Final = 2_000
"""Hits kept of one list in one text. More only means the phrase is everywhere; the first ones settle the match."""

_BITS: Final = 24
"""Enough for an offset: a text of 20,000 characters has at most 2.2 million letters when it is spelled in pinyin."""
_NEVER: Final = 1 << 40
"""Behind the end of every text."""


@dataclass(frozen=True, eq=False)
class Hits:
    """Places in a text, as offsets into a stream's letters, in order of their begins: at most ``MAX_HITS``.

    Iterates as pairs (begin, end).
    """

    begins: Offsets
    ends: Offsets

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> "Hits":
        """In any order; the first MAX_HITS of them are kept, each once."""
        found = np.unique(np.array([begin << _BITS | end for begin, end in pairs], np.int64))[:MAX_HITS]
        return cls(found >> _BITS, found & (1 << _BITS) - 1)

    def __len__(self) -> int:
        return len(self.begins)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.begins.tolist(), self.ends.tolist(), strict=True)

    @cached_property
    def soonest(self) -> Offsets:
        """For each hit the earliest end among it and those that begin later, and ``_NEVER`` behind the last."""
        ends = np.append(self.ends, _NEVER)
        return np.minimum.accumulate(ends[::-1])[::-1]

    @cached_property
    def furthest(self) -> Offsets:
        """Before each hit the furthest end among those that begin earlier; ``-_NEVER`` before the first."""
        return np.maximum.accumulate(np.append(-_NEVER, self.ends))

    def only(self, kept: NDArray[Any]) -> "Hits":
        """Those that ``kept`` (booleans) says."""
        return Hits(self.begins[kept], self.ends[kept])


NOWHERE: Final = Hits.of([])


def near(distance: int, groups: Sequence[Hits]) -> Hits:
    """The stretches of at most ``distance`` letters that hold one hit of every group, in any order.

    A stretch that holds another one is left out: what is true of places near something is true of the smaller one too.
    """
    if not all(groups):
        return NOWHERE
    begins = np.unique(np.concatenate([hits.begins for hits in groups]))
    ends = np.zeros_like(begins)
    for hits in groups:
        ends = np.maximum(ends, hits.soonest[np.searchsorted(hits.begins, begins)])
    # Ends grow with begins: of those that end together the last is the smallest.
    kept = np.append(ends[1:] != ends[:-1], True) & (ends - begins <= distance)
    return Hits(begins[kept][:MAX_HITS], ends[kept][:MAX_HITS])


def before(distance: int, first: Hits, then: Hits) -> Hits:
    """Stretches where ``then`` begins within ``distance`` letters after the end of ``first``."""
    if not first or not then:
        return NOWHERE
    at = np.searchsorted(then.begins, first.ends)
    kept = np.append(then.begins, _NEVER)[at] - first.ends <= distance
    return Hits(first.begins[kept], then.ends[at[kept]])


def unless(distance: int, hits: Hits, guards: Hits) -> Hits:
    """``hits`` without those that a guard overlaps, or that follow a guard by at most ``distance`` letters.

    A guard excuses only what stands near it: "never read out the code" is a warning, and what comes a sentence later is
    looked at again.
    """
    if not hits or not guards:
        return hits
    latest = guards.furthest[np.searchsorted(guards.begins, hits.ends)]
    return hits.only(hits.begins - latest > distance)


def apart(distance: int, hits: Hits, guards: Hits) -> Hits:
    """``hits`` that no guard overlaps or comes nearer than ``distance`` letters to, on either side."""
    if not hits or not guards:
        return hits
    latest = guards.furthest[np.searchsorted(guards.begins, hits.ends + distance)]
    return hits.only(latest <= hits.begins - distance)


def weigh(distance: int, weighted: Sequence[tuple[Hits, int]]) -> int:
    """The most points that one stretch of ``distance`` letters holds: each list counts once, where it has a hit in it.

    Points may be negative; without any hit the answer is 0, and it is never less. Stretches begin where a hit begins.
    A hit lies in those that begin from ``end - distance`` to its begin; of a list these are joined, its points are
    added where they begin and taken off where they end, and the sum runs once over all begins.
    """
    found = [(hits, points) for hits, points in weighted if hits]
    if not found:
        return 0
    starts = np.unique(np.concatenate([hits.begins for hits, _ in found]))
    change = np.zeros(len(starts) + 1, np.int64)
    for hits, points in found:
        last = np.searchsorted(starts, hits.begins, "right")  # behind the last start that has it
        first = np.searchsorted(starts, hits.ends - distance)
        first = np.minimum.accumulate(first[::-1])[::-1]
        first = np.maximum(first, np.append(0, last[:-1]))
        some = first < last
        np.add.at(change, first[some], points)
        np.add.at(change, last[some], -points)
    return max(0, int(np.cumsum(change[:-1]).max()))


def union(lists: Sequence[Hits]) -> Hits:
    """All hits of several lists, in order, each once."""
    some = [hits for hits in lists if hits]
    if len(some) < 2:
        return some[0] if some else NOWHERE
    begins = np.concatenate([hits.begins for hits in some])
    ends = np.concatenate([hits.ends for hits in some])
    order = np.lexsort((ends, begins))
    begins, ends = begins[order], ends[order]
    fresh = np.append(True, (begins[1:] != begins[:-1]) | (ends[1:] != ends[:-1]))
    return Hits(begins[fresh][:MAX_HITS], ends[fresh][:MAX_HITS])
