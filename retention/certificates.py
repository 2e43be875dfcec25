"""Deletion certificates: a signed statement that a recording's key is gone, checkable without asking us.

``issue`` makes one from the database, a look into the key store and a look into storage; ``proofs.verify`` needs only
the certificate and the log's public key.
"""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from foundation import keys
from foundation.audit import canonical, receipts
from foundation.audit.models import Leaf
from foundation.clock import now
from foundation.vault import keystore, storage
from foundation.vault.models import KeyState, VaultKey
from retention.errors import NotDestroyed, NotErased
from retention.models import CustodyItem, CustodyState, HoldState
from retention.proofs import DERIVED_LIMIT, KIND, LIMITS, PREFIX, CertificateInvalid, verify

__all__ = ["CertificateInvalid", "issue", "verify"]


def issue(item: CustodyItem) -> dict[str, Any]:
    """The certificate of a destroyed item: what, when and why, what was found now, and the log's receipts.

    Outside a transaction only (the receipts may need a fresh signed checkpoint). Raises NotDestroyed, NotErased (the
    key store has not let go of the key yet), StorageDown.
    """
    row = CustodyItem.objects.select_related("key").get(id=item.id)
    if row.state != CustodyState.DESTROYED or row.destroyed_at is None or row.destroyed_leaf is None:
        raise NotDestroyed
    key, ended = row.key, row.key.state == KeyState.DESTROYED
    erased = _erasure_leaf(key) if ended else None
    statement = {
        "kind": KIND,
        "item": str(row.id),
        "purpose": row.purpose,
        "what": row.kind,
        "derived_from": str(row.parent_id) if row.parent_id else None,
        "commitment": {"sha256_of_salt_and_bytes": row.commitment, "salt": bytes(row.salt).hex()},
        "size": row.size,
        "received_at": row.received_at.isoformat(),
        "deadline": row.deadline.isoformat(),
        "destroyed_at": row.destroyed_at.isoformat(),
        "reason": row.destroyed_reason,
        "legal_holds": _holds(row),
        "key": {
            "id": str(key.id),
            "state": key.state,
            "destroyed_at": key.destroyed_at.isoformat() if key.destroyed_at else None,
            "erased_at": key.erased_at.isoformat(timespec="microseconds") if key.erased_at else None,
            "epoch_before": key.epoch_before,
            "epoch_after": key.epoch_after,
        },
        "keystore": {"epoch": keystore.current().epoch(), "holds_key": keystore.current().holds(key.id)},
        "storage": [_probe(part.sealed) for part in row.parts.select_related("sealed")],
        "issued_at": now().isoformat(),
        "leaf": row.destroyed_leaf,
        "does_not_prove": [*LIMITS, *([] if ended else [DERIVED_LIMIT])],
    }
    signature = Ed25519PrivateKey.from_private_bytes(keys.private_key("log")).sign(PREFIX + canonical.encode(statement))
    return {
        "statement": statement,
        "signature": signature.hex(),
        "public_key": keys.public_key("log").hex(),
        "receipt": receipts.receipt(row.destroyed_leaf),
        "erasure": None if erased is None else receipts.receipt(erased),
    }


def _erasure_leaf(key: VaultKey) -> int:
    """Where the log says that the key store let go of this key. Raises NotErased."""
    if key.erased_at is None:
        raise NotErased
    subject = f"key:{key.id}"
    later = Leaf.objects.filter(kind="key.erased", created_at__gte=key.erased_at).order_by("index")
    for leaf in later.iterator(chunk_size=200):
        if canonical.decode(bytes(leaf.body))["subject"] == subject:
            return leaf.index
    raise NotErased


def _probe(sealed: Any) -> dict[str, Any]:
    found = storage.current().probe(sealed.location)
    return {
        "object": str(sealed.id),
        "ciphertext_sha256": sealed.ciphertext_sha256,
        "present": found.present,
        "versions": found.versions,
        "deleted_at": sealed.file_deleted_at.isoformat() if sealed.file_deleted_at else None,
    }


def _holds(row: CustodyItem) -> list[dict[str, Any]]:
    """The holds that put the destruction off, of the item or of what it was derived from."""
    root = row
    while root.parent is not None:
        root = root.parent
    ended = root.holds.filter(state=HoldState.ENDED, approved_at__isnull=False).order_by("approved_at")
    return [
        {
            "id": str(hold.id),
            "approved_at": hold.approved_at.isoformat() if hold.approved_at else None,
            "ended_at": hold.ended_at.isoformat() if hold.ended_at else None,
        }
        for hold in ended
    ]
