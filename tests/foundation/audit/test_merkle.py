"""The tree against an independent implementation (pymerkle), against itself, and against bent proofs."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from foundation.audit import merkle

SIZES = range(0, 34)


def entries(size: int) -> list[bytes]:
    return [f"leaf {number}".encode() for number in range(size)]


class Stored:
    """All complete perfect subtrees, filled the way the log fills its tables."""

    def __init__(self, data: list[bytes]) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        for index, entry in enumerate(data):
            value = self.nodes[0, index] = merkle.leaf_hash(entry)
            for level, position in merkle.completed_by(index):
                value = merkle.node_hash(self.nodes[level - 1, 2 * position], value)
                self.nodes[level, position] = value

    def read(self, level: int, position: int) -> bytes:
        return self.nodes[level, position]


def by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + by_definition(leaves[:split]) + by_definition(leaves[split:])).digest()


@pytest.mark.parametrize("size", SIZES)
def test_root_is_the_one_of_the_definition_and_of_pymerkle(size: int) -> None:
    data = entries(size)
    root = merkle.root(size, Stored(data).read)
    assert root == by_definition(data)
    if size:
        assert root == InmemoryTree.init_from_entries(data, algorithm="sha256").get_root(size)


@pytest.mark.parametrize("size", SIZES)
def test_frontier_rebuilds_every_root_on_the_way(size: int) -> None:
    data, frontier = entries(size), merkle.Frontier()
    for count, entry in enumerate(data):
        assert frontier.root() == by_definition(data[:count])
        frontier.append(merkle.leaf_hash(entry))
    assert frontier.root() == by_definition(data)
    assert frontier.size == size


def test_every_inclusion_proof_is_pymerkles_and_verifies() -> None:
    for size in range(1, 20):
        data = entries(size)
        read, other = Stored(data).read, InmemoryTree.init_from_entries(data, algorithm="sha256")
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, read)
            leaf = merkle.leaf_hash(data[index])
            # pymerkle counts from one and puts the leaf itself in front, in tree order: compare as sets, and by root.
            assert {leaf, *proof} == set(other.prove_inclusion(index + 1, size).path)
            merkle.verify_inclusion(leaf=leaf, index=index, size=size, proof=proof, root=merkle.root(size, read))


def test_every_consistency_proof_verifies_and_leads_to_pymerkles_states() -> None:
    data = entries(20)
    read, other = Stored(data).read, InmemoryTree.init_from_entries(data, algorithm="sha256")
    for new_size in range(1, 21):
        for old_size in range(0, new_size + 1):
            old_root = other.get_root(old_size) if old_size else merkle.EMPTY_ROOT
            proof = merkle.consistency_proof(old_size, new_size, read)
            merkle.verify_consistency(
                old_size=old_size, new_size=new_size, old_root=old_root, new_root=other.get_root(new_size), proof=proof
            )


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
@settings(max_examples=60, deadline=None)
def test_a_bent_inclusion_proof_never_verifies(data: list[bytes], draw: st.DataObject) -> None:
    size = len(data)
    read = Stored(data).read
    index = draw.draw(st.integers(0, size - 1))
    proof, root, leaf = (
        merkle.inclusion_proof(index, size, read),
        merkle.root(size, read),
        merkle.leaf_hash(data[index]),
    )
    bent = [[*proof, root], [root, *proof], proof[1:] if proof else [root], proof[:-1] if proof else [root]]
    for position in range(len(proof)):
        flipped = bytes([proof[position][0] ^ 1]) + proof[position][1:]
        bent.append([*proof[:position], flipped, *proof[position + 1 :]])
    for other in bent:
        with pytest.raises(merkle.MerkleError):
            merkle.verify_inclusion(leaf=leaf, index=index, size=size, proof=other, root=root)
    elsewhere = draw.draw(st.integers(0, size - 1))
    if elsewhere != index and data[elsewhere] != data[index]:
        with pytest.raises(merkle.MerkleError):
            merkle.verify_inclusion(leaf=leaf, index=elsewhere, size=size, proof=proof, root=root)


@given(st.integers(1, 40), st.data())
@settings(max_examples=60, deadline=None)
def test_a_changed_past_is_never_consistent(new_size: int, draw: st.DataObject) -> None:
    old_size = draw.draw(st.integers(1, new_size))
    changed = draw.draw(st.integers(0, old_size - 1))
    data = entries(new_size)
    rewritten = [*data[:changed], b"rewritten", *data[changed + 1 :]]
    read, other = Stored(data).read, Stored(rewritten).read
    with pytest.raises(merkle.MerkleError):
        merkle.verify_consistency(
            old_size=old_size,
            new_size=new_size,
            old_root=merkle.root(old_size, read),
            new_root=merkle.root(new_size, other),
            proof=merkle.consistency_proof(old_size, new_size, other),
        )


def test_each_edge_has_its_own_error() -> None:
    data = entries(5)
    read = Stored(data).read
    root, leaf = merkle.root(5, read), merkle.leaf_hash(data[2])
    proof = merkle.inclusion_proof(2, 5, read)

    def include(**changes: object) -> None:
        merkle.verify_inclusion(**{"leaf": leaf, "index": 2, "size": 5, "proof": proof, "root": root} | changes)  # type: ignore[arg-type]

    def grow(**changes: object) -> None:
        fine = {"old_size": 3, "new_size": 5, "old_root": merkle.root(3, read), "new_root": root}
        merkle.verify_consistency(**fine | {"proof": merkle.consistency_proof(3, 5, read)} | changes)  # type: ignore[arg-type]

    include()
    grow()
    with pytest.raises(merkle.OutsideTree):
        include(index=5)
    with pytest.raises(merkle.OutsideTree):
        include(index=-1)
    with pytest.raises(merkle.OutsideTree):
        include(size=0)
    with pytest.raises(merkle.NotAHash):
        include(leaf=b"short")
    with pytest.raises(merkle.NotAHash):
        include(proof=[*proof[:-1], b"x" * 33])
    with pytest.raises(merkle.ProofTooShort):
        include(proof=proof[:-1])
    with pytest.raises(merkle.ProofTooLong):
        include(proof=[*proof, root])
    with pytest.raises(merkle.RootMismatch):
        include(root=leaf)
    with pytest.raises(merkle.TreeShrank):
        grow(old_size=6)
    with pytest.raises(merkle.OutsideTree):
        grow(old_size=-1)
    with pytest.raises(merkle.ProofTooShort):
        grow(proof=[])
    with pytest.raises(merkle.ProofTooLong):
        grow(old_size=0, old_root=merkle.EMPTY_ROOT)
    with pytest.raises(merkle.RootMismatch):
        grow(old_size=0, old_root=leaf, proof=[])
    with pytest.raises(merkle.RootMismatch):
        grow(old_size=5, old_root=leaf, proof=[])
    with pytest.raises(merkle.RootMismatch):
        grow(new_root=leaf)
    with pytest.raises(merkle.OutsideTree):
        merkle.inclusion_proof(5, 5, read)
    with pytest.raises(merkle.OutsideTree):
        merkle.root(-1, read)
    with pytest.raises(merkle.TreeShrank):
        merkle.consistency_proof(6, 5, read)


def test_a_run_of_leaves_leads_to_the_root_wherever_it_lies_and_no_bent_run_does() -> None:
    size = 21
    leaves = [merkle.leaf_hash(entry) for entry in entries(size)]
    read, whole = Stored(entries(size)).read, by_definition(entries(size))
    for first in range(size + 1):
        for end in range(first, size + 1):
            left, right = merkle.range_proof(first, end, size, read)

            def check(run: list[bytes], first: int = first, end: int = end, left: list[bytes] = left,
                      right: list[bytes] = right) -> None:  # fmt: skip
                merkle.verify_range(run, first=first, end=end, size=size, left=left, right=right, root=whole)

            run = leaves[first:end]
            check(run)
            bent = [[*run, leaves[0]]]
            if run:
                bent += [run[1:], run[:-1], [bytes(32), *run[1:]]]
            if len(run) > 1:
                bent.append([run[1], run[0], *run[2:]])
            for changed in bent:
                with pytest.raises(merkle.RootMismatch):
                    check(changed)
            with pytest.raises(merkle.ProofTooLong):
                check(run, left=[*left, bytes(32)])
            if right:
                with pytest.raises(merkle.ProofTooShort):
                    check(run, right=right[1:])
                with pytest.raises(merkle.RootMismatch):
                    check(run, right=[bytes(32), *right[1:]])
                with pytest.raises(merkle.NotAHash):
                    check(run, right=[b"", *right[1:]])
    with pytest.raises(merkle.OutsideTree):
        merkle.range_proof(5, 4, size, read)
    with pytest.raises(merkle.OutsideTree):
        merkle.range_proof(0, 22, size, read)
