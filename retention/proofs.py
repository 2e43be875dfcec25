"""Checking a deletion certificate with nothing but the log's public key: no server, no database, no Django. Pure."""

import json
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from foundation.audit import canonical
from foundation.audit.verify import InvalidReceipt, VerifiedLeaf, verify_receipt
from foundation.errors import VouchError

PREFIX: Final = b"vouch deletion certificate v2\n"
"""Signed in front of the statement, so that no signature of the log can be taken for one of a certificate."""
KIND: Final = "vouch-deletion-certificate-2"
MAX_CERTIFICATE: Final = 512 * 1024
"""Bytes of a certificate file that are read: two receipts and a thousand parts are smaller."""

LIMITS: Final = (
    "It does not prove that nobody copied the recording, or its key, before the destruction.",
    "It does not prove what copies of the key store hold that were made before the destruction; a key store that is "
    "put back to an earlier state is refused by its epoch.",
    "The storage and the key store were looked at where Vouch keeps them, at the time of issue, and nowhere else.",
    "Vouch itself says what its probes found; the log proves when it said so, and that it cannot take it back.",
)
"""What a certificate does not prove stands in every certificate."""
DERIVED_LIMIT: Final = (
    "This was derived from a recording and ended before it: its file was deleted, its key ends with the recording."
)

_KEYS: Final = {"statement", "signature", "public_key", "receipt", "erasure"}


class CertificateInvalid(VouchError):
    """This is not a certificate that holds."""

    code = "certificate_invalid"


def verify(certificate: dict[str, Any], public_key: bytes, *, origin: str | None = None) -> dict[str, Any]:
    """The statement of a certificate that holds under ``public_key`` (32 raw bytes), with receipts of log ``origin``.

    Checks the signature, the log's receipt of the destruction, its receipt of the erasure in the key store, and that
    all three tell one story. The ``public_key`` inside is for finding one's way and is not believed. Raises
    CertificateInvalid.
    """
    try:
        if not isinstance(certificate, dict) or certificate.keys() != _KEYS:
            raise CertificateInvalid("Not a certificate of this version.")
        statement = certificate["statement"]
        signature = bytes.fromhex(certificate["signature"])
        if signature.hex() != certificate["signature"]:
            raise CertificateInvalid("A signature has one spelling.")
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, PREFIX + canonical.encode(statement))
        if statement["kind"] != KIND:
            raise CertificateInvalid("Not a certificate of this version.")
        _destruction(statement, verify_receipt(certificate["receipt"], public_key, origin=origin))
        if statement["key"]["state"] == "destroyed":
            _erasure(statement, verify_receipt(certificate["erasure"], public_key, origin=origin))
        elif statement["derived_from"] is None or certificate["erasure"] is not None:
            raise CertificateInvalid("The key of a whole recording must be destroyed.")
    except (InvalidSignature, InvalidReceipt, canonical.NotCanonical) as error:
        raise CertificateInvalid(str(error)) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CertificateInvalid from error
    return dict(statement)


def load(data: bytes) -> dict[str, Any]:
    """The certificate in a file's bytes. Raises CertificateInvalid."""
    if len(data) > MAX_CERTIFICATE:
        raise CertificateInvalid("Too large.")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CertificateInvalid("Not JSON.") from error
    if not isinstance(found, dict):
        raise CertificateInvalid
    return found


def described(statement: dict[str, Any]) -> list[str]:
    """A verified statement in sentences, the limits last."""
    key = statement["key"]
    lines = [
        f"{statement['what']} {statement['item']} ({statement['purpose']}, {statement['size']} bytes), received "
        f"{statement['received_at']}, due {statement['deadline']}, destroyed {statement['destroyed_at']} "
        f"({statement['reason']})"
    ]
    if key["state"] == "destroyed":
        lines.append(
            f"key {key['id']} left the key store between its epochs {key['epoch_before']} and {key['epoch_after']} "
            f"at {key['erased_at']}; a look at epoch {statement['keystore']['epoch']} found it "
            + ("STILL THERE" if statement["keystore"]["holds_key"] else "gone")
        )
    for probe in statement["storage"]:
        lines.append(
            f"file {probe['object']}: "
            + (f"STILL THERE, {probe['versions']} version(s)" if probe["versions"] else "not found, no version of it")
        )
    return (
        lines
        + [f"legal hold {hold['id']} until {hold['ended_at']}" for hold in statement["legal_holds"]]
        + [f"does not prove: {limit}" for limit in statement["does_not_prove"]]
    )


def _destruction(statement: dict[str, Any], leaf: VerifiedLeaf) -> None:
    same = (
        leaf.kind == "custody.destroyed"
        and leaf.subject == f"custody:{statement['item']}"
        and leaf.index == statement["leaf"]
        and leaf.data.get("commitment") == statement["commitment"]["sha256_of_salt_and_bytes"]
        and all(
            leaf.data.get(key) == statement[key]
            for key in ("purpose", "reason", "received_at", "deadline", "destroyed_at")
        )
        and leaf.data.get("kind") == statement["what"]
        and leaf.data.get("key") == statement["key"]["id"]
    )
    if not same:
        raise CertificateInvalid("The logged destruction says something else.")


def _erasure(statement: dict[str, Any], leaf: VerifiedLeaf) -> None:
    key = statement["key"]
    same = (
        leaf.kind == "key.erased"
        and leaf.subject == f"key:{key['id']}"
        and all(leaf.data.get(name) == key[name] for name in ("epoch_before", "epoch_after", "erased_at"))
        and statement["keystore"]["epoch"] >= key["epoch_after"] > key["epoch_before"]
    )
    if not same:
        raise CertificateInvalid("The logged erasure says something else.")
