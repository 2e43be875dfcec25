"""Very many phrases at all places of a text at once: each phrase is one number, and so is each stretch of the text.

The number of a stretch is its letters as the digits of a number in base ``_BASE``, modulo 2^64. Sums over the text give
the number of any stretch in three operations (Karp and Rabin 1987, here over whole arrays). A table of one bit for the
numbers of the phrases' first letters leaves a few places in a hundred to look at. Two stretches may share a number, so
what is found is compared letter by letter: the answer is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from safety.detectors.normalise import Stream

Places = NDArray[np.int64]
Codes = NDArray[np.uint64]

_BASE: Final = 0x9E3779B97F4A7C15
"""Odd, so that it has an inverse: a stretch can be moved to the beginning."""
_INVERSE: Final = pow(_BASE, -1, 1 << 64)
_TABLE_BITS: Final = 16
_COMMON_BITS: Final = 14
"""Most texts have fewer than 2^14 letters, and share one table of powers."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A phrase's letters. ``open``: it may end inside a word. ``lists``: the numbers of the lists that have it.

    ``by_sound_alone``: whether it counts where none of it was typed in Latin letters.
    """

    letters: str
    open: bool
    lists: tuple[int, ...]
    by_sound_alone: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Where entries stand: letters ``begins`` to ``ends``, and which entry; in no order.

    ``names``: of all entries, the numbers of their lists one behind the other, and where each entry's begin.
    """

    begins: Places
    ends: Places
    entries: Places
    names: tuple[Places, Places]

    def only(self, kept: NDArray[np.bool_]) -> "Found":
        return Found(self.begins[kept], self.ends[kept], self.entries[kept], self.names)

    def owners(self) -> tuple[Places, Places]:
        """For each list of each of these the list's number, and which of these it was."""
        lists, starts = self.names
        which, of_starts = _expanded(starts, self.entries)
        return lists[of_starts], which


@dataclass(frozen=True, slots=True, eq=False)
class _Key:
    """The entries that are looked up by their first ``length`` letters: those under ``numbers[i]`` (in order) are
    ``entries[starts[i]]`` to ``entries[starts[i + 1] - 1]``. ``table``: whether any number has these first bits."""

    length: int
    table: NDArray[np.bool_]
    numbers: Codes
    starts: Places
    entries: Places


class Shelf:
    """Entries, each looked up by its first letters."""

    def __init__(self, entries: Sequence[tuple[Entry, int]]) -> None:
        """Each entry with the number of its letters that it is looked up by (1 to all of them)."""
        self._codes: Final = _codes("".join(entry.letters for entry, _ in entries))
        self._lengths: Final = np.array([len(entry.letters) for entry, _ in entries], np.int64)
        self._starts: Final = np.cumsum([0, *self._lengths.tolist()])
        self._numbers: Final = np.array([_number(entry.letters) for entry, _ in entries], np.uint64)
        self._open: Final = np.array([entry.open for entry, _ in entries], np.bool_)
        self.by_sound_alone: Final = np.array([entry.by_sound_alone for entry, _ in entries], np.bool_)
        lists = np.array([number for entry, _ in entries for number in entry.lists], np.int64)
        starts = np.cumsum([0, *(len(entry.lists) for entry, _ in entries)])
        self._names: Final = (lists, starts)
        by_length: dict[int, dict[int, list[int]]] = {}
        for at, (entry, length) in enumerate(entries):
            by_length.setdefault(length, {}).setdefault(_number(entry.letters[:length]), []).append(at)
        self._keys: Final = [_key(length, found) for length, found in sorted(by_length.items())]

    def find(self, stream: Stream) -> Found:
        """Where an entry stands as whole words."""
        begins, entries = [], []
        size = len(stream.letters)
        edges = np.frombuffer(stream.edges, np.bool_)
        codes = _codes(stream.letters)
        sums, back = _sums(codes)
        at_edges = np.flatnonzero(edges)
        for key in self._keys:
            at = at_edges[: np.searchsorted(at_edges, size - key.length, "right")]
            numbers = (sums[at + key.length] - sums[at]) * back[at]
            likely = key.table[_first_bits(numbers)]
            at, numbers = at[likely], numbers[likely]
            if not len(at):
                continue
            group = np.searchsorted(key.numbers, numbers)
            group[group == len(key.numbers)] = 0
            same = key.numbers[group] == numbers
            which, of_entries = _expanded(key.starts, group[same])
            begins.append(at[same][which])
            entries.append(key.entries[of_entries])
        if not begins:
            nothing = np.zeros(0, np.int64)
            return Found(nothing, nothing, nothing, self._names)
        begin, entry = np.concatenate(begins), np.concatenate(entries)
        end = begin + self._lengths[entry]
        fits = end <= size
        begin, end, entry = begin[fits], end[fits], entry[fits]
        stands = (sums[end] - sums[begin]) * back[begin] == self._numbers[entry]
        stands &= self._open[entry] | edges[end]
        return self._exact(Found(begin[stands], end[stands], entry[stands], self._names), codes)

    def _exact(self, found: Found, codes: NDArray[np.uint32]) -> Found:
        """Those whose letters are the entry's, one by one."""
        which, of_entries = _expanded(self._starts, found.entries)
        of_text = of_entries + (found.begins - self._starts[found.entries])[which]
        differs = codes[of_text] != self._codes[of_entries]
        if not differs.any():
            return found
        kept = np.ones(len(found.begins), np.bool_)
        kept[which[differs]] = False
        return found.only(kept)


def _key(length: int, by_number: dict[int, list[int]]) -> _Key:
    ordered = sorted(by_number.items())
    numbers = np.array([number for number, _ in ordered], np.uint64)
    table = np.zeros(1 << _TABLE_BITS, np.bool_)
    table[_first_bits(numbers)] = True
    starts = np.cumsum([0, *(len(entries) for _, entries in ordered)])
    return _Key(length, table, numbers, starts, np.array([at for _, entries in ordered for at in entries], np.int64))


def _expanded(starts: Places, groups: Places) -> tuple[Places, Places]:
    """Each group taken apart: of which of ``groups`` a member is, and its place among the members of all groups."""
    sizes = starts[groups + 1] - starts[groups]
    which = np.repeat(np.arange(len(groups)), sizes)
    within = np.arange(len(which)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return which, starts[groups][which] + within


def _first_bits(numbers: Codes) -> Codes:
    """Of the numbers stirred once more: that of one letter is small."""
    return (numbers * np.uint64(_BASE)) >> np.uint64(64 - _TABLE_BITS)


def _number(letters: str) -> int:
    return sum(ord(char) * pow(_BASE, at, 1 << 64) for at, char in enumerate(letters)) % (1 << 64)


def _codes(letters: str) -> NDArray[np.uint32]:
    return np.frombuffer(letters.encode("utf-32-le", "surrogatepass"), "<u4")


def _sums(codes: NDArray[np.uint32]) -> tuple[Codes, Codes]:
    """Before each letter the number of all letters until there; and by what a stretch is multiplied that begins there
    for it to be read as if it began the text."""
    up, back = _powers(max(len(codes).bit_length(), _COMMON_BITS))
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(codes * up[: len(codes)], out=sums[1:])
    return sums, back


@lru_cache(maxsize=24)
def _powers(bits: int) -> tuple[Codes, Codes]:
    """The powers of the base and of its inverse, from 0 to 2^``bits``."""
    return _powers_of(_BASE, (1 << bits) + 1), _powers_of(_INVERSE, (1 << bits) + 1)


def _powers_of(base: int, size: int) -> Codes:
    factors = np.full(size, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors)
