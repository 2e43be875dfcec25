"""Deletion certificates: a signed statement that a recording's key is gone, checkable without asking us.

``issue`` makes one from the database; ``verify`` needs only the certificate and the log's public key.
"""

from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from foundation import keys
from foundation.audit import canonical, receipts
from foundation.audit.verify import VerifiedLeaf, verify_receipt
from foundation.clock import now
from foundation.errors import VouchError
from foundation.vault import storage
from retention.errors import NotDestroyed
from retention.models import CustodyItem, CustodyState

PREFIX: Final = b"vouch deletion certificate v1\n"
"""Signed in front of the statement, so that no signature of the log can be taken for one of a certificate."""
KIND: Final = "vouch-deletion-certificate-1"
LIMITS: Final = (
    "It does not prove that nobody copied the recording, or its key, before the destruction.",
    "It does not prove what backups of the key store hold that were made before the destruction.",
    "The storage was looked at where Vouch keeps its files, and nowhere else.",
)
"""What a certificate does not prove stands in every certificate."""


class CertificateInvalid(VouchError):
    """This is not a certificate that holds."""

    code = "certificate_invalid"


def issue(item: CustodyItem) -> dict[str, Any]:
    """The certificate of a destroyed item: what, when and why, what storage shows now, and the log's receipt.

    Outside a transaction only (the receipt may need a fresh signed checkpoint). Raises NotDestroyed.
    """
    row = CustodyItem.objects.select_related("key").get(id=item.id)
    if row.state != CustodyState.DESTROYED or row.destroyed_at is None or row.destroyed_leaf is None:
        raise NotDestroyed
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
        "key": {
            "id": str(row.key_id),
            "state": row.key.state,
            "destroyed_at": row.key.destroyed_at.isoformat() if row.key.destroyed_at else None,
        },
        "storage": [
            {"object": str(part.sealed_id), "present": storage.current().exists(part.sealed.location)}
            for part in row.parts.select_related("sealed")
        ],
        "issued_at": now().isoformat(),
        "leaf": row.destroyed_leaf,
        "does_not_prove": list(LIMITS),
    }
    signature = Ed25519PrivateKey.from_private_bytes(keys.private_key("log")).sign(PREFIX + canonical.encode(statement))
    return {
        "statement": statement,
        "signature": signature.hex(),
        "public_key": keys.public_key("log").hex(),
        "receipt": receipts.receipt(row.destroyed_leaf),
    }


def verify(certificate: dict[str, Any], public_key: bytes) -> dict[str, Any]:
    """The statement of a certificate that holds under ``public_key`` (32 raw bytes). No database, no network.

    Checks the signature, the log receipt, and that the logged leaf says the same. Raises CertificateInvalid, and what
    ``verify_receipt`` raises.
    """
    try:
        statement = certificate["statement"]
        signature = bytes.fromhex(certificate["signature"])
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, PREFIX + canonical.encode(statement))
        return _agree(statement, verify_receipt(certificate["receipt"], public_key))
    except (InvalidSignature, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CertificateInvalid from error


def _agree(statement: dict[str, Any], leaf: VerifiedLeaf) -> dict[str, Any]:
    """The signed statement and the logged event must tell the same story, and it must be one of destruction."""
    same = (
        statement.get("kind") == KIND
        and leaf.kind == "custody.destroyed"
        and leaf.subject == f"custody:{statement.get('item')}"
        and leaf.index == statement.get("leaf")
        and leaf.data.get("commitment") == statement["commitment"]["sha256_of_salt_and_bytes"]
        and all(leaf.data.get(key) == statement.get(key) for key in ("purpose", "reason", "deadline", "destroyed_at"))
        and leaf.data.get("key") == statement["key"]["id"]
    )
    if not same:
        raise CertificateInvalid("The logged entry says something else.")
    return dict(statement)
