"""Writing the log into a folder that any web server can serve as it is (c2sp.org/tlog-tiles).

Only hashes go out: what an event says is for auditors. With ``entries`` the leaves go out too; that folder is for an
auditor's mirror, not for the world.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.conf import settings

from foundation import keys
from foundation.audit import checkpoints, notes, tiles
from foundation.audit.errors import PublishedElsewhere
from foundation.audit.models import Checkpoint, Leaf, Node

CHECKPOINT: Final = "checkpoint"
"""The one file that changes; written last, so that whoever reads it finds every tile it needs."""

FILE_MODE: Final = 0o644
"""A web server runs under another account. There is nothing secret in a hash."""


def publish(folder: Path, *, entries: bool = False) -> int:
    """Brings the folder up to the newest checkpoint and returns its size. Safe to run twice, and beside itself.

    Raises PublishedElsewhere when the folder holds another log, keys.KeyTrouble, OSError (a full disk leaves the
    folder at its former checkpoint, which stays whole).
    """
    newest = checkpoints.latest() or checkpoints.make()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        since = _published(folder)
        if since > newest.size:
            return since
        written = set()
        for tile in tiles.covering(newest.size, since=since):
            written.add(_write(folder / tile.path, _hashes(tile)))
            if entries and tile.level == 0:
                written.add(_write(folder / tile.entries_path, tiles.write_entries(_bodies(tile))))
        # The tiles' names are on disk before the checkpoint that needs them is.
        for parent in written:
            _sync(parent)
        _sync(_write(folder / CHECKPOINT, checkpoints.cosigned(newest).encode()))
    return newest.size


def _published(folder: Path) -> int:
    """The size of the checkpoint in the folder, 0 for a new folder."""
    try:
        with (folder / CHECKPOINT).open("rb") as file:
            note = file.read(notes.MAX_NOTE + 1).decode()
    except FileNotFoundError:
        return 0
    try:
        stated = notes.verify(note, keys.public_key("log"), origin=settings.VOUCH_LOG_ORIGIN)
    except notes.BadNote as error:
        raise PublishedElsewhere(f"{folder} holds no checkpoint of this log: {error}.") from error
    known = Checkpoint.objects.filter(size=stated.size).first()
    if known is None or bytes(known.root) != stated.root:
        raise PublishedElsewhere(f"{folder} holds a checkpoint that this database never signed.")
    return stated.size


def _hashes(tile: tiles.Tile) -> bytes:
    first = tile.index * tiles.WIDTH
    until = first + tile.width
    if tile.level == 0:
        found = Leaf.objects.filter(index__gte=first, index__lt=until).order_by("index")
        hashes = [bytes(value) for value in found.values_list("leaf_hash", flat=True)]
    else:
        level = tile.level * tiles.HEIGHT
        nodes = Node.objects.filter(level=level, position__gte=first, position__lt=until).order_by("position")
        hashes = [bytes(value) for value in nodes.values_list("hash", flat=True)]
    if len(hashes) != tile.width:
        raise PublishedElsewhere(f"The database lacks hashes of {tile.path}: it is not whole. Nothing was published.")
    return b"".join(hashes)


def _bodies(tile: tiles.Tile) -> list[bytes]:
    first = tile.index * tiles.WIDTH
    found = Leaf.objects.filter(index__gte=first, index__lt=first + tile.width).order_by("index")
    return [bytes(body) for body in found.values_list("body", flat=True)]


def _write(path: Path, data: bytes) -> Path:
    """Whole or not at all: written beside, on disk, then renamed. Returns the folder, which is yet to be synced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".draft")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    return path.parent


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
