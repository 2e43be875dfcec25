"""The Merkle tree as it lies in the database: leaf hashes in ``Leaf``, complete subtrees above them in ``Node``."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import TypeVar

from django.db.models import Max, Q

from foundation.audit import merkle
from foundation.audit.models import Leaf, Node

Answer = TypeVar("Answer")


def size() -> int:
    """How many leaves this transaction sees."""
    last = Leaf.objects.aggregate(last=Max("index"))["last"]
    return 0 if last is None else int(last) + 1


def root(tree_size: int) -> bytes:
    """The root hash of the first ``tree_size`` leaves."""
    return _answer(lambda read: merkle.root(tree_size, read))


def inclusion_proof(index: int, tree_size: int) -> list[bytes]:
    """See ``merkle.inclusion_proof``."""
    return _answer(lambda read: merkle.inclusion_proof(index, tree_size, read))


def inclusion_proofs(indices: Sequence[int], tree_size: int) -> list[list[bytes]]:
    """One for each index, read together: much faster than one by one, for some hundred at a time."""
    return _answer(lambda read: [merkle.inclusion_proof(index, tree_size, read) for index in indices])


def consistency_proof(old_size: int, new_size: int) -> list[bytes]:
    """See ``merkle.consistency_proof``."""
    return _answer(lambda read: merkle.consistency_proof(old_size, new_size, read))


def range_proof(first: int, end: int, tree_size: int) -> tuple[list[bytes], list[bytes]]:
    """See ``merkle.range_proof``."""
    return _answer(lambda read: merkle.range_proof(first, end, tree_size, read))


def _answer(question: Callable[[merkle.Reader], Answer]) -> Answer:
    """Asks twice: first only to learn which hashes are wanted, then with all of them, read in two queries."""
    wanted: list[tuple[int, int]] = []

    def note(level: int, position: int) -> bytes:
        wanted.append((level, position))
        return merkle.EMPTY_ROOT

    question(note)
    found = _hashes(wanted)
    return question(lambda level, position: found[level, position])


def _hashes(coordinates: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """The stored hashes at ``(level, position)``. A hash that is not there raises KeyError where it is used."""
    leaves = [position for level, position in coordinates if level == 0]
    above = [Q(level=level, position=position) for level, position in sorted(set(coordinates)) if level]
    found: dict[tuple[int, int], bytes] = {}
    if leaves:
        rows = Leaf.objects.filter(index__in=leaves).values_list("index", "leaf_hash")
        found.update({(0, index): bytes(value) for index, value in rows})
    if above:
        rows_above = Node.objects.filter(reduce(or_, above)).values_list("level", "position", "hash")
        found.update({(level, position): bytes(value) for level, position, value in rows_above})
    return found
