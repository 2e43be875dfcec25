"""Time-based one-time passwords (RFC 6238, over RFC 4226), as every authenticator app makes them. Pure."""

import base64
import hashlib
import hmac
import secrets
import struct
from typing import Final
from urllib.parse import quote, urlencode

STEP_SECONDS: Final = 30
DIGITS: Final = 6
SECRET_BYTES: Final = 20
"""RFC 4226 asks for 160 bits."""
TOLERANCE: Final = 1
"""Steps to either side that are accepted: clocks of telephones are not exact (RFC 6238, section 5.2)."""


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def code_at(secret: bytes, step: int) -> str:
    """The code of one time step: 6 digits."""
    digest = hmac.new(secret, struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_at(seconds: float) -> int:
    """The time step of a Unix time."""
    return int(seconds) // STEP_SECONDS


def matching_step(secret: bytes, code: str, *, seconds: float, after: int) -> int | None:
    """The step ``code`` belongs to, near ``seconds`` and later than ``after`` (a code is used once); None for none."""
    wanted = "".join(code.split())
    found = None
    for step in range(step_at(seconds) - TOLERANCE, step_at(seconds) + TOLERANCE + 1):
        same = hmac.compare_digest(code_at(secret, step).encode(), wanted.encode())
        if same and step > after:
            found = step
    return found


def address(secret: bytes, *, account: str, issuer: str = "Vouch") -> str:
    """The ``otpauth://`` address that an authenticator app reads from a QR code."""
    text = base64.b32encode(secret).decode().rstrip("=")
    query = urlencode({"secret": text, "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_SECONDS})
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?{query}"
