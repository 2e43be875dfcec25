"""The signature of a policy pack: Ed25519 over its canonical bytes, so that layout may change and no rule can.

    signature.json   {"key": public key, hex, "signature": hex}

A deployment trusts its own key ``policy`` (``manage.py policy sign``) and the release key that came with the code
(``safety/packs/release.pub``), by which the shipped pack is signed. Whoever can change both the shipped pack and the
release key can change the code; the release signature says that pack and code belong together, no more.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from safety.policy.errors import PackUnsigned

FILE: Final = "signature.json"
_DOMAIN: Final = b"vouch policy pack v1\n"
_MAX_BYTES: Final = 1_000
_HEX: Final = re.compile(r"[0-9a-f]+")


def sign(canonical: bytes, private_key: bytes) -> dict[str, str]:
    """What ``signature.json`` says. ``private_key``: 32 bytes, Ed25519 (RFC 8032)."""
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    return {
        "key": key.public_key().public_bytes_raw().hex(),
        "signature": key.sign(_DOMAIN + canonical).hex(),
    }


def write(folder: Path, signature: Mapping[str, str]) -> None:
    """Puts the signature beside the pack, replacing an older one."""
    (folder / FILE).write_text(json.dumps(dict(signature), indent=2) + "\n", encoding="utf-8")


def verify(folder: Path, canonical: bytes, trusted: Mapping[str, bytes]) -> dict[str, str]:
    """The signature in ``folder``, if a trusted key made it over these bytes. Raises PackUnsigned."""
    try:
        with (folder / FILE).open("rb") as handle:
            text = handle.read(_MAX_BYTES + 1)
        found = json.loads(text) if len(text) <= _MAX_BYTES else None
    except (OSError, ValueError) as error:
        raise PackUnsigned(f"{folder.name}: no readable {FILE}") from error
    return check(found, canonical, trusted)


def check(signature: object, canonical: bytes, trusted: Mapping[str, bytes]) -> dict[str, str]:
    """``signature``, if it is one by a trusted key over these bytes. Raises PackUnsigned."""
    if not isinstance(signature, dict) or not all(
        isinstance(signature.get(part), str) and _HEX.fullmatch(signature[part]) for part in ("key", "signature")
    ):
        raise PackUnsigned("the signature is not one")
    if signature["key"] not in {key.hex() for key in trusted.values()}:
        raise PackUnsigned("signed by a key that this deployment does not trust")
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature["key"]))
        public.verify(bytes.fromhex(signature["signature"]), _DOMAIN + canonical)
    except (InvalidSignature, ValueError) as error:
        raise PackUnsigned("the pack is not what was signed") from error
    return {"key": signature["key"], "signature": signature["signature"]}
