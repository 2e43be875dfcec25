"""Files that survive a power cut whole or not at all, and whose failures have names."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundation.vault.errors import StorageDown, StorageFull

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""No room on the disk, in the quota, or for a file this long."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turns what the disk refuses into StorageFull or StorageDown. Wrap nothing in it but work on the disk."""
    try:
        yield
    except OSError as error:
        raise (StorageFull if error.errno in FULL else StorageDown)(error.strerror or str(error)) from error


def create(path: Path) -> int:
    """A descriptor of a new file, 0600, in a folder that is made where it is missing. Raises OSError."""
    make_folder(path.parent)
    return os.open(path, _NEW, 0o600)


def replace(path: Path, content: bytes) -> None:
    """Writes the file whole: on disk before it has its name, and the name on disk too. Raises OSError."""
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)  # of a writer that died
    handle = create(draft)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def overwrite(handle: int) -> None:
    """Zeros over an open file's bytes. What an SSD or a copying filesystem keeps of the old ones, nobody can say."""
    os.pwrite(handle, bytes(os.fstat(handle).st_size), 0)
    os.fsync(handle)


def make_folder(folder: Path) -> None:
    """The folder, private, its name on disk. Raises OSError."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """A new or removed name survives a power cut only when its folder is on disk too. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
