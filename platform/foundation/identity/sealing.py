"""Short secrets that the database keeps for somebody, sealed (AES-256-GCM) under a key of the signing secret."""

import base64
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_NONCE: Final = 12
_HEAD: Final = "s1:"
"""How a sealed text begins, so that a later scheme can be told from this one."""


class SealBroken(ValueError):
    """Not a sealed text, or one that was sealed under another secret."""


def seal(text: str) -> str:
    """``s1:`` and base64 of nonce, ciphertext and tag."""
    nonce = secrets.token_bytes(_NONCE)
    return (
        _HEAD
        + base64.b64encode(nonce + _cipher(settings.SECRET_KEY).encrypt(nonce, text.encode(), _HEAD.encode())).decode()
    )


def unseal(sealed: str) -> str:
    """Raises SealBroken: a secret that lies in the clear is refused as well."""
    if not sealed.startswith(_HEAD):
        raise SealBroken("not sealed")
    try:
        raw = base64.b64decode(sealed[len(_HEAD) :], validate=True)
    except ValueError as error:
        raise SealBroken("not sealed") from error
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return _cipher(secret).decrypt(raw[:_NONCE], raw[_NONCE:], _HEAD.encode()).decode()
        except (InvalidTag, ValueError):
            continue
    raise SealBroken("sealed under another secret")


def _cipher(secret: str) -> AESGCM:
    derive = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"vouch sealed text v1")
    return AESGCM(derive.derive(secret.encode()))
