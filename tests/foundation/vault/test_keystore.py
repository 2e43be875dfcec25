"""The store of key material: epochs, tombstones, and a store that was put back."""

import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings as live

from foundation.identity.actors import Actor
from foundation.keys import KeyTrouble
from foundation.vault import erasing, keystore, services
from foundation.vault.errors import KeyDestroyed, KeyMissing, KeyStoreRestored, Tampered, VaultMisuse
from foundation.vault.keystore import FileKeyStore
from foundation.vault.models import SealedObject, VaultKey

ACTOR = Actor.system("test")
BLOB = b"wrapped material " * 4


@pytest.fixture
def store(tmp_path: Path) -> FileKeyStore:
    made = FileKeyStore(tmp_path / "keystore")
    assert made.make()
    return made


def put(store: FileKeyStore) -> UUID:
    key_id = uuid4()
    with store.writing():
        store.put(key_id, BLOB)
    return key_id


def test_a_key_comes_back_and_is_private(store: FileKeyStore) -> None:
    key_id = put(store)
    assert store.get(key_id) == [BLOB]
    assert list(store.ids()) == [key_id]
    modes = {path.stat().st_mode & 0o777 for path in store.folder.rglob("*") if path.is_file()}
    assert modes == {0o600}
    with pytest.raises(VaultMisuse), store.writing():
        store.put(key_id, b"another")
    with pytest.raises(KeyMissing):
        store.get(uuid4())


def test_every_erasure_moves_the_epoch_and_leaves_a_tombstone(store: FileKeyStore) -> None:
    one, two = put(store), put(store)
    first, second = store.erase(one), store.erase(two)
    assert (first.before, first.after, second.before, second.after) == (0, 1, 1, 2)
    assert store.erase(one) == first
    assert store.epoch() == 2
    assert not store.holds(one)
    assert not any(BLOB in path.read_bytes() for path in store.folder.rglob("*") if path.is_file())
    for act in (lambda: store.get(one), lambda: store.put(one, BLOB)):
        with pytest.raises(KeyDestroyed):
            act()


def test_the_material_is_overwritten_before_its_name_goes(store: FileKeyStore) -> None:
    key_id = put(store)
    (path,) = store.folder.glob("*/*.key")
    linked = store.folder.parent / "second-name"
    linked.hardlink_to(path)
    store.erase(key_id)
    assert linked.read_bytes() == bytes(len(BLOB))


def test_a_crash_between_epoch_and_tombstone_skips_an_epoch_and_never_repeats_one(store: FileKeyStore) -> None:
    one, two = put(store), put(store)
    (store.folder / "epoch").write_bytes(b"1")  # as after a crash in the first erasure of `one`
    assert store.erase(two).after == 2
    assert store.erase(one).after == 3


def _erase(folder: Path, ids: list[UUID], answers: Any) -> None:
    store = FileKeyStore(folder)
    answers.put([store.erase(each).after for each in ids])


def test_processes_that_erase_at_once_never_share_an_epoch(store: FileKeyStore) -> None:
    ids = [[put(store) for _ in range(10)] for _ in range(4)]
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    crowd = [fork.Process(target=_erase, args=(store.folder, part, answers)) for part in ids]
    for each in crowd:
        each.start()
    epochs = [epoch for _ in crowd for epoch in answers.get(timeout=60)]
    for each in crowd:
        each.join()
    assert sorted(epochs) == list(range(1, 41))


def test_a_store_that_is_not_there_is_not_made_in_silence(tmp_path: Path) -> None:
    absent = FileKeyStore(tmp_path / "not-mounted")
    for act in (absent.epoch, lambda: absent.get(uuid4()), lambda: absent.put(uuid4(), BLOB)):
        with pytest.raises(KeyTrouble):
            act()
    assert not absent.folder.exists()


@pytest.mark.parametrize("content", [b"", b"-1", b"1.5", b"x", b"9" * 30])
def test_a_damaged_epoch_is_refused(store: FileKeyStore, content: bytes) -> None:
    (store.folder / "epoch").write_bytes(content)
    with pytest.raises(Tampered):
        store.epoch()


# -- with the database ------------------------------------------------------------------------------------------------


@pytest.fixture
def sealed(transactional_db: None, settings: Any, tmp_path: Path) -> Callable[[bytes], SealedObject]:
    """Seals bytes under a key of their own, in a key store and with marks that belong to this test alone."""
    settings.VOUCH_KEYSTORE, settings.VOUCH_VAR = tmp_path / "keystore", tmp_path / "var"
    keystore.current().make()

    def make(data: bytes) -> SealedObject:
        key = services.create_key(kind="training", owner_ref="person:1", actor=ACTOR)
        return services.store(key=key, kind="audio", owner_ref="p", data=data, not_after=None, actor=ACTOR)

    return make


def destroy(item: SealedObject) -> None:
    services.destroy_key(key=item.key, reason="test", actor=ACTOR)


def read(item: SealedObject) -> bytes:
    return services.read(sealed_object=item, actor=ACTOR)


def test_a_restored_key_store_is_detected_and_opens_nothing(
    sealed: Callable[[bytes], SealedObject], tmp_path: Path
) -> None:
    gone, kept = sealed(b"gone"), sealed(b"kept")
    shutil.copytree(live.VOUCH_KEYSTORE, tmp_path / "backup")
    destroy(gone)
    shutil.rmtree(live.VOUCH_KEYSTORE)
    shutil.copytree(tmp_path / "backup", live.VOUCH_KEYSTORE)
    assert keystore.current().holds(gone.key_id)
    with pytest.raises(KeyStoreRestored):
        read(kept)
    with pytest.raises(KeyDestroyed):
        read(gone)
    assert list(erasing.strays()) == [gone.key_id]


def test_the_mark_outside_knows_a_restored_store_without_the_database(
    sealed: Callable[[bytes], SealedObject], tmp_path: Path
) -> None:
    shutil.copytree(live.VOUCH_KEYSTORE, tmp_path / "backup")
    keystore.current().erase(uuid4())
    erasing.marks.raise_to("keystore-epoch", 1)
    shutil.rmtree(live.VOUCH_KEYSTORE)
    shutil.copytree(tmp_path / "backup", live.VOUCH_KEYSTORE)
    assert not VaultKey.objects.exists()
    with pytest.raises(KeyStoreRestored):
        erasing.refuse_restored()
