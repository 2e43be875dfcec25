"""The platform's own keys: files in one folder, readable by the account that runs Vouch and by nobody else.

========================  ===========================================================================
``master.key``            32 bytes: wraps every key of the vault; ``master.next.key`` while it is being rotated
``mark.key``              32 bytes: the watermark's secret
``gate|log|provenance``   Ed25519: ``<name>.key`` signs, ``<name>.pub`` (not secret) verifies; so does ``policy``,
                          with which the deployment signs its own policy packs
========================  ===========================================================================

Every file holds 64 hexadecimal digits and a newline. A process that only verifies needs only the ``.pub`` files.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from foundation.errors import VouchError

SECRETS: Final = ("master", "mark")
SIGNING: Final = ("gate", "log", "provenance", "policy")
SIZE: Final = 32
"""Bytes of every key, secret or public."""

MAX_FILE: Final = 256
"""More bytes than any key file holds: a larger file is not read."""


class KeyTrouble(VouchError):
    """A key file is missing, damaged, or open to others."""

    code, status = "key_trouble", 500


class KeyFiles:
    """The key files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def secret(self, name: str) -> bytes:
        """A 32-byte secret (``master`` or ``mark``). Raises KeyTrouble."""
        return self._read(_known(name, SECRETS), ".key", private=True)

    def in_use(self, name: str) -> list[bytes]:
        """A secret's values in use, the newest first: two while a rotation runs, else one. Raises KeyTrouble."""
        # The next one first: a rotation that ends between the two reads then shows its result in both.
        try:
            following = [self._read(f"{_known(name, SECRETS)}.next", ".key", private=True)]
        except KeyTrouble as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            following = []
        current = self.secret(name)
        return following if following == [current] else [*following, current]

    def start_rotation(self, name: str) -> None:
        """Makes the secret that shall follow, ``<name>.next.key``, unless a rotation has begun. Raises KeyTrouble."""
        self.secret(name)
        self._write(f"{name}.next.key", secrets.token_bytes(SIZE), 0o600)

    def finish_rotation(self, name: str) -> None:
        """The secret that follows takes the place of the old one, whose bytes are overwritten. Raises KeyTrouble."""
        self._read(f"{_known(name, SECRETS)}.next", ".key", private=True)
        old = os.open(self.folder / f"{name}.key", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.replace(self.folder / f"{name}.next.key", self.folder / f"{name}.key")
            os.pwrite(old, bytes(os.fstat(old).st_size), 0)
            os.fsync(old)
        finally:
            os.close(old)
        self._sync()

    def private_key(self, name: str) -> bytes:
        """The 32 raw bytes of an Ed25519 private key. Raises KeyTrouble."""
        return self._read(_known(name, SIGNING), ".key", private=True)

    def public_key(self, name: str) -> bytes:
        """The 32 raw bytes of an Ed25519 public key, read without touching the private one. Raises KeyTrouble."""
        return self._read(_known(name, SIGNING), ".pub", private=False)

    def make_missing(self) -> list[str]:
        """Creates the files that are not there and returns their names; never replaces one. Raises KeyTrouble."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = []
        for name in SECRETS + SIGNING:
            if self._write(f"{name}.key", secrets.token_bytes(SIZE), 0o600):
                made.append(f"{name}.key")
        for name in SIGNING:
            public = Ed25519PrivateKey.from_private_bytes(self.private_key(name)).public_key().public_bytes_raw()
            if self._write(f"{name}.pub", public, 0o644):
                made.append(f"{name}.pub")
            elif self.public_key(name) != public:
                raise KeyTrouble(f"{name}.pub does not belong to {name}.key.", advice="Remove the wrong one.")
        return made

    def _read(self, name: str, suffix: str, *, private: bool) -> bytes:
        path = self.folder / f"{name}{suffix}"
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise KeyTrouble(
                f"{path.name} cannot be opened: {error.strerror}.",
                advice="Run `manage.py make_keys`, or put the deployment's keys into VOUCH_KEYS.",
            ) from error
        try:
            check_owner(path.name, os.fstat(handle), private=private)
            text = os.read(handle, MAX_FILE)
        finally:
            os.close(handle)
        try:
            value = bytes.fromhex(text.decode("ascii").strip())
        except ValueError as error:
            raise KeyTrouble(f"{path.name} does not hold hexadecimal digits.") from error
        if len(value) != SIZE:
            raise KeyTrouble(f"{path.name} holds {len(value)} bytes, not {SIZE}.")
        return value

    def _write(self, name: str, value: bytes, mode: int) -> bool:
        # Whole before it has its name: half a key file, left by a crash, would stop everything.
        draft = self.folder / f".{name}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(handle, "w") as file:
                os.fchmod(file.fileno(), mode)
                file.write(value.hex() + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, self.folder / name)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        self._sync()
        return True

    def _sync(self) -> None:
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def secret(name: str) -> bytes:
    """``KeyFiles.secret`` in ``settings.VOUCH_KEYS``."""
    return KeyFiles(settings.VOUCH_KEYS).secret(name)


def private_key(name: str) -> bytes:
    """``KeyFiles.private_key`` in ``settings.VOUCH_KEYS``. The gate's is for ``cloning.gate`` alone."""
    return KeyFiles(settings.VOUCH_KEYS).private_key(name)


def public_key(name: str) -> bytes:
    """``KeyFiles.public_key`` in ``settings.VOUCH_KEYS``."""
    return KeyFiles(settings.VOUCH_KEYS).public_key(name)


def _known(name: str, names: tuple[str, ...]) -> str:
    if name not in names:
        raise KeyTrouble(f"There is no such key: {name!r}.")
    return name


def check_owner(name: str, found: os.stat_result, *, private: bool) -> None:
    """A secret is for its owner alone; a public key may be read by all and written by its owner alone."""
    if not stat.S_ISREG(found.st_mode):
        raise KeyTrouble(f"{name} is not a plain file.")
    if found.st_uid != os.geteuid():
        raise KeyTrouble(f"{name} belongs to another account.", advice="chown it to the account that runs Vouch.")
    open_to_others = stat.S_IMODE(found.st_mode) & (0o077 if private else 0o022)
    if open_to_others:
        raise KeyTrouble(
            f"{name} has mode {stat.S_IMODE(found.st_mode):04o}: others could {'read' if private else 'change'} it.",
            advice=f"chmod {'600' if private else '644'} {name}",
        )
