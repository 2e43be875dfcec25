"""A consent in a handful of bytes, with the platform's signature: what fits a QR code and is still checked offline.

Layout, all numbers big-endian: format (1), flags (1: rehearsal 1, by a representative 2, without biometrics 4), consent
id (16), SHA-256 of the statement (32), given at and valid until (8 each, microseconds since 1970), uses (2, bit n is
``USES[n]``), number of the log entry (8), languages and territory (1 byte of length, then ASCII). Then 64 bytes of
Ed25519 over ``CONTEXT`` and all that stands before. As text: ``VOUCH1:`` and base45.

The signature is the log key's. It cannot be taken for a checkpoint's: a checkpoint begins with the log's name, which
holds no space. Pure.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consent import base45
from consent.uses import USES
from foundation.audit import canonical

PREFIX: Final = "VOUCH1:"
CONTEXT: Final = b"vouch consent v1\n"
MAX_TEXT: Final = 1_024
"""Characters of a compact receipt that are read; the longest (50 countries, every language) has half of it."""
SIGNATURE: Final = 64
FORMAT: Final = 1

_HEAD: Final = struct.Struct(">BB16s32sQQHQ")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REHEARSAL, _REPRESENTATIVE, _NO_BIOMETRICS = 1, 2, 4
SELF, REPRESENTATIVE, WITHOUT_BIOMETRICS = "self", "representative", "without_biometrics"
_FLAG: Final = {SELF: 0, REPRESENTATIVE: _REPRESENTATIVE, WITHOUT_BIOMETRICS: _NO_BIOMETRICS}


class CompactInvalid(ValueError):
    """This compact receipt proves nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Compact:
    """What the platform signed. ``statement``: SHA-256 (32 bytes) of the whole statement in canonical JSON."""

    consent_id: UUID
    statement: bytes
    given_at: datetime
    valid_until: datetime
    uses: tuple[str, ...]
    languages: tuple[str, ...]
    territory: str
    leaf_index: int
    basis: str
    rehearsal: bool


def statement_digest(statement: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a statement in canonical JSON, as in the log's leaf. Raises canonical.NotCanonical."""
    return hashlib.sha256(canonical.encode(dict(statement))).hexdigest()


def of(statement: Mapping[str, Any], leaf_index: int) -> Compact:
    """The compact form of a statement. Raises KeyError, TypeError, ValueError for what is no statement."""
    return Compact(
        consent_id=UUID(statement["id"]),
        statement=bytes.fromhex(statement_digest(statement)),
        given_at=datetime.fromisoformat(statement["given_at"]),
        valid_until=datetime.fromisoformat(statement["valid_until"]),
        uses=tuple(use for use in USES if statement["uses"].get(use) is True),
        languages=tuple(statement["languages"]),
        territory=statement["territory"],
        leaf_index=leaf_index,
        # A record from before bases were written down rests on the live challenge: there was no other way.
        basis=statement["basis"]["kind"] if "basis" in statement else SELF,
        rehearsal=statement["rehearsal"],
    )


def sign(found: Compact, private_key: bytes) -> bytes:
    """64 bytes of Ed25519. ``private_key``: the 32 raw bytes of the log's key."""
    return Ed25519PrivateKey.from_private_bytes(private_key).sign(CONTEXT + _pack(found))


def verify_signature(found: Compact, signature: bytes, public_key: bytes) -> None:
    """Raises CompactInvalid unless the holder of the log's key (32 raw bytes of the public one) signed exactly this."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, CONTEXT + _pack(found))
    except InvalidSignature as error:
        raise CompactInvalid("the signature does not verify") from error


def text(found: Compact, signature: bytes) -> str:
    """What the QR code carries."""
    return PREFIX + base45.encode(_pack(found) + signature)


def verify(text: str, public_key: bytes) -> Compact:
    """What a compact receipt says, if the log's key signed it. No database, no network. Raises CompactInvalid."""
    text = text.strip("\r\n")
    if len(text) > MAX_TEXT or not text.startswith(PREFIX):
        raise CompactInvalid("not a compact receipt")
    try:
        data = base45.decode(text[len(PREFIX) :])
    except base45.NotBase45 as error:
        raise CompactInvalid(str(error)) from error
    body, signature = data[:-SIGNATURE], data[-SIGNATURE:]
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, CONTEXT + body)
    except InvalidSignature as error:
        raise CompactInvalid("the signature does not verify") from error
    found = _unpack(body)
    if _pack(found) != body:
        raise CompactInvalid("another spelling of the same consent")
    return found


def _pack(found: Compact) -> bytes:
    flags = _FLAG[found.basis] | (_REHEARSAL if found.rehearsal else 0)
    head = _HEAD.pack(
        FORMAT,
        flags,
        found.consent_id.bytes,
        found.statement,
        _microseconds(found.given_at),
        _microseconds(found.valid_until),
        sum(1 << bit for bit, use in enumerate(USES) if use in found.uses),
        found.leaf_index,
    )
    words = [",".join(found.languages).encode("ascii"), found.territory.encode("ascii")]
    return head + b"".join(bytes([len(word)]) + word for word in words)


def _unpack(body: bytes) -> Compact:
    try:
        kind, flags, consent_id, statement, given, until, uses, leaf = _HEAD.unpack_from(body)
        rest, words = body[_HEAD.size :], []
        for _ in range(2):
            words.append(rest[1 : 1 + rest[0]].decode("ascii"))
            rest = rest[1 + rest[0] :]
        basis = next(basis for basis, flag in _FLAG.items() if flag == flags & ~_REHEARSAL)
        if kind != FORMAT or rest or uses >> len(USES):
            raise CompactInvalid("a compact receipt of another format")
        return Compact(
            consent_id=UUID(bytes=consent_id),
            statement=statement,
            given_at=_EPOCH + timedelta(microseconds=given),
            valid_until=_EPOCH + timedelta(microseconds=until),
            uses=tuple(use for bit, use in enumerate(USES) if uses >> bit & 1),
            languages=tuple(words[0].split(",")),
            territory=words[1],
            leaf_index=leaf,
            basis=basis,
            rehearsal=bool(flags & _REHEARSAL),
        )
    except (struct.error, IndexError, StopIteration, UnicodeDecodeError, OverflowError) as error:
        raise CompactInvalid("not a compact receipt") from error


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
