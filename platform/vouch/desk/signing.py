"""The desk's export as a signed document, checked with nothing but the provenance key (`vouch verify-export`)."""

from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from foundation.audit import canonical

CONTEXT: Final = b"vouch desk export v1\n"
"""Stands before the document when it is signed: the key also signs reports, and neither passes for the other."""
ALGORITHM: Final = "Ed25519"
MAX_BYTES: Final = 64 * 1024 * 1024


class BadExport(ValueError):
    """The file is no export that this key signed."""


def signed(statement: dict[str, Any], private_key: bytes) -> dict[str, Any]:
    """``{"statement", "signature", "algorithm", "public_key"}`` under an Ed25519 key (32 raw bytes)."""
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    return {
        "statement": statement,
        "signature": key.sign(CONTEXT + canonical.encode(statement)).hex(),
        "algorithm": ALGORITHM,
        "public_key": key.public_key().public_bytes_raw().hex(),
    }


def verified(document: Any, public_key: bytes) -> dict[str, Any]:
    """The statement that ``public_key`` (32 raw bytes) signed. Raises BadExport."""
    try:
        if document["algorithm"] != ALGORITHM:
            raise BadExport(f"the export is not signed with {ALGORITHM}")
        statement = dict(document["statement"])
        message = CONTEXT + canonical.encode(statement)
        Ed25519PublicKey.from_public_bytes(public_key).verify(bytes.fromhex(document["signature"]), message)
    except (InvalidSignature, KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadExport("the export is not one that this key signed") from error
    return statement
