"""Commitments: a log entry can stand for a value without showing it, and the value can be shown later. Pure."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

SALT_SIZE = 32
"""Bytes of a fresh random salt: even a value that is easy to guess cannot be found from its digest."""

_DOMAIN = b"vouch commitment v1\x00"


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


def _digest(salt: bytes, value: str | bytes) -> str:
    message = value.encode() if isinstance(value, str) else value
    return hmac.new(salt, _DOMAIN + message, hashlib.sha256).hexdigest()
