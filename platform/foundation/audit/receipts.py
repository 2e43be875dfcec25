"""What a person keeps: one leaf, its place in the tree, and the log's signature. Checked offline by ``verify``."""

import base64
from typing import Any

from foundation.audit import checkpoints, tree
from foundation.audit.errors import NoSuchLeaf
from foundation.audit.models import Leaf
from foundation.audit.verify import RECEIPT_VERSION


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
