"""New master keys, new vault keys: the sealed files stay as they are and keep opening."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as live
from django.core.management import call_command

from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from foundation.keys import KeyFiles
from foundation.vault import envelope, keyring, keystore, objects, rotation, services
from foundation.vault.errors import Tampered, WrongMasterKey
from foundation.vault.keystore import FileKeyStore
from foundation.vault.models import SealedObject, VaultKey
from tests.foundation.vault.test_keyring import aws, client, made  # noqa: F401  (fixtures)

pytestmark = pytest.mark.django_db
ACTOR = Actor.system("test")


@pytest.fixture(autouse=True)
def own_places(settings: Any, tmp_path: Path) -> None:
    """A rotation changes the whole store and the master key: each test has its own."""
    settings.VOUCH_KEYSTORE, settings.VOUCH_KEYS = tmp_path / "keystore", tmp_path / "keys"
    settings.VOUCH_VAR, settings.VOUCH_STORAGE = tmp_path / "var", tmp_path / "storage"
    call_command("make_keys", verbosity=0)


def put(data: bytes, key: VaultKey | None = None) -> SealedObject:
    key = key or services.create_key(kind="training", owner_ref="person:1", actor=ACTOR)
    return services.store(key=key, kind="audio", owner_ref="p", data=data, not_after=None, actor=ACTOR)


def read(sealed: SealedObject) -> bytes:
    return services.read(sealed_object=sealed, actor=ACTOR)


def ciphertext() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(live.VOUCH_STORAGE).rglob("*.sealed")}


def blobs() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(live.VOUCH_KEYSTORE).rglob("*.key")}


def test_a_new_master_key_opens_everything_and_touches_no_audio() -> None:
    items, before, old = [put(bytes([n])) for n in range(3)], ciphertext(), blobs()
    former = KeyFiles(live.VOUCH_KEYS).secret("master")
    call_command("rotate_keys", "master", verbosity=0)
    assert KeyFiles(live.VOUCH_KEYS).secret("master") != former
    assert [read(item) for item in items] == [b"\x00", b"\x01", b"\x02"]
    assert ciphertext() == before
    assert not set(blobs().values()) & set(old.values())
    assert Leaf.objects.filter(kind="key.master_rotated").count() == 1
    (Path(live.VOUCH_KEYS) / "master.key").write_text(former.hex())
    with pytest.raises(WrongMasterKey):
        read(items[0])


def test_a_rotation_of_the_master_that_was_stopped_anywhere_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [put(bytes([n])) for n in range(3)]
    original, done = FileKeyStore.rewrap, [0]

    def stopping(self: FileKeyStore, *args: Any) -> None:
        done[0] += 1
        if done[0] == 2:
            raise KeyboardInterrupt
        original(self, *args)

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(FileKeyStore, "rewrap", stopping)
            done[0] = 0
            with pytest.raises(KeyboardInterrupt):
                rotation.rotate_master(keys=KeyFiles(live.VOUCH_KEYS), actor=ACTOR)
        items.append(put(bytes([len(items)])))
        assert [read(item) for item in items] == [bytes([n]) for n in range(len(items))]
    rotation.rotate_master(keys=KeyFiles(live.VOUCH_KEYS), actor=ACTOR)
    assert len(KeyFiles(live.VOUCH_KEYS).in_use("master")) == 1
    assert [read(item) for item in items] == [bytes([n]) for n in range(len(items))]


def test_from_a_local_master_key_into_kms_and_on_to_another(client: Any, settings: Any) -> None:  # noqa: F811
    item, first, second = put(b"secret"), made(client), made(client)
    settings.VOUCH_KMS_KEY = first
    call_command("rotate_keys", "master", verbosity=0)
    (Path(live.VOUCH_KEYS) / "master.key").unlink()
    assert read(item) == b"secret"
    settings.VOUCH_KMS_KEY, settings.VOUCH_KMS_FORMER_KEYS = second, [first]
    call_command("rotate_keys", "master", verbosity=0)
    settings.VOUCH_KMS_FORMER_KEYS = []
    client.disable_key(KeyId=first.rsplit("/")[-1])  # moto wants the bare id
    assert read(item) == b"secret"


def test_a_new_vault_key_opens_its_objects_and_touches_no_audio() -> None:
    key = services.create_key(kind="training", owner_ref="person:1", actor=ACTOR)
    items, other = [put(b"one", key), put(b"two", key)], put(b"other")
    before, old = ciphertext(), objects.materials(key.id)
    call_command("rotate_keys", "keys", "--owner", "person:1", verbosity=0)
    assert objects.materials(key.id) != old
    assert len(objects.materials(key.id)) == 1
    assert [read(item) for item in (*items, other)] == [b"one", b"two", b"other"]
    assert ciphertext() == before
    fresh = SealedObject.objects.get(id=items[0].id)
    with pytest.raises(Tampered):
        objects.data_key_of(fresh, old)


def test_a_rotation_of_a_key_that_was_stopped_anywhere_goes_on(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    key = services.create_key(kind="training", owner_ref="person:1", actor=ACTOR)
    items = [put(b"0", key)]

    def stopped(self: FileKeyStore, *args: Any) -> None:
        raise KeyboardInterrupt

    steps: list[Callable[[pytest.MonkeyPatch], None]] = [
        lambda patch: patch.setattr(rotation.objects, "data_key_of", stopped),  # nothing committed yet
        lambda patch: patch.setattr(FileKeyStore, "finish_rotation", stopped),  # committed, not finished
    ]
    for number, break_at in enumerate(steps, start=1):
        with monkeypatch.context() as patch:
            break_at(patch)
            with pytest.raises(KeyboardInterrupt):
                rotation.rotate_key(key=key, actor=ACTOR)
        items.append(put(str(number).encode(), key))
        assert [read(item) for item in items] == [str(n).encode() for n in range(number + 1)]
    rotation.rotate_key(key=key, actor=ACTOR)
    assert [read(item) for item in items] == [b"0", b"1", b"2"]


def test_an_object_that_comes_in_while_its_key_is_rotated_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    key = services.create_key(kind="training", owner_ref="person:1", actor=ACTOR)

    def stream() -> Iterator[bytes]:
        yield b"before "
        rotation.rotate_key(key=VaultKey.objects.get(id=key.id), actor=ACTOR)
        yield b"after"

    assert read(put(stream(), key)) == b"before after"  # type: ignore[arg-type]


def test_what_had_no_data_key_gets_one_by_rotation() -> None:
    item = put(b"new")
    old = b"".join(envelope.seal(objects.materials(item.key_id)[0], [b"old"], bound_to=objects._object_context(item)))
    (Path(live.VOUCH_STORAGE) / item.location).write_bytes(old)
    SealedObject.objects.filter(id=item.id).update(data_key=None)
    rotation.rotate_key(key=item.key, actor=ACTOR)
    assert SealedObject.objects.get(id=item.id).data_key is not None
    assert read(item) == b"old"


def test_keys_of_nothing_do_not_stop_a_rotation() -> None:
    with keystore.current().writing():
        keystore.current().put(VaultKey().id, keyring.current().wrap(bytes(32), bound_to=b"rolled back"))
    item = put(b"kept")
    assert rotation.rotate_master(keys=KeyFiles(live.VOUCH_KEYS), actor=ACTOR) == 1
    assert read(item) == b"kept"
