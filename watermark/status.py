"""Bitstring Status List v1.0 (W3C): which outputs are revoked, for anybody, without asking about one of them.

A list holds LIST_SIZE bits; the bit of an output stands at the place that its mark has in the registry. A reader
fetches the whole list, so nobody learns which output it asked about. The list is a verifiable credential, signed as a
compact JWS (EdDSA, VC-JOSE-COSE); whoever holds the public key checks it offline. Pure: no Django, no database.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

#: Bits of one list: the least the standard allows, which hides one output among so many.
LIST_SIZE = 131_072
#: Seconds for which a list may be served from a cache; a revocation is seen everywhere after that.
CACHE_SECONDS = 300
#: How long a list may be used by a reader who cannot fetch a newer one.
VALID_FOR = timedelta(hours=24)
PURPOSE = "revocation"
#: Of the list of outputs that need a newer label than the one they were delivered with.
REFRESH = "refresh"
TYPE = "vc+jwt"
MEDIA_TYPE = "application/vc+jwt"
#: Longest signed list in bytes that is read.
MAX_LIST = 256 * 1024


class BadStatusList(ValueError):
    """The list is malformed, not signed by this key, or not the list that was asked for."""


@dataclass(frozen=True)
class StatusList:
    """A list that was checked: its address, its bits, and from when to when it stands."""

    address: str
    bits: bytes
    valid_from: datetime
    valid_until: datetime

    def revoked(self, index: int) -> bool:
        """Whether bit ``index`` (0 .. LIST_SIZE - 1, the first is the highest of the first byte) is set."""
        if not 0 <= index < LIST_SIZE:
            raise BadStatusList(f"a list has no place {index}")
        return bool(self.bits[index // 8] >> (7 - index % 8) & 1)


def entry(position: int) -> dict[str, int]:
    """List number and index of the mark at ``position`` (1 and more) of the registry."""
    return {"list": (position - 1) // LIST_SIZE + 1, "index": (position - 1) % LIST_SIZE}


def make(
    number: int,
    revoked: Iterable[int],
    *,
    address: str,
    issuer: str,
    sign: Callable[[bytes], bytes],
    at: datetime,
    purpose: str = PURPOSE,
) -> bytes:
    """The signed list ``number`` with the bits of ``revoked`` (indices) set. ``sign`` makes an Ed25519 signature."""
    bits = bytearray(LIST_SIZE // 8)
    for index in revoked:
        if not 0 <= index < LIST_SIZE:
            raise BadStatusList(f"a list has no place {index}")
        bits[index // 8] |= 1 << (7 - index % 8)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)  # 31: with gzip's frame, whose time stays zero
    packed = packer.compress(bytes(bits)) + packer.flush()
    credential = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": address,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer,
        "validFrom": _text(at),
        "validUntil": _text(at + VALID_FOR),
        "credentialSubject": {
            "id": f"{address}#list",
            "type": "BitstringStatusList",
            "statusPurpose": purpose,
            "ttl": CACHE_SECONDS * 1000,
            "encodedList": "u" + _base64(packed),
            "number": number,
        },
    }
    head = _base64(_json({"alg": "EdDSA", "typ": TYPE})) + "." + _base64(_json(credential))
    return f"{head}.{_base64(sign(head.encode('ascii')))}".encode("ascii")


def check(data: bytes, public_key: bytes, *, number: int, purpose: str = PURPOSE) -> StatusList:
    """The list ``number`` in ``data``, signed by ``public_key`` (32 bytes). Raises BadStatusList."""
    if len(data) > MAX_LIST:
        raise BadStatusList("the list is too long")
    try:
        head, body, signature = data.decode("ascii").strip().split(".")
        header = json.loads(_bytes(head))
        Ed25519PublicKey.from_public_bytes(public_key).verify(_bytes(signature), f"{head}.{body}".encode("ascii"))
        credential = json.loads(_bytes(body))
        subject = credential["credentialSubject"]
        known = header == {"alg": "EdDSA", "typ": TYPE} and subject["statusPurpose"] == purpose
        if not known or subject["type"] != "BitstringStatusList" or subject["number"] != number:
            raise BadStatusList(f"it is not the {purpose} list {number}")
        if not subject["encodedList"].startswith("u"):
            raise BadStatusList("the list is not in base64url")
        return StatusList(
            address=str(credential["id"]),
            bits=_unpacked(_bytes(subject["encodedList"][1:])),
            valid_from=_time(credential["validFrom"]),
            valid_until=_time(credential["validUntil"]),
        )
    except InvalidSignature as error:
        raise BadStatusList("the signature is not by this key") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zlib.error) as error:
        if isinstance(error, BadStatusList):
            raise
        raise BadStatusList("it is no signed status list") from error


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(31)
    bits = unpacker.decompress(packed, LIST_SIZE // 8 + 1)
    if len(bits) != LIST_SIZE // 8:
        raise BadStatusList("the list has not the size it must have")
    return bits


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise BadStatusList("it is not base64url") from error


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise BadStatusList("a time has no zone")
    return found
