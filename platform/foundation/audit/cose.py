"""A receipt as COSE: a SCITT Transparent Statement (RFC 9943) with an RFC 9162 receipt in it (RFC 9942).

The statement is a COSE_Sign1 of the log over the leaf's bytes; the receipt under label 394 proves, with an inclusion
proof and the log's signature over the root, that exactly these bytes are a leaf. The log is issuer of both. What is
signed starts with a CBOR array, so no signature here can be taken for one of a checkpoint, which is text, or back.
"""

from collections.abc import Mapping
from typing import Any, Final

import cbor2
import scitt_cose
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from scitt_cose import receipt as labels
from scitt_cose import statement
from scitt_cose.cose_sign1 import strict_decode

from foundation.audit import notes, verify
from foundation.audit.verify import InvalidReceipt, VerifiedLeaf

TYPE: Final = "application/json"
"""What the leaf's bytes are."""

TREE_SIZE: Final = "vouch.tree-size"
"""Signed header of the receipt. The size within the proof is signed by nobody, and several may lead to one root."""

FIRST_BYTE: Final = 0xD2
"""Tag 18 in CBOR: how a COSE file is told from a JSON one."""


def sign(receipt: dict[str, Any], private_key: bytes) -> bytes:
    """The COSE form of a verified JSON receipt, so only what a checkpoint covers. ``private_key``: the log's, 32 bytes.

    Raises InvalidReceipt.
    """
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    public = key.public_key().public_bytes_raw()
    leaf = verify.verify_receipt(receipt, public)
    checkpoint = notes.verify(receipt["checkpoint"], public)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    mark = notes.key_id(leaf.origin, public)
    proof = cbor2.dumps([leaf.size, leaf.index, [verify.step(one) for one in receipt["proof"]]])
    proven = scitt_cose.sign_sign1(
        checkpoint.root,
        alg="EdDSA",
        private_key_pem=pem,
        protected={
            labels.HDR_VDS: labels.VDS_RFC9162_SHA256,
            labels.HDR_KID: mark,
            TREE_SIZE: leaf.size,
            labels.HDR_CWT_CLAIMS: {labels.CWT_CLAIM_ISS: leaf.origin, labels.CWT_CLAIM_SUB: leaf.subject},
        },
        unprotected={labels.HDR_VDP: {labels.VDP_INCLUSION_PROOFS: [proof]}},
        detached=True,
    )
    stated = scitt_cose.build_signed_statement(
        receipt["leaf"]["body"].encode(),
        alg="EdDSA", private_key_pem=pem, issuer=leaf.origin, subject=leaf.subject, content_type=TYPE, kid=mark,
    )  # fmt: skip
    return scitt_cose.attach_receipts(stated, [proven])


def check(data: bytes, public_key: bytes, *, origin: str | None = None) -> VerifiedLeaf:
    """What a COSE receipt proves under the log's ``public_key`` (32 raw bytes); any change is found.

    Raises InvalidReceipt.
    """
    if len(data) > verify.MAX_RECEIPT:
        raise InvalidReceipt("too large")
    pem = Ed25519PublicKey.from_public_bytes(public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        stated = statement.parse_signed_statement(data, public_key_pem=pem)
        if stated["signature_verified"] is not True:
            raise InvalidReceipt("the statement is not signed by this key")
        attached = _only_receipt(data)
        proven = scitt_cose.verify_receipt(attached, leaf_entry_hex=stated["payload"].hex(), log_public_key_pem=pem)
        if not proven.ok:
            raise InvalidReceipt("; ".join(map(str, proven.errors)))
        if proven.protected_header_ext.get(TREE_SIZE) != proven.tree_size:
            raise InvalidReceipt("the proof is of a tree of another size than was signed")
        names = {stated["issuer"], proven.issuer} | ({origin} if origin is not None else set())
        if len(names) > 1 or stated["content_type"] != TYPE:
            raise InvalidReceipt("statement and receipt are not of the expected log")
        checkpoint = notes.SignedCheckpoint(stated["issuer"], proven.tree_size, bytes.fromhex(proven.root))
        leaf = verify.read(stated["payload"], proven.leaf_index, checkpoint)
    except (scitt_cose.CoseError, TypeError, AttributeError, ValueError) as error:
        raise InvalidReceipt(f"{type(error).__name__}: {error}") from error
    if {stated["subject"], proven.subject} != {leaf.subject}:
        raise InvalidReceipt("statement, receipt and leaf have different subjects")
    return leaf


def _only_receipt(data: bytes) -> bytes:
    """The one receipt, when nothing stands in the parts that no signature covers but what ``sign`` writes there."""
    attached = scitt_cose.extract_receipts(data)
    if len(attached) == 1:
        statement_says = strict_decode(data).value[1]
        receipt_says = strict_decode(attached[0]).value[1]
        proofs = receipt_says.get(labels.HDR_VDP) if isinstance(receipt_says, Mapping) else None
        if (
            list(statement_says) == [statement.HDR_RECEIPTS]
            and isinstance(proofs, Mapping)
            and list(receipt_says) == [labels.HDR_VDP]
            and list(proofs) == [labels.VDP_INCLUSION_PROOFS]
            and len(proofs[labels.VDP_INCLUSION_PROOFS]) == 1
        ):
            return attached[0]
    raise InvalidReceipt("not exactly one receipt with one proof")
