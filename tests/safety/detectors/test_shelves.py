"""Many phrases at all places at once finds what looking for one phrase at one place finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from safety.detectors import shelves
from safety.detectors.normalise import Stream
from safety.detectors.shelves import Entry, Shelf

LETTERS = st.text(alphabet="abc号码\U00020000", max_size=24)
PHRASES = st.lists(
    st.tuples(st.text(alphabet="abc号码\U00020000", min_size=1, max_size=6), st.booleans()), min_size=1, max_size=12
)


def plainly(entries, stream):
    return sorted(
        (at, at + len(entry.letters), number, owner)
        for number, entry in enumerate(entries)
        for at in range(len(stream.letters))
        if stream.letters.startswith(entry.letters, at) and stream.edges[at]
        if entry.open or stream.edges[at + len(entry.letters)]
        for owner in entry.lists
    )


def at_once(entries, stream, key):
    found = Shelf([(entry, min(key, len(entry.letters))) for entry in entries]).find(stream)
    owners, which = found.owners()
    return sorted(
        zip(
            found.begins[which].tolist(), found.ends[which].tolist(), found.entries[which].tolist(), owners.tolist(),
            strict=True,
        )
    )  # fmt: skip


@given(LETTERS, PHRASES, st.integers(1, 5), st.data())
def test_every_phrase_is_found_where_it_stands_as_whole_words_and_nowhere_else(letters, phrases, key, data):
    inner = data.draw(st.lists(st.booleans(), min_size=max(len(letters) - 1, 0), max_size=max(len(letters) - 1, 0)))
    stream = Stream(letters, bytes([True, *inner, True] if letters else [True]))
    entries = [
        Entry(one, is_open, tuple(range(number % 3 + 1))) for number, (one, is_open) in enumerate(dict(phrases).items())
    ]
    assert at_once(entries, stream, key) == plainly(entries, stream)


def test_two_stretches_that_share_a_number_are_told_apart(monkeypatch):
    monkeypatch.setattr(shelves, "_BASE", 1)
    monkeypatch.setattr(shelves, "_INVERSE", 1)
    shelves._powers.cache_clear()
    try:
        entry, stream = Entry("ab", True, (0,)), Stream("baab", b"\1" * 5)
        assert shelves._number("ab") == shelves._number("ba")
        assert at_once([entry], stream, 2) == [(2, 4, 0, 0)]
    finally:
        shelves._powers.cache_clear()


def test_a_text_longer_than_the_common_table_of_powers_is_searched_to_its_end():
    letters = "x" * 40_000 + "ab"
    stream = Stream(letters, bytes(np.ones(len(letters) + 1, np.uint8)))
    assert at_once([Entry("ab", False, (0,))], stream, 2) == [(40_000, 40_002, 0, 0)]


def test_an_empty_shelf_and_an_empty_text_find_nothing():
    assert at_once([], Stream("ab", b"\1\1\1"), 1) == []
    assert at_once([Entry("ab", False, (0,))], Stream("", b"\1"), 1) == []
