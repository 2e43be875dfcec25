"""Signing and checking a detection report with nothing but a key: no server, no database, no Django. Pure."""

from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from foundation.audit import canonical

ALGORITHM: Final = "Ed25519"
CONTEXT: Final = b"vouch detection report v1\n"
"""Stands before the statement when it is signed: the key also signs provenance, and neither passes for the other."""
MAX_BYTES: Final = 1024 * 1024
"""Largest report that is read."""


class BadReport(ValueError):
    """The report is not one, or its signature does not fit."""


def signed(statement: dict[str, Any], private_key: bytes) -> dict[str, Any]:
    """``{"statement", "signature", "algorithm", "public_key"}`` under an Ed25519 key (32 raw bytes)."""
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    return {
        "statement": statement,
        "signature": key.sign(CONTEXT + canonical.encode(statement)).hex(),
        "algorithm": ALGORITHM,
        "public_key": key.public_key().public_bytes_raw().hex(),
    }


def verified(report: Any, public_key: bytes) -> dict[str, Any]:
    """The statement of a report that ``public_key`` (32 raw bytes) signed; the key written in it is not believed.

    Raises BadReport.
    """
    try:
        if report["algorithm"] != ALGORITHM:
            raise BadReport(f"the report is not signed with {ALGORITHM}")
        statement = dict(report["statement"])
        message = CONTEXT + canonical.encode(statement)
        Ed25519PublicKey.from_public_bytes(public_key).verify(bytes.fromhex(report["signature"]), message)
    except (InvalidSignature, KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadReport("the report is not one that this key signed") from error
    return statement
