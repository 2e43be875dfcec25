"""Signed notes and checkpoints as C2SP writes them (c2sp.org/signed-note, c2sp.org/tlog-checkpoint). Pure.

A checkpoint's text is three lines, each ended by a newline: the log's origin, the number of leaves, the root hash in
base64. The note is that text, an empty line, and one line per signature: an em dash, the key's name, and base64 of the
four-byte key id and the signature. The key's name is the origin.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAX_NOTE = 16 * 1024
"""Characters of a note that are looked at: a checkpoint with dozens of witnesses is smaller."""

ED25519 = b"\x01"
"""The signature type byte of Ed25519."""

_KEY_ID_SIZE = 4
_NAME = re.compile(r"[^\s+]{1,200}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class BadNote(ValueError):
    """The text is not a checkpoint in signed-note form."""


class BadSignature(BadNote):
    """No signature of the expected key stands under the note, or it does not verify."""


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """What a log says of itself: ``size`` leaves with the 32-byte ``root``."""

    origin: str
    size: int
    root: bytes


def key_id(name: str, public_key: bytes) -> bytes:
    """The first four bytes of SHA-256 of name, newline, type byte and public key."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:_KEY_ID_SIZE]


def verifier_key(name: str, public_key: bytes) -> str:
    """The one-line form of a public key that other C2SP tools read: ``name+id+base64``."""
    return f"{name}+{key_id(name, public_key).hex()}+{_base64(ED25519 + public_key)}"


def public_key_of(text: str) -> bytes:
    """The 32 bytes in a log's ``name+id+base64``. Raises BadNote when its parts do not belong together."""
    name, _, rest = text.strip().partition("+")
    blob = _from_base64(rest.partition("+")[2])
    if len(blob) != 33 or blob[:1] != ED25519 or verifier_key(name, blob[1:]) != text.strip():
        raise BadNote("not an Ed25519 verifier key (name+id+base64)")
    return blob[1:]


def sign(checkpoint: SignedCheckpoint, private_key: bytes) -> str:
    """The signed note. ``private_key``: 32 raw bytes of Ed25519. Raises BadNote for an origin that is no key name."""
    if not _NAME.fullmatch(checkpoint.origin):
        raise BadNote("an origin has no spaces and no plus signs")
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{_base64(checkpoint.root)}\n"
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    mark = key_id(checkpoint.origin, key.public_key().public_bytes_raw())
    return f"{text}\n\N{EM DASH} {checkpoint.origin} {_base64(mark + key.sign(text.encode()))}\n"


def verify(note: str, public_key: bytes, *, origin: str | None = None) -> SignedCheckpoint:
    """The checkpoint in a note that ``public_key`` (32 raw bytes) signed. Other signatures (witnesses) are passed over.

    ``origin``: the log that is expected, when the caller knows. Raises BadNote, BadSignature.
    """
    if len(note) > MAX_NOTE:
        raise BadNote("too long")
    text, blank, signatures = note.partition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise BadNote("not a signed note")
    text += "\n"
    checkpoint = _parse(text)
    if origin is not None and checkpoint.origin != origin:
        raise BadNote(f"a checkpoint of {checkpoint.origin!r}, not of {origin!r}")
    wanted = key_id(checkpoint.origin, public_key)
    for line in signatures[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != "\N{EM DASH}" or not _NAME.fullmatch(name):
            raise BadNote("not a signature line")
        blob = _from_base64(encoded)
        if name != checkpoint.origin or blob[:_KEY_ID_SIZE] != wanted:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(blob[_KEY_ID_SIZE:], text.encode())
        except InvalidSignature:
            raise BadSignature("the signature does not verify") from None
        return checkpoint
    raise BadSignature("not signed by this key")


def _parse(text: str) -> SignedCheckpoint:
    lines = text[:-1].split("\n")
    if len(lines) != 3 or not _NAME.fullmatch(lines[0]) or not _NUMBER.fullmatch(lines[1]):
        raise BadNote("not a checkpoint")
    root = _from_base64(lines[2])
    if len(root) != hashlib.sha256().digest_size:
        raise BadNote("the root is not 32 bytes long")
    return SignedCheckpoint(origin=lines[0], size=int(lines[1]), root=root)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _from_base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadNote("not base64") from None
    if _base64(data) != text:
        raise BadNote("base64 with spare bits")
    return data
