"""Commitments: a log entry can stand for a value without showing it, and the value can be shown later. Pure.

A person stands in a leaf as a tag: a commitment under their own salt, another one in every leaf. Whoever has the salt
can tell which leaves name them; with the salt erased nobody can, nor which of two leaves name the same person.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from uuid import UUID

SALT_SIZE = 32
"""Bytes of a fresh random salt: even a value that is easy to guess cannot be found from its digest."""

_DOMAIN = b"vouch commitment v1\x00"
_TAG_DOMAIN = b"vouch person v1\x00"


@dataclass(frozen=True, slots=True)
class Commitment:
    """``digest`` (hex) goes into the log, ``salt`` (hex) stays with the value and is forgotten with it."""

    digest: str
    salt: str

    def matches(self, value: str | bytes) -> bool:
        """Whether this commitment was made to ``value``."""
        return hmac.compare_digest(self.digest, _digest(bytes.fromhex(self.salt), value))


def commit(value: str | bytes) -> Commitment:
    """A fresh commitment: HMAC-SHA-256 of the value under a random salt. Two commitments to one value do not match."""
    salt = secrets.token_bytes(SALT_SIZE)
    return Commitment(digest=_digest(salt, value), salt=salt.hex())


def new_salt() -> bytes:
    """A fresh random salt of ``SALT_SIZE`` bytes."""
    return secrets.token_bytes(SALT_SIZE)


def person_tag(person_id: UUID, salt: bytes, *, kind: str, at: str) -> UUID:
    """What stands for a person in the leaf of this kind and time: HMAC-SHA-256 under their salt, cut to 122 bits.

    Written as a UUID of version 8 (RFC 9562, section 5.8). ``at`` as in the leaf, to the microsecond.
    """
    message = _TAG_DOMAIN + person_id.bytes + f"{kind}\x00{at}".encode()
    number = int.from_bytes(hmac.new(salt, message, hashlib.sha256).digest()[:16])
    return UUID(int=number & ~(0xF000 << 64) & ~(0xC000 << 48) | 0x8000 << 64 | 0x8000 << 48)


def _digest(salt: bytes, value: str | bytes) -> str:
    message = value.encode() if isinstance(value, str) else value
    return hmac.new(salt, _DOMAIN + message, hashlib.sha256).hexdigest()
