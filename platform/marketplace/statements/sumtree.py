"""A Merkle sum tree: every node commits to its children's hashes and sums, so a root tells the total of all leaves.

Shaped as in RFC 9162 (the left subtree of n leaves holds the largest power of two below n). Pure.

    leaf   SHA-256(0x00 || width || sums || data)
    node   SHA-256(0x01 || left hash || left sums || right hash || right sums);  its sums are both, added

Sums are unsigned 64-bit numbers, big-endian, and as many in every leaf. A sum that would pass 64 bits is refused, so a
large leaf cannot hide others by wrapping around (the flaw of sum trees that add without bounds).
"""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MAX_SUM: Final = 2**64 - 1
MAX_LEAF: Final = 2**40 - 1
"""The largest sum of one leaf: no use takes so long or costs so much."""
MAX_SIZE: Final = 2**23
"""Leaves of a tree: eight million uses of one owner in one month."""
MAX_WIDTH: Final = 64
HASH_SIZE: Final = 32


class SumProblem(ValueError):
    """A sum that does not fit, or a proof that does not lead to the root."""


@dataclass(frozen=True, slots=True)
class Node:
    """``hash``: 32 bytes. ``sums``: what the leaves under it add up to."""

    hash: bytes
    sums: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A sibling on the way up; ``left``: it stands left of what was computed so far."""

    left: bool
    node: Node


class Builder:
    """Adds leaves in order and keeps the peaks only: O(log n) memory, two hashes a leaf."""

    def __init__(self, width: int) -> None:
        if not 1 <= width <= MAX_WIDTH:
            raise SumProblem(f"a leaf has 1 to {MAX_WIDTH} sums")
        self.size = 0
        self._width = width
        self._pack = struct.Struct(f">{width}Q").pack
        self._head = b"\x00" + bytes([width])
        self._bytes = 8 * width
        # Hash and packed sums of each peak, largest first. Sums are added as one long number: with leaves and size
        # bounded, none of its 64-bit places can run over into the next.
        self._peaks: list[bytes] = []

    def add(self, data: bytes, sums: tuple[int, ...]) -> None:
        """Raises SumProblem for sums outside 0 to MAX_LEAF, or not as many as the tree's, and for too many leaves."""
        if len(sums) != self._width or min(sums) < 0 or max(sums) > MAX_LEAF or self.size >= MAX_SIZE:
            raise SumProblem(f"a leaf has {self._width} sums of 0 to {MAX_LEAF}, and a tree at most {MAX_SIZE} leaves")
        packed = self._pack(*sums)
        value = hashlib.sha256(self._head + packed + data).digest()
        size, peaks = self.size, self._peaks
        while size & 1:
            left = peaks.pop()
            value = hashlib.sha256(b"\x01" + left + value + packed).digest()
            both = int.from_bytes(left[HASH_SIZE:], "big") + int.from_bytes(packed, "big")
            packed = both.to_bytes(self._bytes, "big")
            size >>= 1
        peaks.append(value + packed)
        self.size += 1

    def root(self) -> Node:
        """The node over everything added; without leaves, the hash of nothing and sums of zero."""
        if not self._peaks:
            return Node(hashlib.sha256(b"").digest(), (0,) * self._width)
        nodes = [Node(one[:HASH_SIZE], struct.unpack(f">{self._width}Q", one[HASH_SIZE:])) for one in self._peaks]
        found = nodes.pop()
        while nodes:
            found = join(nodes.pop(), found)
        return found


def leaf(data: bytes, sums: tuple[int, ...]) -> Node:
    """Raises SumProblem."""
    if not sums or max(sums) > MAX_LEAF:
        raise SumProblem(f"a leaf's sums are 0 to {MAX_LEAF}")
    return Node(hashlib.sha256(b"\x00" + bytes([len(sums)]) + _packed(sums) + data).digest(), sums)


def join(left: Node, right: Node) -> Node:
    """Raises SumProblem."""
    if len(left.sums) != len(right.sums):
        raise SumProblem("nodes of one tree have as many sums")
    value = hashlib.sha256(b"\x01" + left.hash + _packed(left.sums) + right.hash + _packed(right.sums)).digest()
    sums = tuple(map(int.__add__, left.sums, right.sums))
    _packed(sums)
    return Node(value, sums)


def proof(leaves: Sequence[Node], index: int) -> list[Step]:
    """The siblings of leaf ``index``, lowest first. Raises SumProblem."""
    if not 0 <= index < len(leaves):
        raise SumProblem(f"leaf {index} is not in a tree of {len(leaves)}")
    steps: list[Step] = []
    part = leaves
    while len(part) > 1:
        half = 1 << (len(part) - 1).bit_length() - 1
        if index < half:
            steps.append(Step(False, _root(part[half:])))
            part = part[:half]
        else:
            steps.append(Step(True, _root(part[:half])))
            part, index = part[half:], index - half
    return steps[::-1]


def verify(found: Node, index: int, size: int, steps: Sequence[Step], root: Node) -> None:
    """Returns when ``steps`` lead from leaf ``index`` of ``size`` to the root, sums included. Raises SumProblem."""
    if not 0 <= index < size:
        raise SumProblem(f"leaf {index} is not in a tree of {size}")
    sides: list[bool] = []
    at, width = index, size
    while width > 1:
        half = 1 << (width - 1).bit_length() - 1
        sides.append(at >= half)
        at, width = (at - half, width - half) if at >= half else (at, half)
    if [step.left for step in steps] != sides[::-1]:
        raise SumProblem("the proof has another shape than the tree")
    for step in steps:
        found = join(step.node, found) if step.left else join(found, step.node)
    if found != root:
        raise SumProblem("the proof leads to another root")


def _root(leaves: Iterable[Node]) -> Node:
    found = list(leaves)
    if len(found) == 1:
        return found[0]
    half = 1 << (len(found) - 1).bit_length() - 1
    return join(_root(found[:half]), _root(found[half:]))


def _packed(sums: tuple[int, ...]) -> bytes:
    try:
        return struct.pack(f">{len(sums)}Q", *sums)
    except struct.error as error:
        raise SumProblem("a sum is 0 to 2^64-1") from error
