"""Where key material lies: one small file a key, in a folder of its own. The database never has any.

A dump of the database, its write-ahead log, a replica and a snapshot of its disk therefore hold no key, whoever makes
them and however. The folder (``VOUCH_KEYSTORE``) is to be left out of backups: docs/vault.md says how to live with it.

======================  =======================================================================================
``ab/<id>.key``         the key's material, wrapped by the key ring
``ab/<id>.next``        material that shall follow, while the key is being rotated
``ab/<id>.gone``        a tombstone: the key was erased here, between which epochs and when; it never comes back
``epoch``               how many erasures this store has seen
``lock``                shared by writers of keys, exclusive for erasures and rotation
======================  =======================================================================================

Every erasure moves the epoch. Who knows a higher epoch than the store (the database, the mark outside) knows that the
store was put back to an earlier state, with keys in it that had been destroyed.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings

from foundation.clock import now
from foundation.keys import KeyTrouble
from foundation.vault import files
from foundation.vault.errors import KeyDestroyed, KeyMissing, Tampered, VaultMisuse

MAX_BLOB = 4096
"""More bytes than any wrapped key has (a KMS's are the longest, about 200)."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """A key's end: the store's epoch went from ``before`` to ``after`` by it."""

    before: int
    after: int
    at: datetime


class FileKeyStore:
    """A folder of wrapped keys. Several processes and hosts may share it where ``flock`` works."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> bool:
        """Makes an empty store where there is none; whether it did. Raises StorageDown, StorageFull."""
        with files.disk_errors():
            files.make_folder(self.folder)
            if (self.folder / "epoch").exists():
                return False
            files.replace(self.folder / "epoch", b"0")
        return True

    def epoch(self) -> int:
        """How many times this store's erasures have moved it on. Raises KeyTrouble, Tampered, StorageDown."""
        with files.disk_errors():
            try:
                text = (self.folder / "epoch").read_bytes()
            except FileNotFoundError:
                # Never made here in silence: it may be a volume that is not mounted.
                raise KeyTrouble(
                    "There is no key store in VOUCH_KEYSTORE.", advice="Mount it, or run `manage.py make_keys`."
                ) from None
        if not text.isdigit() or len(text) > 20:
            raise Tampered("The key store's epoch is not a number.")
        return int(text)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Held while a key is wrapped and put, so that a rotation of the master key misses none."""
        with self._locked(fcntl.LOCK_SH):
            yield

    def put(self, key_id: UUID, blob: bytes) -> None:
        """Keeps a new key's wrapped material. Call it within ``writing``.

        Raises KeyDestroyed (erased here before), VaultMisuse (there already), StorageFull, StorageDown.
        """
        self.epoch()
        if self._path(key_id, "gone").exists():
            raise KeyDestroyed
        if self._path(key_id, "key").exists():
            raise VaultMisuse("There is a key with this id.")
        with files.disk_errors():
            files.replace(self._path(key_id, "key"), blob)

    def get(self, key_id: UUID) -> list[bytes]:
        """The wrapped material, the newest first: two while it is rotated, else one.

        Raises KeyDestroyed, KeyMissing, KeyTrouble, StorageDown.
        """
        self.epoch()
        if self._path(key_id, "gone").exists():
            raise KeyDestroyed
        # The next one first: a rotation that ends between the two reads then shows its result in both.
        found = [self._read(self._path(key_id, suffix)) for suffix in ("next", "key")]
        if found[-1] is None:
            raise KeyMissing
        return [blob for blob in found if blob is not None]

    def holds(self, key_id: UUID) -> bool:
        """Whether there is material of this key."""
        return any(self._path(key_id, suffix).exists() for suffix in ("key", "next"))

    def changed(self, key_id: UUID) -> datetime | None:
        """When this key's material was last put here; None when there is none."""
        try:
            return datetime.fromtimestamp(self._path(key_id, "key").stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    def ids(self) -> Iterator[UUID]:
        """The keys that have material here, in no order."""
        for path in self.folder.glob("[0-9a-f][0-9a-f]/*.key"):
            yield UUID(path.stem)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else writes, erases or rotates meanwhile. Not reentrant."""
        with self._locked(fcntl.LOCK_EX):
            yield

    def rewrap(self, key_id: UUID, again: Callable[[bytes], bytes]) -> None:
        """Passes the key's wrapped material through ``again``; what that changes is replaced, the old overwritten.

        Call it within ``alone``. Raises as ``get``, what ``again`` raises, and StorageFull.
        """
        self.get(key_id)
        for path in (self._path(key_id, "key"), self._path(key_id, "next")):
            old = self._read(path)
            if old is not None and (new := again(old)) != old:
                with files.disk_errors():
                    draft = path.with_name(path.name + ".new")
                    files.replace(draft, new)
                    self._take_place(draft, path)

    def start_rotation(self, key_id: UUID, blob: bytes) -> None:
        """Puts the material that shall follow beside the present, unless a rotation has begun. Raises as ``get``."""
        with self._locked(fcntl.LOCK_EX):
            if len(self.get(key_id)) == 1:
                with files.disk_errors():
                    files.replace(self._path(key_id, "next"), blob)

    def finish_rotation(self, key_id: UUID) -> None:
        """The material that follows takes the place of the old, which is overwritten. Raises as ``get``."""
        with self._locked(fcntl.LOCK_EX):
            if len(self.get(key_id)) == 2:
                with files.disk_errors():
                    self._take_place(self._path(key_id, "next"), self._path(key_id, "key"))

    def erase(self, key_id: UUID) -> Erasure:
        """Overwrites and removes the key's material and leaves a tombstone; the epoch moves on. Safe to call twice.

        An epoch is never given twice; a crash in here may skip one. Raises KeyTrouble, StorageFull, StorageDown.
        """
        with self._locked(fcntl.LOCK_EX):
            gone = self._path(key_id, "gone")
            if not gone.exists():
                before = self.epoch()
                done = {"before": before, "after": before + 1, "at": now().isoformat()}
                with files.disk_errors():
                    files.replace(self.folder / "epoch", str(before + 1).encode())
                    files.replace(gone, json.dumps(done).encode())
            with files.disk_errors():
                # Whatever carries its name: a writer that was killed may have left a draft, too.
                for path in sorted(gone.parent.glob(f"{key_id.hex}.*")):
                    if path != gone:
                        self._remove(path)
            return self._tombstone(gone)

    def move_on(self, at_least: int) -> int:
        """Raises the epoch above ``at_least``: a restored store, once cleaned, is no older than what was known."""
        with self._locked(fcntl.LOCK_EX):
            after = max(self.epoch(), at_least) + 1
            with files.disk_errors():
                files.replace(self.folder / "epoch", str(after).encode())
            return after

    def _read(self, path: Path) -> bytes | None:
        with files.disk_errors():
            try:
                with path.open("rb") as file:
                    return file.read(MAX_BLOB)
            except FileNotFoundError:
                return None

    def _take_place(self, new: Path, old: Path) -> None:
        """One rename, so that at no moment there is neither; the old bytes are overwritten behind it."""
        handle = os.open(old, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.rename(new, old)
            files.sync_folder(old.parent)
            files.overwrite(handle)
        finally:
            os.close(handle)

    def _remove(self, path: Path) -> None:
        try:
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            files.overwrite(handle)
        finally:
            os.close(handle)
        path.unlink()
        files.sync_folder(path.parent)

    def _tombstone(self, path: Path) -> Erasure:
        try:
            found = json.loads(path.read_bytes())
            return Erasure(int(found["before"]), int(found["after"]), datetime.fromisoformat(found["at"]))
        except (ValueError, KeyError, TypeError) as error:
            raise Tampered(f"The tombstone {path.name} was changed.") from error

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        self.epoch()
        with files.disk_errors():
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, how)
            yield
        finally:
            os.close(handle)

    def _path(self, key_id: UUID, suffix: str) -> Path:
        return self.folder / key_id.hex[:2] / f"{key_id.hex}.{suffix}"


def current() -> FileKeyStore:
    """The deployment's key store."""
    return FileKeyStore(settings.VOUCH_KEYSTORE)


def epoch() -> int:
    """The deployment's key-store epoch now. Raises KeyTrouble, Tampered, StorageDown."""
    return current().epoch()
