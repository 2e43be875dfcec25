"""One file that holds many, every bit of which is accounted for: the container of an auditor's bundle. Pure.

A tar archive (POSIX ustar, any tar reads it) with exactly one spelling: headers carry a name and a size and nothing
else, padding is zero, and nothing follows the end. Its first member ``bundle`` is a note signed by the log's key over
the SHA-256 of the second, ``manifest.json``, which holds size and SHA-256 of all others, in their order.
"""

import base64
import binascii
import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from foundation.audit import canonical, notes

TITLE: Final = "vouch audit bundle v1"
"""First line of what is signed. It has spaces, so no checkpoint (whose first line has none) can be taken for it."""

NOTE: Final = "bundle"
MANIFEST: Final = "manifest.json"

MAX_MANIFEST: Final = 8 * 1024 * 1024
MAX_MEMBERS: Final = 20_000
BLOCK: Final = 512
_NAME = re.compile(r"[a-z0-9][A-Za-z0-9._-]{0,60}(/[A-Za-z0-9][A-Za-z0-9._-]{0,60}){0,3}")


class BadArchive(ValueError):
    """The file is not a bundle of this log, or something in it is not what was signed; the message says what."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the bundle: ``size`` bytes with the SHA-256 ``sha256`` (hex)."""

    name: str
    size: int
    sha256: str


def write(target: Path, files: Iterable[tuple[str, Path]], *, origin: str, private_key: bytes) -> None:
    """Writes the bundle of ``files`` (name, where its bytes lie) into ``target``, which must not exist (mode 0600).

    ``private_key``: the log's, 32 raw bytes. Raises BadArchive for a name that a bundle cannot hold, OSError; what was
    begun is then gone again.
    """
    chosen = list(files)
    members = [Member(name, path.stat().st_size, _digest_of(path)) for name, path in chosen]
    _check_names(members)
    manifest = canonical.encode({"files": [_row(member) for member in members]})
    note = _sign(origin, manifest, private_key)
    # Events name people by their ids: for the auditor who asked, not for everybody on the host.
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            for name, data in ((NOTE, note), (MANIFEST, manifest)):
                file.write(_header(name, len(data)) + data + _padding(len(data)))
            for member, (_, path) in zip(members, chosen, strict=True):
                file.write(_header(member.name, member.size))
                with path.open("rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
                file.write(_padding(member.size))
            file.write(bytes(2 * BLOCK))
    except BaseException:
        target.unlink()
        raise


class Archive:
    """An open bundle whose signature holds. Members are read once each, in the order of ``members``."""

    def __init__(self, file: IO[bytes], public_key: bytes) -> None:
        """Raises BadArchive when the note, or the manifest it signs, is not as the log's key left it."""
        self._file = file
        note = self._whole(NOTE, notes.MAX_NOTE)
        manifest = self._whole(MANIFEST, MAX_MANIFEST)
        self.origin = _verified(note, manifest, public_key)
        try:
            rows = canonical.decode(manifest)["files"]
            self.members = [Member(row["name"], row["size"], row["sha256"]) for row in rows]
        except (canonical.NotCanonical, KeyError, TypeError) as error:
            raise BadArchive(f"{MANIFEST}: not a list of files") from error
        _check_names(self.members)
        self._at = 0

    def read(self, name: str, limit: int) -> bytes:
        """The next member, which must be ``name``, of at most ``limit`` bytes. Raises BadArchive."""
        pieces: list[bytes] = []
        member = self._next(name)
        if member.size > limit:
            raise BadArchive(f"{name}: larger than {limit} bytes")
        self._stream(member, pieces.append)
        return b"".join(pieces)

    def lines(self, name: str, longest: int) -> Iterator[bytes]:
        """The lines of the next member, which must be ``name``, without their newlines. Raises BadArchive.

        A line is given out before the member's hash is known: do not believe it until the iterator has ended.
        """
        member = self._next(name)
        rest, digest, left = b"", hashlib.sha256(), member.size
        while left:
            piece = self._take(min(left, 1 << 16), name)
            digest.update(piece)
            left -= len(piece)
            *whole, rest = (rest + piece).split(b"\n")
            if len(rest) > longest or any(len(line) > longest for line in whole):
                raise BadArchive(f"{name}: a line longer than {longest} bytes")
            yield from whole
        if rest:
            raise BadArchive(f"{name}: does not end with a newline")
        self._finish(member, digest.hexdigest())

    def end(self) -> None:
        """Raises BadArchive unless every member was read and nothing but the end mark follows."""
        if self._at != len(self.members):
            raise BadArchive(f"{self.members[self._at].name}: not expected here")
        if self._file.read(2 * BLOCK + 1) != bytes(2 * BLOCK):
            raise BadArchive("something follows the last file, or the end is cut off")

    def _next(self, name: str) -> Member:
        if self._at >= len(self.members) or self.members[self._at].name != name:
            raise BadArchive(f"{name}: missing, or out of its place")
        member = self.members[self._at]
        self._at += 1
        if self._take(BLOCK, name) != _header(member.name, member.size):
            raise BadArchive(f"{name}: its header is not the one that was written")
        return member

    def _stream(self, member: Member, into: Callable[[bytes], Any]) -> None:
        digest, left = hashlib.sha256(), member.size
        while left:
            piece = self._take(min(left, 1 << 20), member.name)
            digest.update(piece)
            into(piece)
            left -= len(piece)
        self._finish(member, digest.hexdigest())

    def _finish(self, member: Member, found: str) -> None:
        if found != member.sha256:
            raise BadArchive(f"{member.name}: not the bytes that were signed")
        if any(self._take(len(_padding(member.size)), member.name)):
            raise BadArchive(f"{member.name}: its padding is not empty")

    def _whole(self, name: str, limit: int) -> bytes:
        """One of the first two members, whose size only its own header says."""
        header = self._take(BLOCK, name)
        try:
            size = int(header[124:135], 8)
        except ValueError as error:
            raise BadArchive(f"{name}: no header") from error
        if not 0 <= size <= limit or header != _header(name, size):
            raise BadArchive(f"{name}: its header is not the one that was written")
        data = self._take(size, name)
        if any(self._take(len(_padding(size)), name)):
            raise BadArchive(f"{name}: its padding is not empty")
        return data

    def _take(self, size: int, name: str) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise BadArchive(f"{name}: cut off")
        return data


def _sign(origin: str, manifest: bytes, private_key: bytes) -> bytes:
    text = f"{TITLE}\n{origin}\n{hashlib.sha256(manifest).hexdigest()}\n"
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    mark = notes.key_id(origin, key.public_key().public_bytes_raw())
    signature = base64.b64encode(mark + key.sign(text.encode())).decode()
    return f"{text}\n\N{EM DASH} {origin} {signature}\n".encode()


def _verified(note: bytes, manifest: bytes, public_key: bytes) -> str:
    """The origin in the note that signs this manifest, when the note is exactly what that key writes."""
    try:
        text, _, signed = note.decode().partition("\n\n")
        title, origin, digest = text.split("\n")
        encoded = signed.removesuffix("\n").rpartition(" ")[2]
        blob = base64.b64decode(encoded, validate=True)
    except (UnicodeDecodeError, ValueError, binascii.Error) as error:
        raise BadArchive(f"{NOTE}: not a signed note") from error
    mark = notes.key_id(origin, public_key)
    whole = f"{text}\n\n\N{EM DASH} {origin} {base64.b64encode(blob).decode()}\n".encode()
    if title != TITLE or note != whole:
        raise BadArchive(f"{NOTE}: not the note of an audit bundle")
    if blob[: len(mark)] != mark:
        raise BadArchive(f"{NOTE}: not signed by this key")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(blob[len(mark) :], f"{text}\n".encode())
    except InvalidSignature:
        raise BadArchive(f"{NOTE}: the signature does not verify") from None
    if digest != hashlib.sha256(manifest).hexdigest():
        raise BadArchive(f"{MANIFEST}: not the one that was signed")
    return origin


def _check_names(members: list[Member]) -> None:
    for member in members:
        sizes = type(member.size) is int and 0 <= member.size < 8**11
        if not sizes or not isinstance(member.name, str) or not _NAME.fullmatch(member.name):
            raise BadArchive(f"{MANIFEST}: {str(member.name)[:80]!r} is no file of a bundle")
    names = [member.name for member in members]
    if len(members) > MAX_MEMBERS or len(set(names)) != len(names) or {NOTE, MANIFEST} & set(names):
        raise BadArchive(f"{MANIFEST}: too many files, or one of them twice")


def _row(member: Member) -> dict[str, Any]:
    return {"name": member.name, "size": member.size, "sha256": member.sha256}


@lru_cache(maxsize=256)
def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.USTAR_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
