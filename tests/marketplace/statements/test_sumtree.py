"""The sum tree: any leaf's proof leads to the root and its total, and nothing else does."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.statements.sumtree import MAX_LEAF, MAX_SUM, Builder, Node, SumProblem, join, leaf, proof, verify

LEAVES = st.lists(st.tuples(st.binary(max_size=4), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40)


@given(LEAVES, st.data())
def test_every_leaf_is_proven_and_the_total_is_the_sum(leaves, data):
    builder = Builder(2)
    for body, one, two in leaves:
        builder.add(body, (one, two))
    root, nodes = builder.root(), [leaf(body, (one, two)) for body, one, two in leaves]
    assert root.sums == (sum(one for _, one, _ in leaves), sum(two for _, _, two in leaves))
    index = data.draw(st.integers(0, len(nodes) - 1))
    steps = proof(nodes, index)
    verify(nodes[index], index, len(nodes), steps, root)
    more = replace(nodes[index], sums=(nodes[index].sums[0] + 1, nodes[index].sums[1]))
    less_total = replace(root, sums=(root.sums[0], max(root.sums[1] - 1, 0) if root.sums[1] else 1))
    for found, to in ((more, root), (nodes[index], less_total)):
        with pytest.raises(SumProblem):
            verify(found, index, len(nodes), steps, to)
    for number, step in enumerate(steps):
        bent = replace(step, node=replace(step.node, sums=(step.node.sums[0] + 1, step.node.sums[1])))
        with pytest.raises(SumProblem):
            verify(nodes[index], index, len(nodes), [*steps[:number], bent, *steps[number + 1 :]], root)
    with pytest.raises(SumProblem):
        verify(nodes[index], index, len(nodes) + len(nodes), steps, root)


def test_a_sum_does_not_wrap_around_and_is_never_negative():
    builder = Builder(1)
    builder.add(b"a", (MAX_LEAF,))
    with pytest.raises(SumProblem):
        builder.add(b"b", (MAX_LEAF + 1,))
    with pytest.raises(SumProblem):
        leaf(b"c", (-1,))
    with pytest.raises(SumProblem):
        join(Node(bytes(32), (MAX_SUM,)), leaf(b"b", (1,)))


def test_shapes_that_cannot_be_are_refused():
    nodes = [leaf(b"a", (1,)), leaf(b"b", (2,))]
    with pytest.raises(SumProblem):
        join(nodes[0], leaf(b"x", (1, 2)))
    with pytest.raises(SumProblem):
        Builder(0)
    with pytest.raises(SumProblem):
        Builder(2).add(b"a", (1,))
    for index in (-1, 2):
        with pytest.raises(SumProblem):
            proof(nodes, index)
        with pytest.raises(SumProblem):
            verify(nodes[0], index, 2, [], Node(b"", (0,)))


def test_a_leaf_does_not_pass_for_a_node():
    """The bytes of an inner node, offered as a leaf's data, hash to something else."""
    left, right = leaf(b"a", (1,)), leaf(b"b", (2,))
    inner = left.hash + (1).to_bytes(8) + right.hash + (2).to_bytes(8)
    assert leaf(inner, (3,)).hash != join(left, right).hash
