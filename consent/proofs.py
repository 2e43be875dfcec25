"""Checking a consent receipt with nothing but the log's public key: no server, no database, no Django. Pure."""

from typing import Any, Final

from consent import compact
from consent.errors import ConsentInvalid
from foundation.audit import canonical
from foundation.audit.verify import MAX_RECEIPT, InvalidReceipt, load_receipt, verify_receipt

KIND: Final = "vouch-consent-receipt-2"
_KEYS: Final = {"kind", "statement", "signature", "receipt", "public_key"}


class ReceiptInvalid(ConsentInvalid):
    """This receipt proves nothing."""

    code = "receipt_invalid"


def verify(receipt: dict[str, Any], public_key: bytes) -> dict[str, Any]:
    """The statement of a receipt that holds under ``public_key`` (32 raw bytes).

    It holds when the log has an entry for exactly this statement and the log's key signed its compact form. The
    ``public_key`` written in the receipt itself is for finding one's way and is not believed. Raises ReceiptInvalid.
    """
    try:
        if receipt.keys() != _KEYS or receipt["kind"] != KIND:
            raise ReceiptInvalid("Not a consent receipt of this version.")
        statement = receipt["statement"]
        leaf = verify_receipt(receipt["receipt"], public_key)
        same = (
            leaf.kind == "consent.given"
            and leaf.subject == f"consent:{statement['id']}"
            and leaf.rehearsal is statement["rehearsal"]
            and leaf.data["statement"] == compact.statement_digest(statement)
        )
        if not same:
            raise ReceiptInvalid("The logged entry says something else.")
        compact.verify_signature(compact.of(statement, leaf.index), bytes.fromhex(receipt["signature"]), public_key)
    except (InvalidReceipt, canonical.NotCanonical, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReceiptInvalid(str(error)) from error
    return dict(statement)


def described(data: bytes, public_key: bytes) -> str | None:
    """One line on what a consent receipt in a file proves: JSON, or the text of its QR code. None: it is neither.

    Raises ReceiptInvalid for one that proves nothing.
    """
    if data.startswith(compact.PREFIX.encode()) and len(data) <= compact.MAX_TEXT:
        try:
            found = compact.verify(data.decode("ascii"), public_key)
        except (compact.CompactInvalid, UnicodeDecodeError) as error:
            raise ReceiptInvalid(str(error)) from error
        return _line(found, "signed by the log's key; the JSON receipt also proves its entry")
    if len(data) > MAX_RECEIPT:
        return None
    try:
        receipt = load_receipt(data)
    except InvalidReceipt:
        return None
    if not str(receipt.get("kind", "")).startswith("vouch-consent-receipt-"):
        return None
    statement = verify(receipt, public_key)
    leaf = verify_receipt(receipt["receipt"], public_key)
    return _line(compact.of(statement, leaf.index), f"signed, and in the log {leaf.origin}")


def key_line(public_key: bytes) -> str:
    """The public key as people compare it: hexadecimal in groups of eight digits."""
    digits = public_key.hex()
    return " ".join(digits[start : start + 8] for start in range(0, len(digits), 8))


def _line(found: compact.Compact, proof: str) -> str:
    note = " (REHEARSAL)" if found.rehearsal else ""
    return (
        f"consent {found.consent_id}{note}, entry {found.leaf_index}, {found.given_at.isoformat()} to "
        f"{found.valid_until.isoformat()}, {', '.join(found.uses)}, {'/'.join(found.languages)}, {found.territory}: "
        f"{proof}. Whether it was withdrawn since, only the platform can say"
    )
