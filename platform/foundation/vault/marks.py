"""Numbers that only go up, in small files of their own: what a restored database or key store cannot take back.

They lie in ``VOUCH_VAR/marks``, apart from the database and from the key store, so that either restored from a backup
meets a witness of what it was before.
"""

import fcntl
import os
from pathlib import Path
from typing import Literal

from django.conf import settings

from foundation.vault import files
from foundation.vault.errors import Tampered

Name = Literal["keystore-epoch", "clock"]

MAX_FILE = 64
"""More bytes than any mark has."""


def read(name: Name) -> int:
    """The highest number raised to so far; 0 before the first. Raises Tampered, StorageDown."""
    with files.disk_errors():
        try:
            with _path(name).open("rb") as file:
                text = file.read(MAX_FILE + 1)
        except FileNotFoundError:
            return 0
    if not text.isdigit() or len(text) > MAX_FILE:
        raise Tampered(f"The mark {name!r} is not a number.")
    return int(text)


def raise_to(name: Name, value: int) -> None:
    """Sets the mark unless it is higher already. Raises as ``read``, and StorageFull."""
    with files.disk_errors():
        files.make_folder(_folder())
        lock = os.open(_folder() / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if value > read(name):
            with files.disk_errors():
                files.replace(_path(name), str(value).encode())
    finally:
        os.close(lock)


def lower_to(name: Name, value: int) -> None:
    """For an operator who knows why: the one way down. Raises as ``raise_to``."""
    with files.disk_errors():
        files.replace(_path(name), str(value).encode())


def _folder() -> Path:
    return Path(settings.VOUCH_VAR) / "marks"


def _path(name: Name) -> Path:
    return _folder() / name
