"""Our 48-bit payloads as 128-bit messages: the payload and an 80-bit tag, so that a reader needs no table.

A candidate that decodes to anything else carries a right tag with a chance of 2**-80.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from watermark.codec.audiowmark.read import Candidate
from watermark.codec.codeword import check_key, check_payload

ID_BYTES, TAG_BYTES = 6, 10


@dataclass(frozen=True)
class Traced:
    """A payload of ours, read at ``start_s`` (seconds); the chance that any answer to this query is wrong."""

    payload: int
    start_s: float
    quality: float
    error: float
    kind: str
    false_positive_bound: float


def message_of(payload: int, secret: bytes) -> bytes:
    """16 bytes: the payload, big-endian, and the first 80 bits of its HMAC-SHA256 under ``secret`` (RFC 2104).

    Raises BadPayload, BadKey.
    """
    number = check_payload(payload).to_bytes(ID_BYTES, "big")
    tag = hmac.new(check_key(secret), b"vouch audiowmark id" + number, hashlib.sha256).digest()
    return number + tag[:TAG_BYTES]


def payload_of(message: bytes, secret: bytes) -> int | None:
    """The payload in a message, or None when its tag is not ours."""
    payload = int.from_bytes(message[:ID_BYTES], "big")
    if payload == 0 or not hmac.compare_digest(message, message_of(payload, secret)):
        return None
    return payload


def ours(candidates: Iterable[Candidate], secret: bytes) -> list[Traced]:
    """Each payload of ours among ``candidates`` once, where it was read with the smallest error; best rated first."""
    listed = list(candidates)
    bound = len(listed) * 2.0 ** (-8 * TAG_BYTES)
    best: dict[int, Candidate] = {}
    for one in listed:
        payload = payload_of(one.message, secret)
        if payload is not None and (payload not in best or one.error < best[payload].error):
            best[payload] = one
    return [Traced(payload, c.start_s, c.quality, c.error, c.kind, bound) for payload, c in best.items()]
