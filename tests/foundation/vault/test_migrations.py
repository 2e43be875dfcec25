"""Keys that lay in the database move into the key store, and keep opening what they sealed."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from foundation.identity.actors import Actor
from foundation.vault import envelope, keyring, keystore, objects, services, storage
from foundation.vault.errors import KeyDestroyed
from foundation.vault.models import SealedObject, VaultKey

BEFORE = [("vault", "0001_initial")]


def migrate(targets: Any) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return MigrationExecutor(connection).loader.project_state(targets).apps


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_wrapped_keys_leave_the_database_and_still_open(settings: Any, tmp_path: Path) -> None:
    settings.VOUCH_KEYSTORE, settings.VOUCH_VAR = tmp_path / "keystore", tmp_path / "var"
    # Of every app: going back takes those with it that were built on what the vault has now.
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    old = migrate(BEFORE)
    try:
        live = VaultKey(kind="training", owner_ref="person:1")
        material = envelope.new_data_key()
        wrapped = envelope.wrap(
            keyring.KeyFiles(settings.VOUCH_KEYS).secret("master"), material, bound_to=objects.key_context(live)
        )
        old.get_model("vault", "VaultKey").objects.create(
            id=live.id, kind=live.kind, owner_ref=live.owner_ref, wrapped=wrapped
        )
        dead = old.get_model("vault", "VaultKey").objects.create(
            id=uuid.uuid4(), kind="training", owner_ref="person:1", state="destroyed", destroyed_at=live.created_at
        )
        item = SealedObject(kind="audio", owner_ref="person:1", key_id=live.id)
        item.location = storage.location_of(item.id)
        sealed = envelope.seal(material, [b"sealed long ago"], bound_to=objects._object_context(item))
        written = storage.current().write(item.location, sealed)
        old.get_model("vault", "SealedObject").objects.create(
            id=item.id, kind=item.kind, owner_ref=item.owner_ref, key_id=live.id, location=item.location,
            size=15, ciphertext_sha256=written.sha256,
        )  # fmt: skip
    finally:
        migrate(latest)
    assert keystore.current().get(live.id) == [wrapped]
    assert services.read(sealed_object=item, actor=Actor.system("test")) == b"sealed long ago"
    assert not keystore.current().holds(dead.id)
    with pytest.raises(KeyDestroyed):
        objects.materials(dead.id)
    call_command("rotate_keys", "keys", verbosity=0)
    assert services.read(sealed_object=item, actor=Actor.system("test")) == b"sealed long ago"
