"""Finds a rule's phrases in a normalised text. No regular expressions: nothing a text or a pack says can explode.

A pattern is a list of groups; it matches where every group has one of its phrases, all inside one window. Each phrase
is looked for by plain substring search (``str.find``), so the cost is bounded by phrases times length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from safety.detectors.folding import is_han
from safety.detectors.normalise import Stream, normalise

SHORTEST: Final = 2
"""Letters a phrase keeps at least. One Chinese character is enough: it is a word."""


class PhraseTooShort(ValueError):
    """After normalising, too little of the phrase is left: it would match almost anything."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase as its normalised letters; a symbol in it may give it two readings."""

    readings: tuple[str, ...]

    @classmethod
    def of(cls, written: str) -> "Phrase":
        """Raises PhraseTooShort."""
        readings = tuple(dict.fromkeys(stream.letters for stream in normalise(written)))
        if any(len(letters) < SHORTEST and not is_han(letters) for letters in readings):
            raise PhraseTooShort(written)
        return cls(readings)


@dataclass(frozen=True, slots=True)
class Pattern:
    """``groups``: each a set of phrases of which one must be present. ``within``: letters the whole match may span;
    None for anywhere in the text."""

    groups: tuple[tuple[Phrase, ...], ...]
    within: int | None

    @classmethod
    def of(cls, groups: Sequence[Sequence[str]], *, within: int | None) -> "Pattern":
        return cls(tuple(tuple(Phrase.of(phrase) for phrase in group) for group in groups), within)

    def matches(self, streams: Sequence[Stream]) -> bool:
        return any(self._matches_one(stream) for stream in streams)

    def _matches_one(self, stream: Stream) -> bool:
        hits: list[list[tuple[int, int]]] = []
        for group in self.groups:
            found = [hit for phrase in group for letters in phrase.readings for hit in find(letters, stream)]
            if not found:
                return False
            hits.append(found)
        return self.within is None or _narrowest(hits) <= self.within


def find(letters: str, stream: Stream) -> list[tuple[int, int]]:
    """Where ``letters`` stands in the stream as whole words: every pair (begin, end), in order."""
    found: list[tuple[int, int]] = []
    at = stream.letters.find(letters)
    while at >= 0:
        end = at + len(letters)
        if stream.edges[at] and stream.edges[end]:
            found.append((at, end))
        at = stream.letters.find(letters, at + 1)
    return found


def _narrowest(hits: list[list[tuple[int, int]]]) -> int:
    """The fewest letters that hold one hit of every group. Sweeps begins from the right; each group's nearest end is
    kept, so the cost is one sort of all hits."""
    events = sorted(((begin, end, group) for group, found in enumerate(hits) for begin, end in found), reverse=True)
    nearest: dict[int, int] = {}
    best = 1 << 62
    for begin, end, group in events:
        nearest[group] = min(end, nearest.get(group, end))
        if len(nearest) == len(hits):
            best = min(best, max(nearest.values()) - begin)
    return best
