"""Nearness, order, guards and weights of places, each against the plain definition."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from safety.detectors.spans import Hits, apart, before, near, union, unless, weigh

spans = st.tuples(st.integers(0, 60), st.integers(1, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))
hits = st.lists(spans, max_size=6).map(Hits.of)
distances = st.integers(0, 40)


@given(st.lists(hits, min_size=1, max_size=3), distances)
def test_near_finds_a_stretch_exactly_where_one_choice_fits(groups, distance):
    fits = any(
        max(end for _, end in choice) - min(begin for begin, _ in choice) <= distance for choice in product(*groups)
    )
    assert bool(near(distance, groups)) is fits


@given(hits, hits, distances)
def test_before_wants_the_order(first, then, distance):
    fits = any(0 <= start - end <= distance for _, end in first for start, _ in then)
    assert bool(before(distance, first, then)) is fits


@given(hits, hits, distances)
def test_unless_drops_what_a_guard_precedes(found, guards, distance):
    kept = [hit for hit in found if not any(g[0] < hit[1] and hit[0] - g[1] <= distance for g in guards)]
    assert list(unless(distance, found, guards)) == kept


@given(hits, hits, distances)
def test_apart_drops_what_a_guard_is_near_to(found, guards, distance):
    def touches(hit, guard):
        return guard[0] < hit[1] + distance and guard[1] > hit[0] - distance

    assert list(apart(distance, found, guards)) == [hit for hit in found if not any(touches(hit, g) for g in guards)]


@given(st.lists(st.tuples(hits, st.integers(-5, 9)), min_size=1, max_size=3), st.integers(8, 40))
def test_weigh_takes_the_heaviest_window(weighted, distance):
    best = 0
    for start in {begin for found, _ in weighted for begin, _ in found}:
        inside = [points for found, points in weighted if any(b >= start and e <= start + distance for b, e in found)]
        best = max(best, sum(inside))
    assert weigh(distance, weighted) == best


@given(st.lists(hits, max_size=3), distances)
def test_near_leaves_out_what_holds_a_smaller_stretch(groups, distance):
    found = list(near(distance, groups)) if groups else []
    assert not any(one != other and one[0] <= other[0] and other[1] <= one[1] for one in found for other in found)
    for begin, end in found:
        assert all(any(begin <= b and e <= end for b, e in group) for group in groups)


@given(st.lists(hits, max_size=4))
def test_union_has_every_hit_once_and_in_order(lists):
    assert list(union(lists)) == sorted({hit for found in lists for hit in found})
