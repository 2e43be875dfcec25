"""Every output has its own pattern of signs over the chips, drawn from a keyed function.

No pattern is shared between two files, so averaging many files marked with one key shows nothing of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from watermark.codec.errors import BadKey, BadPayload
from watermark.codec.grid import BANDS, CHIPS, CODE_LENGTH

#: Bits of a payload; zero is left out so that an empty field is never a payload.
PAYLOAD_BITS = 48
#: Shortest and longest key in bytes. All keys of a deployment must have one length: key and payload are joined.
KEY_BYTES = (16, 64)


def check_key(key: bytes) -> bytes:
    """Return ``key``; raise BadKey if it is no byte string of KEY_BYTES length."""
    if not isinstance(key, bytes) or not KEY_BYTES[0] <= len(key) <= KEY_BYTES[1]:
        raise BadKey(f"a mark key is {KEY_BYTES[0]} to {KEY_BYTES[1]} bytes")
    return key


def check_payload(payload: int) -> int:
    """Return ``payload``; raise BadPayload unless it is an integer of 1 .. 2**48 - 1."""
    if isinstance(payload, bool) or not isinstance(payload, int) or not 0 < payload < 1 << PAYLOAD_BITS:
        raise BadPayload("a payload is an integer of 1 to 2**48 - 1")
    return payload


def packed_codewords(key: bytes, payloads: Sequence[int]) -> NDArray[np.uint8]:
    """SHAKE-256(key || payload as 8 bytes big-endian), CODE_LENGTH bits each: (payloads, CODE_LENGTH / 8) bytes."""
    size = CODE_LENGTH // 8
    blob = b"".join(hashlib.shake_256(key + payload.to_bytes(8, "big")).digest(size) for payload in payloads)
    return np.frombuffer(blob, np.uint8).reshape(len(payloads), size)


def codewords(key: bytes, payloads: Sequence[int]) -> NDArray[np.float32]:
    """Signs (payloads, CHIPS, BANDS) of +1 and -1: the bits of packed_codewords(), most significant first, 1 meaning
    +1; chips in time first, then bands."""
    bits = np.unpackbits(packed_codewords(key, payloads), axis=1)
    return (bits.astype(np.float32) * 2 - 1).reshape(len(payloads), CHIPS, BANDS)
