"""Where sealed files lie: a folder here, or a bucket (``s3``). Whole or not there at all, named by us alone."""

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from django.conf import settings

from foundation.vault import files
from foundation.vault.errors import ObjectMissing, VaultMisuse
from foundation.vault.lifecycle import BRIEF

READ_SIZE = 64 * 1024
"""Bytes read from disk at a time."""

_LOCATION = re.compile(rf"({BRIEF})?[0-9a-f]{{2}}/[0-9a-f]{{32}}\.sealed")


@dataclass(frozen=True, slots=True)
class Written:
    """What came to lie in storage: bytes of ciphertext and their SHA-256 (hex)."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What storage shows at a location: is there a file (else 404), and how many versions of it lie there in all.

    ``versions`` counts everything that still holds bytes: the file, older versions, unfinished uploads.
    """

    present: bool
    versions: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that lies in storage, by its name there; ``changed`` is when it last was."""

    name: str
    changed: datetime


class Storage(Protocol):
    """What every place for sealed files can do, and raise: see ``FileStorage``."""

    def write(self, location: str, pieces: Iterable[bytes]) -> Written: ...

    def read(self, location: str) -> Iterator[bytes]: ...

    def delete(self, location: str) -> None: ...

    def probe(self, location: str) -> Probe: ...

    def exists(self, location: str) -> bool: ...

    def listed(self) -> Iterator[Listed]: ...

    def head(self, name: str, size: int) -> bytes: ...

    def check(self) -> None: ...


class FileStorage:
    """A folder of sealed files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, location: str, pieces: Iterable[bytes]) -> Written:
        """Writes a new file: on disk before it has its name. If ``pieces`` raises, nothing is left behind.

        Raises StorageFull, StorageDown, and what ``pieces`` raises.
        """
        path = self._path(location)
        draft = path.with_suffix(".draft")
        digest, size = hashlib.sha256(), 0
        with files.disk_errors():
            handle = files.create(draft)
        try:
            for piece in pieces:
                with files.disk_errors():
                    _write_all(handle, piece)
                digest.update(piece)
                size += len(piece)
            with files.disk_errors():
                os.fsync(handle)
                os.rename(draft, path)
                files.sync_folder(path.parent)
        except BaseException:
            draft.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
        return Written(size=size, sha256=digest.hexdigest())

    def read(self, location: str) -> Iterator[bytes]:
        """The file's bytes in pieces. The file is opened at the call. Raises ObjectMissing, StorageDown."""
        with files.disk_errors():
            try:
                handle = os.open(self._path(location), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise ObjectMissing from error
        return _pieces(handle)

    def delete(self, location: str) -> None:
        """Removes the file and a draft of it, also when they are already gone. Raises StorageDown."""
        path = self._path(location)
        with files.disk_errors():
            path.unlink(missing_ok=True)
            path.with_suffix(".draft").unlink(missing_ok=True)
            if path.parent.is_dir():
                files.sync_folder(path.parent)

    def probe(self, location: str) -> Probe:
        """What lies there now. Raises StorageDown."""
        path = self._path(location)
        with files.disk_errors():
            found = [each for each in (path, path.with_suffix(".draft")) if os.path.lexists(each)]
        return Probe(present=path in found, versions=len(found))

    def exists(self, location: str) -> bool:
        return self.probe(location).present

    def listed(self) -> Iterator[Listed]:
        """Every file here, sealed or not, by its path below the folder."""
        for path in sorted(self.folder.rglob("*")):
            if not path.is_dir():
                with suppress(FileNotFoundError):
                    changed = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
                    yield Listed(path.relative_to(self.folder).as_posix(), changed)

    def head(self, name: str, size: int) -> bytes:
        """The first ``size`` bytes of a listed file. Raises ObjectMissing, StorageDown."""
        with files.disk_errors():
            try:
                handle = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise ObjectMissing from error
            try:
                return os.read(handle, size)
            finally:
                os.close(handle)

    def check(self) -> None:
        """Whether the folder is there (it is made where it is not) and may be written. Raises StorageDown."""
        with files.disk_errors():
            files.make_folder(self.folder)
            if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "The folder of sealed files may not be written")

    def _path(self, location: str) -> Path:
        return self.folder / checked(location)


def checked(location: str) -> str:
    """The location, if it is one that ``location_of`` makes. Raises VaultMisuse."""
    if not _LOCATION.fullmatch(location):
        raise VaultMisuse("That is not a location of this storage.")
    return location


def location_of(object_id: UUID, *, brief: bool = False) -> str:
    """Where the object with this random id lies; nothing else goes into a path but whether it is gone within days."""
    return f"{BRIEF if brief else ''}{object_id.hex[:2]}/{object_id.hex}.sealed"


def current() -> Storage:
    """The deployment's storage. Raises StorageMisconfigured, StorageDown."""
    if not settings.VOUCH_S3_BUCKET:
        return FileStorage(settings.VOUCH_STORAGE)
    # Only here: without a bucket no web worker needs boto3's memory.
    from foundation.vault.s3 import checked_bucket

    return checked_bucket(settings.VOUCH_S3_BUCKET, settings.VOUCH_S3_PREFIX, settings.VOUCH_S3_ENDPOINT)


def _write_all(handle: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _pieces(handle: int) -> Iterator[bytes]:
    try:
        while True:
            with files.disk_errors():
                piece = os.read(handle, READ_SIZE)
            if not piece:
                return
            yield piece
    finally:
        os.close(handle)
