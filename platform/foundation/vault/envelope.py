"""Sealing bytes: AES-256-GCM in chunks, under a key that is itself wrapped. Pure: no storage, no Django.

A *data key* (32 random bytes) is wrapped by a master key; many objects may share one, and all die with it. Each object
gets a key of its own from it by HKDF-SHA-256 (RFC 5869), with a random salt and the object's context (its id, kind,
owner and deadline), so ciphertext moved to another place does not open there.

A sealed stream is ``b"VSO1"``, the 16-byte salt, then chunks of 64 KiB of plaintext, each with its 16-byte tag. The
nonce of a chunk is its number and a flag that marks the last one (the STREAM construction of Hoang, Reyhanitabar,
Rogaway and Vizár, 2015): a chunk that was changed, moved, repeated or left out, a cut end and an added end all fail.
Memory is two chunks, however long the stream.
"""

import os
from collections.abc import Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_SIZE = 32
"""Bytes of a master or data key (AES-256)."""

CHUNK = 64 * 1024
"""Plaintext bytes of every chunk but the last: small enough for memory, large enough that tags cost 0.02 %."""

TAG = 16
"""Bytes GCM adds to a chunk."""

MAGIC = b"VSO1"
SALT_SIZE = 16
HEADER = len(MAGIC) + SALT_SIZE
MAX_CHUNKS = 2**32
"""The chunk counter has four bytes: 256 TiB."""

_NONCE_SIZE = 12
_WRAP_VERSION = b"\x01"


class BrokenSeal(ValueError):
    """The bytes are not what was sealed, or the key or context is not theirs."""


def context(*parts: str) -> bytes:
    """An unambiguous encoding of a sequence of strings: each with its length in front."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def new_data_key() -> bytes:
    """32 fresh random bytes."""
    return os.urandom(KEY_SIZE)


def wrap(master: bytes, data_key: bytes, *, bound_to: bytes) -> bytes:
    """The data key under ``master`` (32 bytes each), openable only with the same ``bound_to``: 61 bytes."""
    nonce = os.urandom(_NONCE_SIZE)
    return _WRAP_VERSION + nonce + AESGCM(_wrapping_key(master)).encrypt(nonce, data_key, _WRAP_VERSION + bound_to)


def unwrap(master: bytes, wrapped: bytes, *, bound_to: bytes) -> bytes:
    """The data key. Raises BrokenSeal."""
    if wrapped[:1] != _WRAP_VERSION or len(wrapped) != 1 + _NONCE_SIZE + KEY_SIZE + TAG:
        raise BrokenSeal("not a wrapped key")
    nonce, sealed = wrapped[1 : 1 + _NONCE_SIZE], wrapped[1 + _NONCE_SIZE :]
    try:
        return AESGCM(_wrapping_key(master)).decrypt(nonce, sealed, _WRAP_VERSION + bound_to)
    except InvalidTag:
        raise BrokenSeal("the wrapped key does not open") from None


def seal(data_key: bytes, pieces: Iterable[bytes], *, bound_to: bytes) -> Iterator[bytes]:
    """The sealed stream of the concatenated ``pieces`` (of any sizes), as it is made."""
    header = MAGIC + os.urandom(SALT_SIZE)
    cipher = _object_cipher(data_key, header, bound_to)
    yield header
    waiting, number = bytearray(), 0
    for piece in pieces:
        # Sliced so that one huge piece costs no second copy of itself.
        for start in range(0, len(piece), CHUNK):
            waiting += piece[start : start + CHUNK]
            # A full chunk is held back until more follows: only then is it known not to be the last.
            while len(waiting) > CHUNK:
                yield cipher.encrypt(_nonce(number, last=False), bytes(waiting[:CHUNK]), header)
                del waiting[:CHUNK]
                number += 1
    yield cipher.encrypt(_nonce(number, last=True), bytes(waiting), header)


def unseal(data_key: bytes, pieces: Iterable[bytes], *, bound_to: bytes) -> Iterator[bytes]:
    """The plaintext in chunks, each authenticated before it is given out.

    Only the end of the iteration says that nothing is missing: do not act on the chunks before. Raises BrokenSeal.
    """
    waiting, number = bytearray(), 0
    cipher: AESGCM | None = None
    header = b""
    for piece in pieces:
        for start in range(0, len(piece), CHUNK):
            waiting += piece[start : start + CHUNK]
            if cipher is None and len(waiting) >= HEADER:
                header = bytes(waiting[:HEADER])
                del waiting[:HEADER]
                if not header.startswith(MAGIC):
                    raise BrokenSeal("not a sealed stream")
                cipher = _object_cipher(data_key, header, bound_to)
            while cipher is not None and len(waiting) > CHUNK + TAG:
                yield _open(cipher, _nonce(number, last=False), bytes(waiting[: CHUNK + TAG]), header)
                del waiting[: CHUNK + TAG]
                number += 1
    if cipher is None:
        raise BrokenSeal("cut short")
    yield _open(cipher, _nonce(number, last=True), bytes(waiting), header)


def _open(cipher: AESGCM, nonce: bytes, chunk: bytes, header: bytes) -> bytes:
    try:
        return cipher.decrypt(nonce, chunk, header)
    except (InvalidTag, ValueError):
        raise BrokenSeal("a chunk does not open") from None


def _nonce(number: int, *, last: bool) -> bytes:
    if number >= MAX_CHUNKS:
        raise BrokenSeal("too long")
    return bytes(7) + number.to_bytes(4, "big") + (b"\x01" if last else b"\x00")


def _object_cipher(data_key: bytes, header: bytes, bound_to: bytes) -> AESGCM:
    return AESGCM(_derive(data_key, salt=header[len(MAGIC) :], info=b"vouch sealed object v1\x00" + bound_to))


def _wrapping_key(master: bytes) -> bytes:
    return _derive(master, salt=None, info=b"vouch key wrap v1")


def _derive(key: bytes, *, salt: bytes | None, info: bytes) -> bytes:
    if len(key) != KEY_SIZE:
        raise BrokenSeal(f"a key has {KEY_SIZE} bytes")
    return HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=salt, info=info).derive(key)
