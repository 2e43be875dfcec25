"""The gate's yes: one voice, one purpose, one content, once, for a few minutes. Pure.

A token is ``base64url(payload) "." base64url(signature)`` without padding: the payload is canonical JSON, the signature
Ed25519 over a fixed prefix and the payload. There is one spelling of each token, so nothing about it can be changed.
"""

import base64
import binascii
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from foundation.audit import canonical
from foundation.vault.errors import ClearanceExpired, ClearanceInvalid

Purpose = Literal["train", "speak"]
PURPOSES = ("train", "speak")

MAX_LIFETIME = timedelta(minutes=10)
"""A clearance is for an act that starts now; a longer life would outlive a withdrawal of consent."""

CLOCK_SKEW = timedelta(seconds=30)
"""How far the gate's clock may run ahead of the vault's."""

MAX_TOKEN = 4096
"""Characters of a token that are looked at."""

MAX_STRING = 200
"""Characters of ``digest`` and ``policy_version``."""

_PREFIX = b"vouch clearance v1\n"


@dataclass(frozen=True, slots=True)
class Clearance:
    """What was cleared, for whom, and what the answer rests on.

    ``digest`` is the SHA-256 (hex) of the training set or of the text; times are aware, in UTC.
    """

    id: UUID
    purpose: Purpose
    voice_id: UUID
    digest: str
    consent_id: UUID
    licence_id: UUID | None
    requester_id: UUID
    policy_version: str
    rehearsal: bool
    issued_at: datetime
    expires_at: datetime


def encode(clearance: Clearance, private_key: bytes) -> str:
    """The signed token. ``private_key``: the gate's, 32 raw bytes. Raises ClearanceInvalid for one that cannot be."""
    _check(clearance)
    payload = canonical.encode({field.name: _plain(getattr(clearance, field.name)) for field in fields(Clearance)})
    signature = Ed25519PrivateKey.from_private_bytes(private_key).sign(_PREFIX + payload)
    return f"{_to_text(payload)}.{_to_text(signature)}"


def verify(token: str, *, public_key: bytes, now: datetime) -> Clearance:
    """The clearance in a token the gate signed. Whether it was used already, only the vault knows.

    Raises ClearanceInvalid, ClearanceExpired.
    """
    if len(token) > MAX_TOKEN or token.count(".") != 1:
        raise ClearanceInvalid
    payload, signature = (_from_text(part) for part in token.split("."))
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _PREFIX + payload)
    except InvalidSignature:
        raise ClearanceInvalid from None
    clearance = _parse(payload)
    _check(clearance)
    if now >= clearance.expires_at:
        raise ClearanceExpired
    if clearance.issued_at > now + CLOCK_SKEW:
        raise ClearanceInvalid("The clearance comes from the future.")
    return clearance


def _check(clearance: Clearance) -> None:
    if clearance.purpose not in PURPOSES:
        raise ClearanceInvalid("Unknown purpose.")
    if not timedelta(0) < clearance.expires_at - clearance.issued_at <= MAX_LIFETIME:
        raise ClearanceInvalid(f"A clearance lives at most {MAX_LIFETIME}.")
    if not all(1 <= len(text) <= MAX_STRING for text in (clearance.digest, clearance.policy_version)):
        raise ClearanceInvalid("A clearance names its content and its policy.")


def _plain(value: Any) -> Any:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case _:
            return value


def _parse(payload: bytes) -> Clearance:
    """Strict although signed: a signed payload of another shape means another version, and that is no clearance."""
    try:
        found = canonical.decode(payload)
        if not isinstance(found, dict) or found.keys() != {field.name for field in fields(Clearance)}:
            raise ClearanceInvalid
        if not isinstance(found["rehearsal"], bool):
            raise ClearanceInvalid
        if not (isinstance(found["digest"], str) and isinstance(found["policy_version"], str)):
            raise ClearanceInvalid
        return Clearance(
            id=UUID(found["id"]),
            purpose=found["purpose"],
            voice_id=UUID(found["voice_id"]),
            digest=found["digest"],
            consent_id=UUID(found["consent_id"]),
            licence_id=None if found["licence_id"] is None else UUID(found["licence_id"]),
            requester_id=UUID(found["requester_id"]),
            policy_version=found["policy_version"],
            rehearsal=found["rehearsal"],
            issued_at=_moment(found["issued_at"]),
            expires_at=_moment(found["expires_at"]),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ClearanceInvalid from error


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ClearanceInvalid
    return moment


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _from_text(text: str) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ClearanceInvalid from None
    if _to_text(data) != text:
        raise ClearanceInvalid
    return data
