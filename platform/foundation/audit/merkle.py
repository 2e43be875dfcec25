"""The Merkle tree of RFC 9162 (Certificate Transparency 2.0), section 2.1, over SHA-256. Pure: no storage, no Django.

A tree is addressed by its perfect subtrees: ``(level, position)`` covers the ``2**level`` leaves that start at
``position * 2**level``. Whoever keeps the hashes of all *complete* perfect subtrees (one new one per leaf on average)
can answer every question here with O(log n) reads; nothing stored ever changes when the tree grows.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

HASH_SIZE = 32
"""Bytes of a SHA-256 value: every hash in and out of this module has this length."""

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves (RFC 9162, 2.1.1)."""

Reader = Callable[[int, int], bytes]
"""``(level, position) -> hash`` of a complete perfect subtree; level 0 are the leaf hashes."""


class MerkleError(ValueError):
    """A proof or a question that cannot be right."""


class OutsideTree(MerkleError):
    """The leaf index, or a size, lies outside the tree."""


class TreeShrank(MerkleError):
    """The newer tree is smaller than the older one: a log never shrinks."""


class NotAHash(MerkleError):
    """A value is not 32 bytes long."""


class ProofTooShort(MerkleError):
    """The proof ends before the root is reached."""


class ProofTooLong(MerkleError):
    """The proof goes on after the root is reached."""


class RootMismatch(MerkleError):
    """The proof leads to another root."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256 of 0x00 and the leaf's bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and both children's hashes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def completed_by(index: int) -> Iterator[tuple[int, int]]:
    """The perfect subtrees above level 0 that are complete once leaf ``index`` is there, lowest first."""
    level, position = 0, index
    while position & 1:
        level, position = level + 1, position >> 1
        yield level, position


def root(size: int, read: Reader) -> bytes:
    """The root hash of the first ``size`` leaves. Raises OutsideTree for a negative size."""
    if size < 0:
        raise OutsideTree(f"a tree has no {size} leaves")
    return _hash_of(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: Reader) -> list[bytes]:
    """The hashes that lead from leaf ``index`` to the root of ``size`` leaves, lowest first (RFC 9162, 2.1.3.1).

    Raises OutsideTree.
    """
    if not 0 <= index < size:
        raise OutsideTree(f"leaf {index} is not in a tree of {size}")
    proof: list[bytes] = []
    start, width = 0, size
    while width > 1:
        half = _split(width)
        if index - start < half:
            proof.append(_hash_of(start + half, width - half, read))
            width = half
        else:
            proof.append(_hash_of(start, half, read))
            start, width = start + half, width - half
    return proof[::-1]


def consistency_proof(old_size: int, new_size: int, read: Reader) -> list[bytes]:
    """The hashes that show the first ``old_size`` leaves of the newer tree to be the older tree (RFC 9162, 2.1.4.1).

    Raises OutsideTree for a negative size, TreeShrank when ``old_size > new_size``.
    """
    _check_sizes(old_size, new_size)
    if old_size in (0, new_size):
        return []
    proof: list[bytes] = []
    start, width, left, whole = 0, new_size, old_size, True
    while left < width:
        half = _split(width)
        if left <= half:
            proof.append(_hash_of(start + half, width - half, read))
            width = half
        else:
            proof.append(_hash_of(start, half, read))
            start, width, left, whole = start + half, width - half, left - half, False
    if not whole:
        proof.append(_hash_of(start, width, read))
    return proof[::-1]


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Returns when ``proof`` leads from the leaf hash to ``root`` (RFC 9162, 2.1.3.2).

    Raises OutsideTree, NotAHash, ProofTooShort, ProofTooLong, RootMismatch.
    """
    if not 0 <= index < size:
        raise OutsideTree(f"leaf {index} is not in a tree of {size}")
    _check_hashes(leaf, root, *proof)
    at, last, value = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise ProofTooLong(f"{len(proof)} hashes for leaf {index} of {size}")
        if at & 1 or at == last:
            value = node_hash(step, value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, step)
        at, last = at >> 1, last >> 1
    if last:
        raise ProofTooShort(f"{len(proof)} hashes for leaf {index} of {size}")
    if value != root:
        raise RootMismatch(f"leaf {index} of {size}")


def verify_consistency(
    *, old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Returns when ``proof`` shows the older tree to be the beginning of the newer one (RFC 9162, 2.1.4.2).

    Raises OutsideTree, TreeShrank, NotAHash, ProofTooShort, ProofTooLong, RootMismatch.
    """
    _check_sizes(old_size, new_size)
    _check_hashes(old_root, new_root, *proof)
    if old_size in (0, new_size):
        if proof:
            raise ProofTooLong("an empty or equal older tree needs no proof")
        if old_root != (new_root if old_size else EMPTY_ROOT) or (new_size == 0 and new_root != EMPTY_ROOT):
            raise RootMismatch(f"{old_size} to {new_size}")
        return
    # A power of two is itself a perfect subtree of the newer tree: the prover leaves it out.
    steps = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not steps:
        raise ProofTooShort(f"{old_size} to {new_size}")
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_value = new_value = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofTooLong(f"{old_size} to {new_size}")
        if at & 1 or at == last:
            old_value, new_value = node_hash(step, old_value), node_hash(step, new_value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new_value = node_hash(new_value, step)
        at, last = at >> 1, last >> 1
    if last:
        raise ProofTooShort(f"{old_size} to {new_size}")
    if old_value != old_root or new_value != new_root:
        raise RootMismatch(f"{old_size} to {new_size}")


def range_proof(first: int, end: int, size: int, read: Reader) -> tuple[list[bytes], list[bytes]]:
    """The hashes left and right of leaves ``first`` to ``end - 1``, with which these lead to the root of ``size``.

    One proof for a whole run of leaves: O(log n) hashes, and no leaf of the run can be left out. Raises OutsideTree.
    """
    left, right = _beside(first, end, size)
    return [read(*place) for place in left], [read(*place) for place in right]


def verify_range(
    leaves: Iterable[bytes],
    *,
    first: int,
    end: int,
    size: int,
    left: Sequence[bytes],
    right: Sequence[bytes],
    root: bytes,
) -> None:
    """Returns when ``leaves`` (hashes) are exactly leaves ``first`` to ``end - 1`` of the tree with ``root``.

    Raises OutsideTree, NotAHash, ProofTooShort, ProofTooLong, RootMismatch (a leaf missing, added, changed or moved).
    """
    before, after = _beside(first, end, size)
    for found, wanted in ((left, before), (right, after)):
        if len(found) != len(wanted):
            problem = ProofTooShort if len(found) < len(wanted) else ProofTooLong
            raise problem(f"{len(found)} hashes beside leaves {first} to {end} of {size}, not {len(wanted)}")
    _check_hashes(root, *left, *right)
    frontier = Frontier()
    for (level, _), value in zip(before, left, strict=True):
        frontier.append(value, level)
    for leaf in leaves:
        _check_hashes(leaf)
        if frontier.size == end:
            raise RootMismatch(f"more than {end - first} leaves from {first}")
        frontier.append(leaf)
    if frontier.size != end:
        raise RootMismatch(f"{frontier.size - first} leaves from {first}, not {end - first}")
    for (level, _), value in zip(after, right, strict=True):
        frontier.append(value, level)
    if frontier.root() != root:
        raise RootMismatch(f"leaves {first} to {end - 1} of {size}")


def _beside(first: int, end: int, size: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The largest perfect subtrees that make up the leaves before ``first``, and those from ``end`` on, in order."""
    if not 0 <= first <= end <= size:
        raise OutsideTree(f"leaves {first} to {end} of {size}")
    left: list[tuple[int, int]] = []
    right: list[tuple[int, int]] = []
    for found, at, stop in ((left, 0, first), (right, end, size)):
        while at < stop:
            level = (stop - at).bit_length() - 1
            if at:
                level = min(level, (at & -at).bit_length() - 1)
            found.append((level, at >> level))
            at += 1 << level
    return left, right


class Frontier:
    """The roots of the perfect subtrees of a growing tree, largest first: a whole log is rebuilt in O(log n) memory."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, value: bytes, level: int = 0) -> None:
        """Adds a leaf hash, or the root of a perfect subtree of ``2**level`` leaves where one can begin.

        Raises OutsideTree where none can.
        """
        if self.size & ((1 << level) - 1):
            raise OutsideTree(f"no subtree of level {level} begins at leaf {self.size}")
        for _ in completed_by(self.size >> level):
            value = node_hash(self._peaks.pop(), value)
        self._peaks.append(value)
        self.size += 1 << level

    def root(self) -> bytes:
        """The root hash of everything added so far."""
        if not self._peaks:
            return EMPTY_ROOT
        value = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            value = node_hash(peak, value)
        return value


def _split(width: int) -> int:
    """The largest power of two below ``width`` (which is at least 2)."""
    return 1 << (width - 1).bit_length() - 1


def _hash_of(start: int, width: int, read: Reader) -> bytes:
    """The hash of ``width`` leaves from ``start``, a place where the recursive split of RFC 9162 can land."""
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return read(level, start >> level)
    half = _split(width)
    return node_hash(_hash_of(start, half, read), _hash_of(start + half, width - half, read))


def _check_sizes(old_size: int, new_size: int) -> None:
    if old_size < 0 or new_size < 0:
        raise OutsideTree(f"{old_size} to {new_size}")
    if old_size > new_size:
        raise TreeShrank(f"{old_size} to {new_size}")


def _check_hashes(*values: bytes) -> None:
    if any(len(value) != HASH_SIZE for value in values):
        raise NotAHash("a hash is 32 bytes long")
