"""Signing the log's size and root."""

from django.conf import settings
from django.db import transaction

from foundation import keys
from foundation.audit import notes, tree
from foundation.audit.models import Checkpoint


def make() -> Checkpoint:
    """The checkpoint of the log as it is committed now; an existing one of this size is returned as it is.

    Never inside a transaction that may still be rolled back: the signature would outlive the leaf and the next leaf at
    that index would make two signed histories. Raises RuntimeError there (Django's durable block), keys.KeyTrouble.
    """
    with transaction.atomic(durable=True):
        size = tree.size()
        found = Checkpoint.objects.filter(size=size).first()
        if found is not None:
            return found
        root = tree.root(size)
        stated = notes.SignedCheckpoint(origin=settings.VOUCH_LOG_ORIGIN, size=size, root=root)
        note = notes.sign(stated, keys.private_key("log"))
        # Two at once sign the same text, and Ed25519 gives the same signature: whoever comes second reads the first's.
        return Checkpoint.objects.get_or_create(size=size, defaults={"root": root, "note": note})[0]


def latest() -> Checkpoint | None:
    """The newest checkpoint, or None before the first."""
    return Checkpoint.objects.order_by("-size").first()


def cosigned(checkpoint: Checkpoint) -> str:
    """The checkpoint's note with the signature lines of its witnesses under the log's own."""
    lines = checkpoint.cosignatures.order_by("witness").values_list("line", flat=True)
    return checkpoint.note + "".join(lines)


def covering(leaf_index: int) -> Checkpoint:
    """The newest checkpoint that has the leaf; makes one when none has. Raises as ``make``."""
    found = latest()
    return found if found is not None and found.size > leaf_index else make()
