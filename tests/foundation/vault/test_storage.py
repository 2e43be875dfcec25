import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from foundation.vault.errors import ObjectMissing, StorageDown, StorageFull, VaultMisuse
from foundation.vault.storage import FileStorage, Probe, location_of


@pytest.fixture
def store(tmp_path: Path) -> FileStorage:
    return FileStorage(tmp_path / "storage")


def files(store: FileStorage) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


def test_a_file_comes_back_and_is_private(store: FileStorage) -> None:
    location = location_of(uuid4())
    written = store.write(location, [b"one", b"two"])
    assert b"".join(store.read(location)) == b"onetwo"
    assert written.size == 6
    assert (store.folder / location).stat().st_mode & 0o777 == 0o600


def test_a_stream_that_breaks_leaves_nothing(store: FileStorage) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"one"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.write(location_of(uuid4()), breaking())
    assert files(store) == []


def test_deleting_twice_is_fine_and_reading_afterwards_is_refused(store: FileStorage) -> None:
    location = location_of(uuid4())
    store.write(location, [b"x"])
    store.delete(location)
    store.delete(location)
    store.delete(location_of(uuid4()))
    assert not store.exists(location)
    with pytest.raises(ObjectMissing):
        store.read(location)


@pytest.mark.parametrize(
    "location", ["../../etc/passwd", "/etc/passwd", "ab/" + "g" * 32 + ".sealed", "", "ab", "a\x00"]
)
def test_only_our_own_names_reach_the_file_system(store: FileStorage, location: str) -> None:
    for act in (store.read, store.delete, store.exists, store.probe):
        with pytest.raises(VaultMisuse):
            act(location)


def test_a_probe_tells_what_lies_there(store: FileStorage) -> None:
    location = location_of(uuid4())
    assert store.probe(location) == Probe(present=False, versions=0)
    store.write(location, [b"x"])
    assert store.probe(location) == Probe(present=True, versions=1)
    path = store.folder / location
    path.with_suffix(".draft").write_bytes(b"of a writer that was killed")
    assert store.probe(location) == Probe(present=True, versions=2)
    store.delete(location)
    assert store.probe(location) == Probe(present=False, versions=0)


@pytest.fixture
def small_files() -> Iterator[None]:
    """The kernel refuses files above 100 kB, as a full disk or a quota would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_named_and_keeps_nothing(store: FileStorage, small_files: None) -> None:
    with pytest.raises(StorageFull):
        store.write(location_of(uuid4()), [bytes(64 * 1024)] * 3)
    assert files(store) == []
    location = location_of(uuid4())
    store.write(location, [bytes(64 * 1024)])
    assert store.exists(location)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "storage").write_text("a file where the folder should be")
    broken = FileStorage(tmp_path / "storage")
    location = location_of(uuid4())
    for act in (lambda: broken.write(location, [b"x"]), lambda: broken.read(location), broken.check):
        with pytest.raises(StorageDown):
            act()


def test_a_disk_that_fails_in_the_end_keeps_nothing(store: FileStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StorageDown, match="Input/output"):
        store.write(location_of(uuid4()), [b"x"])
    assert files(store) == []


def test_names_tell_everything_that_lies_here(store: FileStorage) -> None:
    assert list(store.listed()) == []
    location = location_of(uuid4(), brief=True)
    store.write(location, [b"x"])
    (store.folder / "stranger").write_bytes(b"x")
    assert [one.name for one in store.listed()] == [location, "stranger"]
