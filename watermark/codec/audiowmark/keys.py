"""Keys of an audiowmark deployment, and the random numbers they give.

A key is 128 bits of AES. All tables of the mark are shuffles, and each shuffle draws from one keystream: the seed and
the stream's number are encrypted to a counter block, from which AES runs in counter mode (NIST SP 800-38A, 6.5).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

#: Numbers of the keystreams that a mark draws from.
DATA_BINS, SYNC_BINS, MIX, BIT_ORDER, FRAME_POSITION = 1, 2, 4, 5, 6
#: Bytes of a key.
KEY_BYTES = 16
#: Bytes of a key file above which it is no key file.
MAX_KEY_FILE = 4_096
#: Characters of a key's name.
MAX_NAME = 200

_KEY_LINE = re.compile(r"key\s+([0-9a-fA-F]{32})\s*")
_NAME_LINE = re.compile(r'name\s+"((?:[^"\\]|\\.)*)"\s*')


class BadKeyFile(ValueError):
    """The text is not a key file of audiowmark: no key, two keys, or a line that is none of its."""


@dataclass(frozen=True)
class Key:
    """128 bits and the name that reports print. The secret never shows in a repr."""

    secret: bytes = field(repr=False)
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.secret, bytes) or len(self.secret) != KEY_BYTES:
            raise BadKeyFile(f"an audiowmark key is {KEY_BYTES} bytes")
        if len(self.name) > MAX_NAME or any(ord(character) < 32 for character in self.name):
            raise BadKeyFile(f"a key's name is at most {MAX_NAME} characters, none of them a control character")

    @classmethod
    def zero(cls) -> Key:
        """The key that the stock tool uses when none is given. Anybody can read and forge marks made with it."""
        return cls(bytes(KEY_BYTES))

    @classmethod
    def numbered(cls, number: int) -> Key:
        """The stock tool's test key of that number (0 .. 2**64 - 1)."""
        return cls(number.to_bytes(8, "big") + bytes(8))

    @classmethod
    def new(cls, name: str = "") -> Key:
        return cls(secrets.token_bytes(KEY_BYTES), name)

    @classmethod
    def derived(cls, secret: bytes, name: str = "vouch") -> Key:
        """The audiowmark key that belongs to a deployment's mark key: HKDF-SHA256 (RFC 5869), so that giving it to a
        user of the stock tool gives away nothing of the other."""
        kdf = HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=b"vouch audiowmark key v1")
        return cls(kdf.derive(secret), name)


def parse_key_file(text: str, *, path: str = "") -> Key:
    """The key in a key file: ``key <32 hex digits>`` once, ``name "<label>"`` at most once, blanks, ``#`` comments.

    Without a name the file's base name is the name, as the stock tool has it. Raises BadKeyFile.
    """
    if len(text) > MAX_KEY_FILE:
        raise BadKeyFile(f"a key file is at most {MAX_KEY_FILE} characters")
    secret: bytes | None = None
    name: str | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if (found := _KEY_LINE.fullmatch(line)) and secret is None:
            secret = bytes.fromhex(found[1])
        elif (found := _NAME_LINE.fullmatch(line)) and name is None:
            name = re.sub(r"\\(.)", r"\1", found[1])
        else:
            raise BadKeyFile(f"line {number} is neither the key nor the name")
    if secret is None:
        raise BadKeyFile("the file holds no key")
    return Key(secret, name if name is not None else PurePath(path).name)


def key_file(key: Key) -> str:
    """``key`` as a key file that the stock tool reads."""
    escaped = key.name.replace("\\", "\\\\").replace('"', '\\"')
    return f"# watermarking key for audiowmark\n\nkey {key.secret.hex()}\n" + (f'name "{escaped}"\n' if escaped else "")


def draws(key: Key, seed: int, stream: int, count: int) -> NDArray[np.uint64]:
    """The first ``count`` random numbers (uint64) of a stream and a seed (0 .. 2**64 - 1)."""
    aes = algorithms.AES(key.secret)
    one_block = Cipher(aes, modes.ECB()).encryptor()  # noqa: S305 - a single block, to make the counter's start
    start = one_block.update(seed.to_bytes(8, "big") + bytes([stream]) + bytes(7))
    keystream = Cipher(aes, modes.CTR(start)).encryptor().update(bytes(8 * count))
    return np.frombuffer(keystream, ">u8").astype(np.uint64)


def shuffled(key: Key, seed: int, stream: int, items: Iterable[int]) -> list[int]:
    """``items`` in the order of a forward Fisher-Yates shuffle; the last element takes a draw too, and the index is a
    plain remainder: both must be kept for the tables to agree."""
    out = list(items)
    size = len(out)
    for i, draw in enumerate(draws(key, seed, stream, size).tolist()):
        j = i + draw % (size - i)
        out[i], out[j] = out[j], out[i]
    return out
