"""The receipt a speaker keeps: what was agreed, and the log's proof that it was written down. Checked offline.

``issue`` makes it from the database; ``verify`` needs only the receipt and the log's public key.
"""

from typing import Any, Final

from consent.errors import ConsentInvalid
from consent.models import Consent
from consent.services import statement_digest
from foundation import keys
from foundation.audit import canonical, receipts
from foundation.audit.verify import InvalidReceipt, verify_receipt

KIND: Final = "vouch-consent-receipt-1"


class ReceiptInvalid(ConsentInvalid):
    """This receipt proves nothing."""

    code = "receipt_invalid"


def issue(consent: Consent) -> dict[str, Any]:
    """The receipt. Outside a transaction only: the log may have to sign a checkpoint for it."""
    return {
        "kind": KIND,
        "statement": consent.statement,
        "receipt": receipts.receipt(consent.leaf_index),
        "public_key": keys.public_key("log").hex(),
    }


def verify(receipt: dict[str, Any], public_key: bytes) -> dict[str, Any]:
    """The statement of a receipt that holds under ``public_key`` (32 raw bytes). No database, no network.

    Raises ReceiptInvalid.
    """
    try:
        statement = receipt["statement"]
        leaf = verify_receipt(receipt["receipt"], public_key)
        same = (
            receipt["kind"] == KIND
            and leaf.kind == "consent.given"
            and leaf.subject == f"consent:{statement['id']}"
            and leaf.rehearsal is statement["rehearsal"]
            and leaf.data["statement"] == statement_digest(statement)
        )
    except (InvalidReceipt, canonical.NotCanonical, KeyError, TypeError, ValueError) as error:
        raise ReceiptInvalid(str(error)) from error
    if not same:
        raise ReceiptInvalid("The logged entry says something else.")
    return dict(statement)
