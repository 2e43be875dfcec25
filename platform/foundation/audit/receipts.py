"""What a person keeps: one leaf, its place in the tree, and the log's signature. Checked offline by ``verify``."""

import base64
from collections.abc import Sequence
from typing import Any, Final

from foundation.audit import checkpoints, tree
from foundation.audit.errors import NoSuchLeaf
from foundation.audit.models import Leaf
from foundation.audit.verify import RECEIPT_VERSION

BATCH: Final = 100
"""Leaves whose proofs are read together."""


def together(indices: Sequence[int]) -> tuple[str, dict[int, dict[str, Any]]]:
    """Many committed leaves under one checkpoint: its note without cosignatures, and for each index
    ``{"index", "body", "proof"}``, which with the note make a receipt. Raises as ``receipt``.
    """
    checkpoint = checkpoints.covering(max(indices, default=-1))
    found: dict[int, dict[str, Any]] = {}
    wanted = sorted(set(indices))
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        bodies = dict(Leaf.objects.filter(index__in=batch).values_list("index", "body"))
        if len(bodies) != len(batch):
            raise NoSuchLeaf
        for index, proof in zip(batch, tree.inclusion_proofs(batch, checkpoint.size), strict=True):
            steps = [base64.b64encode(step).decode() for step in proof]
            found[index] = {"index": index, "body": bytes(bodies[index]).decode(), "proof": steps}
    return checkpoint.note, found


def receipt(leaf_index: int) -> dict[str, Any]:
    """The receipt of a committed leaf, JSON-safe. Signs a checkpoint when none has the leaf yet.

    Ask for it after the act's transaction, never inside: a receipt for a leaf that is then rolled back would be a
    signed lie. Raises NoSuchLeaf, RuntimeError (inside a transaction that could still roll the leaf back).
    """
    leaf = Leaf.objects.filter(index=leaf_index).first()
    if leaf is None:
        raise NoSuchLeaf
    checkpoint = checkpoints.covering(leaf_index)
    return {
        "v": RECEIPT_VERSION,
        "leaf": {"index": leaf.index, "body": bytes(leaf.body).decode()},
        "proof": [base64.b64encode(step).decode() for step in tree.inclusion_proof(leaf.index, checkpoint.size)],
        "checkpoint": checkpoints.cosigned(checkpoint),
    }
