"""Cut a text into morphemes: the cheapest path through all dictionary entries and unknown words (MeCab, Kudo 2004).

Ties are broken as MeCab breaks them (the entry met last in the dictionary wins, among equal predecessors the one
entered last), because equal costs do happen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cloning.engine.text.openjtalk.dictionary import Dictionary, Morpheme

#: An unknown run of one class of characters is one word up to this many characters after its first (MeCab's default).
LONGEST_RUN = 24


@dataclass(slots=True)
class _Node:
    morpheme: Morpheme | None
    right: int
    cost: int
    before: _Node | None


def _run(dictionary: Dictionary, text: str, start: int, kinds: int) -> int:
    """End of the run of characters each of which shares a class with the one before; runs too long to be one word are
    not followed to their end."""
    end = start
    while end < min(len(text), start + LONGEST_RUN + 1):
        character = dictionary.character(text[end])
        if not character.kinds & kinds:
            break
        kinds = character.kinds
        end += 1
    return end


def candidates(dictionary: Dictionary, text: str, start: int) -> list[Morpheme]:
    """Every morpheme that may begin at `start`, in MeCab's order of entry."""
    found = dictionary.prefixes(text, start)
    character = dictionary.character(text[start])
    if found and not character.always:
        return found
    whole = 0
    if character.group:
        whole = _run(dictionary, text, start + 1, character.kinds)
        if whole - start - 1 <= LONGEST_RUN:
            found += dictionary.unknown(character.kind, text[start:whole])
    for length in range(1, character.length + 1):
        end = start + length
        if end > len(text) or end == whole:
            break
        found += dictionary.unknown(character.kind, text[start:end])
        if end == len(text) or not character.kinds & dictionary.character(text[end]).kinds:
            break
    return found or dictionary.unknown(character.kind, text[start : start + 1])


def morphemes(dictionary: Dictionary, text: str) -> list[Morpheme]:
    """The cheapest sequence of morphemes that spells `text`."""
    connections = dictionary.connections
    ending: list[list[_Node]] = [[] for _ in range(len(text) + 1)]
    ending[0].append(_Node(None, 0, 0, None))
    for start in range(len(text)):
        left = ending[start]
        if not left:
            continue
        left.reverse()
        rights = [node.right for node in left]
        costs = np.array([node.cost for node in left], dtype=np.int64)
        found = candidates(dictionary, text, start)[::-1]
        total = costs + connections[np.ix_([entry.left for entry in found], rights)]
        best = total.argmin(axis=1)
        for row, (entry, place) in enumerate(zip(found, best.tolist(), strict=True)):
            cost = int(total[row, place]) + entry.cost
            ending[start + len(entry.surface)].append(_Node(entry, entry.right, cost, left[place]))
    last = ending[len(text)][::-1]
    closing = [node.cost + int(connections[0, node.right]) for node in last]
    node: _Node | None = last[closing.index(min(closing))]
    path: list[Morpheme] = []
    while node is not None and node.morpheme is not None:
        path.append(node.morpheme)
        node = node.before
    return path[::-1]
