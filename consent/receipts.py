"""The receipt a speaker keeps: what was agreed, and the log's proof that it was written down. Checked offline.

``issue`` makes it from the database; `consent.proofs` checks it with nothing but the log's public key. It has three
forms: JSON (the whole proof), the compact text of a QR code (the platform's signature), and a page to print with both
what was agreed and the code.
"""

from typing import Any

from consent import compact, proofs, statements
from consent.models import Consent
from consent.proofs import KIND, ReceiptInvalid, verify
from foundation import keys
from foundation.audit import receipts

__all__ = ["KIND", "ReceiptInvalid", "compact_text", "issue", "page", "verify"]


def issue(consent: Consent) -> dict[str, Any]:
    """The receipt. Outside a transaction only: the log may have to sign a checkpoint for it."""
    return {
        "kind": KIND,
        "statement": consent.statement,
        "signature": _signature(consent),
        "receipt": receipts.receipt(consent.leaf_index),
        "public_key": keys.public_key("log").hex(),
    }


def compact_text(consent: Consent) -> str:
    """What the QR code carries: 270 characters or so."""
    return compact.text(compact.of(consent.statement, consent.leaf_index), bytes.fromhex(_signature(consent)))


def page(consent: Consent, language: str) -> bytes:
    """One page (PDF) for people, in ``en`` or ``zh``, with the QR code."""
    from consent import receipt_page

    return receipt_page.render(
        consent.statement, compact_text(consent), proofs.key_line(keys.public_key("log")), consent.leaf_index, language
    )


def _signature(consent: Consent) -> str:
    """Kept with the record; made anew for a record from before records were signed (Ed25519 has one answer)."""
    return consent.signature or statements.sign(consent.statement, consent.leaf_index)
