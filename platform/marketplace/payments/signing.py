"""Webhook signatures: HMAC-SHA-256 over time and body, as Stripe and others write them. Pure.

    Header   t=<unix seconds>,v1=<hex of HMAC-SHA-256(secret, "<t>.<body>")>

A signature older or younger than ``TOLERANCE`` is refused, so that a recorded call cannot be played again later;
within it the event's id, which receivers keep, tells a repetition.
"""

import hashlib
import hmac
import re
from typing import Final

TOLERANCE: Final = 300
"""Seconds a receiver's and a sender's clock may lie apart, delivery included."""

_PART = re.compile(r"(t=([0-9]{1,12})|v1=([0-9a-f]{64})|[a-z0-9_]{1,20}=[^,]{0,200})")


class BadSignature(ValueError):
    """Not signed with this secret, or not lately."""


def sign(body: bytes, secret: str, at: int, *former: str) -> str:
    """The header's value. ``former``: secrets that are being replaced, and still sign."""
    return ",".join([f"t={at}", *(f"v1={_mac(body, one, at)}" for one in (secret, *former))])


def check(body: bytes, header: str, secret: str, now: int) -> None:
    """Returns when one of the signatures is the secret's. Several may stand there while a secret is replaced.

    Raises BadSignature.
    """
    times, found = [], []
    for part in header[:2_000].split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise BadSignature("not a signature")
        if match[2]:
            times.append(int(match[2]))
        elif match[3]:
            found.append(match[3])
    if len(times) != 1 or not found:
        raise BadSignature("not a signature")
    if abs(now - times[0]) > TOLERANCE:
        raise BadSignature("too old, or from the future")
    wanted = _mac(body, secret, times[0])
    if not any(hmac.compare_digest(wanted, one) for one in found):
        raise BadSignature("not signed with this secret")


def _mac(body: bytes, secret: str, at: int) -> str:
    return hmac.new(secret.encode(), str(at).encode() + b"." + body, hashlib.sha256).hexdigest()
