"""Checking a receipt with nothing but the log's public key: no server, no database, no Django. Pure."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from foundation.audit import canonical, events, merkle, notes

RECEIPT_VERSION = 1
MAX_RECEIPT = 256 * 1024
"""Bytes of a receipt file that are read: the largest leaf and the longest proof need a tenth of it."""

MAX_PROOF = 64
"""Hashes in a proof: a tree of 2^64 leaves is as deep."""


class InvalidReceipt(ValueError):
    """The receipt proves nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class VerifiedLeaf:
    """A leaf the log's signature covers. ``size`` leaves stood in the log named ``origin`` when it was signed."""

    index: int
    version: int
    kind: str
    subject: str
    actor: str
    at: datetime
    rehearsal: bool
    data: dict[str, Any]
    origin: str
    size: int


def verify_receipt(receipt: dict[str, Any], public_key: bytes, *, origin: str | None = None) -> VerifiedLeaf:
    """What the receipt proves: the log of this Ed25519 key (32 raw bytes) holds exactly this leaf at this index.

    Every part of the receipt is needed and has one spelling: any change is found. Raises InvalidReceipt.
    """
    _keys(receipt, {"v", "leaf", "proof", "checkpoint"}, "the receipt")
    leaf, proof, note = receipt["leaf"], receipt["proof"], receipt["checkpoint"]
    _keys(leaf, {"index", "body"}, "the leaf")
    if type(receipt["v"]) is not int or receipt["v"] != RECEIPT_VERSION:
        raise InvalidReceipt("a receipt of another version")
    if type(leaf["index"]) is not int or not isinstance(leaf["body"], str) or not isinstance(note, str):
        raise InvalidReceipt("not a receipt")
    if not isinstance(proof, list) or len(proof) > MAX_PROOF:
        raise InvalidReceipt("not a proof")
    try:
        body = leaf["body"].encode()
        checkpoint = notes.verify(note, public_key, origin=origin)
        merkle.verify_inclusion(
            leaf=merkle.leaf_hash(body),
            index=leaf["index"],
            size=checkpoint.size,
            proof=[step(one) for one in proof],
            root=checkpoint.root,
        )
        return read(body, leaf["index"], checkpoint)
    except (notes.BadNote, merkle.MerkleError, canonical.NotCanonical, UnicodeEncodeError) as error:
        raise InvalidReceipt(f"{type(error).__name__}: {error}") from error


def load_receipt(data: bytes) -> dict[str, Any]:
    """The receipt in a file's bytes. Raises InvalidReceipt."""
    if len(data) > MAX_RECEIPT:
        raise InvalidReceipt("too large")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidReceipt("not JSON") from error
    if not isinstance(found, dict):
        raise InvalidReceipt("not a receipt")
    return found


def read(body: bytes, index: int, checkpoint: notes.SignedCheckpoint) -> VerifiedLeaf:
    """The leaf behind bytes that were proven to be one. Raises InvalidReceipt."""
    try:
        found = canonical.decode(body)
    except canonical.NotCanonical as error:
        raise InvalidReceipt(f"the leaf's body: {error}") from error
    _keys(found, set(events.BODY), "the leaf's body")
    texts = all(isinstance(found[key], str) for key in ("kind", "subject", "actor", "at"))
    if not (
        texts and type(found["v"]) is int and isinstance(found["rehearsal"], bool) and isinstance(found["data"], dict)
    ):
        raise InvalidReceipt("the leaf's body has another shape")
    try:
        at = datetime.fromisoformat(found["at"])
    except ValueError as error:
        raise InvalidReceipt("the leaf's time is no time") from error
    return VerifiedLeaf(
        index=index,
        version=found["v"],
        kind=found["kind"],
        subject=found["subject"],
        actor=found["actor"],
        at=at,
        rehearsal=found["rehearsal"],
        data=found["data"],
        origin=checkpoint.origin,
        size=checkpoint.size,
    )


def _keys(found: Any, wanted: set[str], what: str) -> None:
    if not isinstance(found, dict) or found.keys() != wanted:
        raise InvalidReceipt(f"{what} does not have exactly the keys {', '.join(sorted(wanted))}")


def step(text: Any) -> bytes:
    """One hash of a receipt's proof. Raises InvalidReceipt for another spelling of base64."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidReceipt("a step of the proof is not base64") from error
    if base64.b64encode(value).decode() != text:
        raise InvalidReceipt("a step of the proof has spare bits")
    return value
