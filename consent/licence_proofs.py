"""A licence both parties can prove: the statement, the platform's signature, the log's entry. Checked offline. Pure."""

from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consent import compact
from consent.proofs import ReceiptInvalid
from foundation.audit import canonical
from foundation.audit.verify import MAX_RECEIPT, InvalidReceipt, load_receipt, verify_receipt

STATEMENT: Final = "vouch-licence-1"
KIND: Final = "vouch-licence-receipt-1"
CONTEXT: Final = b"vouch licence v1\n"
_KEYS: Final = {"kind", "statement", "signature", "receipt", "public_key"}


def sign(statement: dict[str, Any], leaf_index: int, private_key: bytes) -> bytes:
    """64 bytes of Ed25519 over the statement's SHA-256 and its place in the log. Raises canonical.NotCanonical."""
    return Ed25519PrivateKey.from_private_bytes(private_key).sign(_message(statement, leaf_index))


def verify(receipt: dict[str, Any], public_key: bytes) -> dict[str, Any]:
    """The statement of a licence receipt that holds under ``public_key`` (32 raw bytes). Raises ReceiptInvalid.

    It holds when the log has an entry that grants exactly this, and the log's key signed it. That the licence has not
    ended since only the platform can say.
    """
    try:
        if receipt.keys() != _KEYS or receipt["kind"] != KIND or receipt["statement"]["kind"] != STATEMENT:
            raise ReceiptInvalid("Not a licence receipt of this version.")
        statement = receipt["statement"]
        leaf = verify_receipt(receipt["receipt"], public_key)
        same = (
            leaf.kind == "licence.granted"
            and leaf.subject == f"licence:{statement['id']}"
            and leaf.rehearsal is statement["rehearsal"]
            and leaf.data["statement"] == compact.statement_digest(statement)
            and leaf.data["scope"] == statement["scope"]
            and leaf.data["text_sha256"] == statement["text"]["sha256"]
        )
        if not same:
            raise ReceiptInvalid("The logged entry says something else.")
        signature, message = bytes.fromhex(receipt["signature"]), _message(statement, leaf.index)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature as error:
        raise ReceiptInvalid("the signature does not verify") from error
    except (InvalidReceipt, canonical.NotCanonical, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReceiptInvalid(str(error)) from error
    return dict(statement)


def described(data: bytes, public_key: bytes) -> str | None:
    """One line on what a licence receipt in a file proves; None: it is none. Raises ReceiptInvalid."""
    if len(data) > MAX_RECEIPT:
        return None
    try:
        receipt = load_receipt(data)
    except InvalidReceipt:
        return None
    if not str(receipt.get("kind", "")).startswith("vouch-licence-receipt-"):
        return None
    statement = verify(receipt, public_key)
    leaf = verify_receipt(receipt["receipt"], public_key)
    note = " (REHEARSAL)" if statement["rehearsal"] else ""
    signed = [side for side, act in statement["signatures"].items() if act is not None]
    return (
        f"licence {statement['id']}{note}, {statement['text']['id']}, entry {leaf.index}, {statement['characters']} "
        f"characters until {statement['valid_until']}, signed by {' and '.join(signed) or 'nobody but the platform'}, "
        f"in the log {leaf.origin}. Whether it has ended since, only the platform can say"
    )


def _message(statement: dict[str, Any], leaf_index: int) -> bytes:
    return CONTEXT + f"{leaf_index}\n{compact.statement_digest(statement)}\n".encode()
