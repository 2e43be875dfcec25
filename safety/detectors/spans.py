"""Where things stand in a text, and how near each other: the arithmetic of features. Pure; every cost is bounded.

A text that is full of hits (ten thousand characters of frauds) is judged by some two hundred such questions, and must
not take longer than a person notices. No hit is ever left out: whoever may fill a list could hide behind it what comes
last. So all lists of one text lie on one `Ground`, the places where anything begins
at all, and what is asked of many lists at once (`near`, `weigh`) is a few passes over arrays of that length: nothing
is sorted or looked up again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int32]
Packed = NDArray[np.int64]
"""Hits as one number each, so that they sort: see `pack`."""

_BITS: Final = 24
"""Enough for an offset: a text of 20,000 characters has at most 2.2 million letters when it is spelled in pinyin."""
_NEVER: Final = 1 << 30
"""Behind the end of every text; far enough from the largest number that a distance may be added."""


def pack(begins: NDArray[Any], ends: NDArray[Any]) -> Packed:
    """Pairs as numbers that order by begin and then by end."""
    return begins.astype(np.int64) << _BITS | ends.astype(np.int64)


def each_once(ordered: Packed) -> Packed:
    fresh = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=fresh[1:])
    return ordered[fresh]


def _begins(packed: Packed) -> Offsets:
    return (packed >> _BITS).astype(np.int32)


def _ends(packed: Packed) -> Offsets:
    return (packed & (1 << _BITS) - 1).astype(np.int32)


class Ground:
    """The places of one text where any hit of any of its lists begins, in order, each once."""

    def __init__(self, begins: NDArray[Any]) -> None:
        # Offsets are small numbers: marking them is a fraction of the cost of sorting them.
        marks = np.zeros(int(begins.max()) + 1 if len(begins) else 0, np.bool_)
        marks[begins] = True
        self.places: Final[Offsets] = np.flatnonzero(marks).astype(np.int32)
        self._index: Final[Offsets] = np.cumsum(marks, dtype=np.int32) - 1

    def at(self, begins: NDArray[Any]) -> Offsets:
        """Where in ``places`` these begins, all of them places of this ground, stand."""
        return self._index[begins]


@dataclass(frozen=True, eq=False)
class Hits:
    """Places in a text, as offsets into a stream's letters, in order of their begins: every one there is.

    ``at``: the index of each begin in the ground's places. Iterates as pairs (begin, end).
    """

    at: Offsets
    ends: Offsets
    ground: Ground

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> "Hits":
        """In any order, on a ground of their own; each once."""
        found = np.unique(np.array([begin << _BITS | end for begin, end in pairs], np.int64))
        begins = _begins(found)
        ground = Ground(begins)
        return cls(ground.at(begins), _ends(found), ground)

    @property
    def begins(self) -> Offsets:
        return self.ground.places[self.at]

    def __len__(self) -> int:
        return len(self.at)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.begins.tolist(), self.ends.tolist(), strict=True)

    @cached_property
    def soonest(self) -> Offsets:
        """For each place of the ground the earliest end among the hits that begin there or later, or ``_NEVER``.

        Only where there is a hit.
        """
        count = len(self.at)
        earliest, steps = np.full(count + 1, _NEVER, np.int32), np.empty(count + 1, np.int32)
        np.minimum.accumulate(self.ends[::-1], out=earliest[count - 1 :: -1])
        steps[0], steps[-1] = self.at[0] + 1, len(self.ground.places) - 1 - self.at[-1]
        np.subtract(self.at[1:], self.at[:-1], out=steps[1:-1])
        return earliest.repeat(steps)

    @cached_property
    def furthest(self) -> Offsets:
        """Before each hit the furthest end among those that begin earlier; ``-_NEVER`` before the first."""
        return np.maximum.accumulate(np.append(np.int32(-_NEVER), self.ends))

    def only(self, kept: NDArray[Any]) -> "Hits":
        """Those that ``kept`` (booleans) says."""
        return Hits(self.at[kept], self.ends[kept], self.ground)

    def on(self, ground: Ground) -> "Hits":
        """The same hits on another ground, which has all of their begins."""
        return self if ground is self.ground else Hits(ground.at(self.begins), self.ends, ground)


NOWHERE: Final = Hits.of([])


def on_one_ground(lists: Mapping[Any, Packed]) -> dict[Any, Hits]:
    """Hits of each list, on the ground of them all. ``lists``: packed (`pack`), in order, each once, of any length."""
    if not lists:
        return {}
    every = np.concatenate(list(lists.values()))
    begins, ends = _begins(every), _ends(every)
    ground = Ground(begins)
    at = ground.at(begins)
    bounds = list(accumulate(map(len, lists.values()), initial=0))
    return {
        name: Hits(at[first:behind], ends[first:behind], ground)
        for name, (first, behind) in zip(lists, pairwise(bounds), strict=True)
    }


def near(distance: int, groups: Sequence[Hits]) -> Hits:
    """The stretches of at most ``distance`` letters that hold one hit of every group, in any order.

    A stretch that holds another one is left out: what is true of places near something is true of the smaller one too.
    """
    if not all(groups):
        return NOWHERE
    first, *others = _together(groups)
    ends = first.soonest
    for hits in others:
        ends = np.maximum(ends, hits.soonest)
    # Ends grow with begins: of those that end together the last is the smallest, and a hit begins there.
    kept = ends - first.ground.places <= distance
    kept[:-1] &= ends[1:] != ends[:-1]
    at = kept.nonzero()[0]
    return Hits(at.astype(np.int32), ends[at], first.ground)


def before(distance: int, first: Hits, then: Hits) -> Hits:
    """Stretches where ``then`` begins within ``distance`` letters after the end of ``first``."""
    if not first or not then:
        return NOWHERE
    at = np.searchsorted(then.begins, first.ends)
    kept = np.append(then.begins, np.int32(_NEVER))[at] - first.ends <= distance
    return Hits(first.at[kept], then.ends[at[kept]], first.ground)


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
    latest = guards.furthest[np.searchsorted(guards.begins, hits.ends + np.int32(distance))]
    return hits.only(latest <= hits.begins - distance)


def weigh(distance: int, weighted: Sequence[tuple[Hits, int]]) -> int:
    """The most points that one stretch of ``distance`` letters holds: each list counts once, where it has a hit in it.

    Points may be negative; without any hit the answer is 0, and it is never less. Stretches begin where a hit begins.
    """
    some = [pair for pair in weighted if pair[0]]
    if not some:
        return 0
    points = [one for _, one in some]
    found = _together([hits for hits, _ in some])
    places = found[0].ground.places
    last = places + np.int32(distance)
    number = np.int32 if sum(map(abs, points)) < _NEVER else np.int64
    total = np.zeros(len(places), number)
    starts = np.zeros(len(places), np.bool_)
    for hits, one in zip(found, points, strict=True):
        np.add(total, (hits.soonest <= last) * number(one), out=total)
        starts[hits.at] = True
    return max(0, int(total[starts].max()))


def union(lists: Sequence[Hits]) -> Hits:
    """All hits of several lists, in order, each once."""
    some = _together([hits for hits in lists if hits])
    if len(some) < 2:
        return some[0] if some else NOWHERE
    merged = np.sort(np.concatenate([pack(hits.at, hits.ends) for hits in some]))
    merged = each_once(merged)
    return Hits(_begins(merged), _ends(merged), some[0].ground)


def _together(lists: Sequence[Hits]) -> list[Hits]:
    """The same lists on one ground, which those of one text have from the beginning."""
    if all(hits.ground is lists[0].ground for hits in lists):
        return list(lists)
    ground = Ground(np.concatenate([hits.ground.places for hits in lists]))
    return [hits.on(ground) for hits in lists]
