"""Cosignatures of witnesses under a checkpoint, as C2SP writes them (c2sp.org/tlog-cosignature, Ed25519). Pure.

A cosignature says: at this time, this was the largest tree of this log that I saw, and it continues all I saw before.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from foundation.audit.notes import BadNote

COSIGNATURE_V1: Final = b"\x04"
"""The signature type byte of a timestamped Ed25519 cosignature."""

_KEY_ID_SIZE, _TIME_SIZE, _SIGNATURE_SIZE = 4, 8, 64
_MAX_TIME: Final = 2**63 - 1
_LINE = re.compile(r"\N{EM DASH} ([^\s+]{1,200}) ([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness as a verifier knows it: its name and its 32-byte Ed25519 public key."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that stand in the signature line (type 0x04)."""
        return hashlib.sha256(self.name.encode() + b"\n" + COSIGNATURE_V1 + self.public_key).digest()[:_KEY_ID_SIZE]

    @property
    def verifier_key(self) -> str:
        """The one-line form: ``name+id+base64``."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(COSIGNATURE_V1 + self.public_key).decode()}"

    @classmethod
    def parse(cls, text: str) -> "WitnessKey":
        """The reverse of ``verifier_key``. Raises BadNote."""
        parts = text.strip().split("+", 2)
        try:
            blob = base64.b64decode(parts[2], validate=True)
            found = cls(parts[0], blob[1:])
        except (IndexError, binascii.Error, ValueError) as error:
            raise BadNote("not a witness's verifier key") from error
        if len(blob) != 33 or blob[:1] != COSIGNATURE_V1 or not found.name or found.verifier_key != text.strip():
            raise BadNote("not a witness's verifier key (Ed25519 cosignature, type 4)")
        return found


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified statement of the witness ``name`` at ``time`` (POSIX seconds)."""

    name: str
    time: int


def cosign(note: str, *, name: str, private_key: bytes, time: int) -> str:
    """The signature line (with its newline) of a witness under ``note``. ``private_key``: 32 raw bytes.

    Raises BadNote for a name or a time that cannot be written.
    """
    if not re.fullmatch(r"[^\s+]{1,200}", name) or not 0 <= time <= _MAX_TIME:
        raise BadNote("a witness's name has no spaces and no plus signs; a time is not negative")
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    witness = WitnessKey(name, key.public_key().public_bytes_raw())
    blob = witness.key_id + time.to_bytes(_TIME_SIZE, "big") + key.sign(_message(note, time))
    return f"\N{EM DASH} {name} {base64.b64encode(blob).decode()}\n"


def verified(note: str, witnesses: Iterable[WitnessKey]) -> list[Cosignature]:
    """The cosignatures in ``note`` by the given witnesses, at most one (the newest) each; other lines are passed over.

    The log's own signature is ``notes.verify``'s business. Raises BadNote when a known witness's line does not verify:
    somebody wrote it, and it was not that witness.
    """
    known = {(witness.name, witness.key_id): witness for witness in witnesses}
    found: dict[str, Cosignature] = {}
    for line in note.partition("\n\n")[2].splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        try:
            blob = base64.b64decode(match[2], validate=True)
        except (binascii.Error, ValueError):
            continue
        witness = known.get((match[1], blob[:_KEY_ID_SIZE]))
        if witness is None:
            continue
        moment = int.from_bytes(blob[_KEY_ID_SIZE : _KEY_ID_SIZE + _TIME_SIZE], "big")
        signature = blob[_KEY_ID_SIZE + _TIME_SIZE :]
        if len(signature) != _SIGNATURE_SIZE or moment > _MAX_TIME:
            raise BadNote(f"the cosignature of {witness.name} is malformed")
        try:
            Ed25519PublicKey.from_public_bytes(witness.public_key).verify(signature, _message(note, moment))
        except InvalidSignature:
            raise BadNote(f"the cosignature of {witness.name} does not verify") from None
        if witness.name not in found or found[witness.name].time < moment:
            found[witness.name] = Cosignature(witness.name, moment)
    return list(found.values())


def _message(note: str, time: int) -> bytes:
    text, blank, _ = note.partition("\n\n")
    if not blank:
        raise BadNote("not a signed note")
    return f"cosignature/v1\ntime {time}\n{text}\n".encode()
