"""Sealed files on a filesystem: whole or not there at all, readable by one account, named by us alone."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings

from foundation.vault.errors import ObjectMissing, VaultMisuse

READ_SIZE = 64 * 1024
"""Bytes read from disk at a time."""

_LOCATION = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}\.sealed")


@dataclass(frozen=True, slots=True)
class Written:
    """What came to lie on disk: bytes of ciphertext and their SHA-256 (hex)."""

    size: int
    sha256: str


class FileStorage:
    """A folder of sealed files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, location: str, pieces: Iterable[bytes]) -> Written:
        """Writes a new file: on disk before it has its name. If ``pieces`` raises, nothing is left behind."""
        path = self._path(location)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        digest, size = hashlib.sha256(), 0
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
                    size += len(piece)
                file.flush()
                os.fsync(file.fileno())
            os.rename(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
        return Written(size=size, sha256=digest.hexdigest())

    def read(self, location: str) -> Iterator[bytes]:
        """The file's bytes in pieces. The file is opened at the call. Raises ObjectMissing."""
        try:
            handle = os.open(self._path(location), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ObjectMissing from error
        return _pieces(handle)

    def delete(self, location: str) -> None:
        """Removes the file, also when it is already gone."""
        path = self._path(location)
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            _sync_folder(path.parent)

    def exists(self, location: str) -> bool:
        return self._path(location).exists()

    def _path(self, location: str) -> Path:
        if not _LOCATION.fullmatch(location):
            raise VaultMisuse("That is not a location of this storage.")
        return self.folder / location


def location_of(object_id: UUID) -> str:
    """Where the object with this random id lies; nothing else goes into a path."""
    return f"{object_id.hex[:2]}/{object_id.hex}.sealed"


def current() -> FileStorage:
    """The deployment's storage."""
    return FileStorage(settings.VOUCH_STORAGE)


def _pieces(handle: int) -> Iterator[bytes]:
    with os.fdopen(handle, "rb") as file:
        while piece := file.read(READ_SIZE):
            yield piece


def _sync_folder(folder: Path) -> None:
    """A new or removed name survives a power cut only when its folder is on disk too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
