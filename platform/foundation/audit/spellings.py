"""A receipt as a C2SP tlog-proof (c2sp.org/tlog-proof), which any verifier of transparency logs reads. Pure.

The record that the proof is about, the leaf's bytes, stands in the ``extra`` line: so the file needs nothing beside it.
"""

import base64
import re
from typing import Any, Final

from foundation.audit.verify import MAX_PROOF, MAX_RECEIPT, RECEIPT_VERSION, InvalidReceipt

HEADER: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")


def to_tlog_proof(receipt: dict[str, Any]) -> str:
    """The text of a receipt (``receipts.receipt``)."""
    leaf = receipt["leaf"]
    extra = base64.b64encode(leaf["body"].encode()).decode()
    lines = [HEADER, f"extra {extra}", f"index {leaf['index']}", *receipt["proof"]]
    return "\n".join(lines) + "\n\n" + str(receipt["checkpoint"])


def from_tlog_proof(data: bytes) -> dict[str, Any]:
    """The receipt in a tlog-proof of this log; ``verify_receipt`` says whether it holds. Raises InvalidReceipt."""
    if len(data) > MAX_RECEIPT:
        raise InvalidReceipt("too large")
    try:
        head, blank, note = data.decode().partition("\n\n")
        header, extra, index, *proof = head.split("\n")
        number = _INDEX.fullmatch(index)
        encoded = extra.removeprefix("extra ")
        body = base64.b64decode(encoded, validate=True)
        if header != HEADER or number is None or not blank or len(proof) > MAX_PROOF:
            raise InvalidReceipt("not a tlog-proof")
        if extra == encoded or base64.b64encode(body).decode() != encoded:
            raise InvalidReceipt("the extra line is not the base64 of a leaf")
        leaf = {"index": int(number[1]), "body": body.decode()}
    except ValueError as error:
        raise error if isinstance(error, InvalidReceipt) else InvalidReceipt("not a tlog-proof") from error
    return {"v": RECEIPT_VERSION, "leaf": leaf, "proof": proof, "checkpoint": note}
