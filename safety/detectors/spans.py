"""Where things stand in a text, and how near each other: the arithmetic of features. Pure; every cost is bounded.

A hit is a pair (begin, end) of offsets into a stream's letters. Lists of hits are ordered by begin and hold at most
``MAX_HITS``.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

Hits = list[tuple[int, int]]

MAX_HITS: Final = 2_000
"""Hits kept of one list in one text. More only means the phrase is everywhere; the first ones settle the match."""


def near(distance: int, groups: Sequence[Hits]) -> Hits:
    """The stretches of at most ``distance`` letters that hold one hit of every group, in any order.

    Begins are swept from the right and each group's nearest end is kept: one sort of all hits.
    """
    if not all(groups):
        return []
    events = sorted(((begin, end, group) for group, hits in enumerate(groups) for begin, end in hits), reverse=True)
    nearest: dict[int, int] = {}
    found: Hits = []
    for begin, end, group in events:
        nearest[group] = min(end, nearest.get(group, end))
        if len(nearest) == len(groups):
            until = max(nearest.values())
            if until - begin <= distance:
                found.append((begin, until))
    return found[::-1][:MAX_HITS]


def before(distance: int, first: Hits, then: Hits) -> Hits:
    """Stretches where ``then`` begins within ``distance`` letters after the end of ``first``."""
    starts = [start for start, _ in then]
    found: Hits = []
    for begin, end in first:
        at = bisect_left(starts, end)
        if at < len(then) and starts[at] - end <= distance:
            found.append((begin, then[at][1]))
    return found


def unless(distance: int, hits: Hits, guards: Hits) -> Hits:
    """``hits`` without those that a guard overlaps, or that follow a guard by at most ``distance`` letters.

    A guard excuses only what stands near it: "never read out the code" is a warning, and what comes a sentence later is
    looked at again.
    """
    starts = [start for start, _ in guards]
    latest = list(accumulate((until for _, until in guards), max))  # the furthest end among the guards so far
    kept: Hits = []
    for begin, end in hits:
        earlier = bisect_left(starts, end)
        if not earlier or begin - latest[earlier - 1] > distance:
            kept.append((begin, end))
    return kept


def apart(distance: int, hits: Hits, guards: Hits) -> Hits:
    """``hits`` that no guard overlaps or comes nearer than ``distance`` letters to, on either side."""
    starts = [start for start, _ in guards]
    latest = list(accumulate((until for _, until in guards), max))
    kept: Hits = []
    for begin, end in hits:
        reached = bisect_left(starts, end + distance)  # guards that begin before the hit's reach ends
        if not reached or latest[reached - 1] <= begin - distance:
            kept.append((begin, end))
    return kept


def weigh(distance: int, weighted: Sequence[tuple[Hits, int]]) -> int:
    """The most points that one stretch of ``distance`` letters holds: each list counts once, where it has a hit in it.

    Points may be negative; without any hit the answer is 0. As in `near`, begins are swept from the right.
    """
    events = sorted(
        ((begin, end, kind) for kind, (hits, _) in enumerate(weighted) for begin, end in hits), reverse=True
    )
    nearest: dict[int, int] = {}
    best = 0
    for at, (begin, end, kind) in enumerate(events):
        nearest[kind] = min(end, nearest.get(kind, end))
        if at + 1 == len(events) or events[at + 1][0] != begin:
            limit = begin + distance
            best = max(best, sum(weighted[one][1] for one, until in nearest.items() if until <= limit))
    return best


def union(lists: Sequence[Hits]) -> Hits:
    """All hits of several lists, in order, each once."""
    return sorted({hit for hits in lists for hit in hits})[:MAX_HITS]
