"""Full disks, storage that is away, and backups that come back."""

import os
import resource
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from foundation.clock import move_forward, now
from foundation.vault import keystore, marks
from foundation.vault.errors import KeyDestroyed, KeyMissing, KeyStoreRestored, PastDeadline, StorageDown, StorageFull
from foundation.vault.models import SealedObject, VaultKey
from retention import custody
from retention.models import CustodyItem
from tests.retention.factories import SYSTEM, received

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


def files() -> list[Path]:
    return [path for path in settings.VOUCH_STORAGE.rglob("*") if path.is_file()]


@pytest.fixture
def small_disk() -> Iterator[None]:
    """The kernel refuses to let a file of this process grow beyond 200 kB: the errno of a quota that is full."""
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_refused_by_name_and_keeps_nothing(small_disk: None) -> None:
    before = files()
    with pytest.raises((StorageFull, StorageDown)):
        received(data=os.urandom(1_000_000))
    assert files() == before
    item = CustodyItem.objects.get()
    assert (item.state, item.destroyed_reason) == ("destroyed", "not_received")
    assert not keystore.current().holds(item.key_id)


def test_storage_that_is_down_is_refused_by_name_and_keeps_nothing(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "mount").write_text("a file where the volume should be")
    settings.VOUCH_STORAGE = tmp_path / "mount"
    with pytest.raises(StorageDown):
        received()
    item = CustodyItem.objects.get()
    assert item.state == "destroyed"
    assert not keystore.current().holds(item.key_id)


def test_an_old_backup_of_database_and_files_stays_unreadable(tmp_path: Path) -> None:
    """Rows as they were while it was held, put back without the triggers as a restore does; the sealed files too."""
    item = received(deadline=now() + HOUR)
    shutil.copytree(settings.VOUCH_STORAGE, tmp_path / "backup")
    then = {
        table: _rows(table) for table in ("vault_vaultkey", "vault_sealedobject", "retention_custodyitem")
    }  # fmt: skip
    move_forward(HOUR)
    assert custody.sweep() == 1
    shutil.copytree(tmp_path / "backup", settings.VOUCH_STORAGE, dirs_exist_ok=True)
    for table, rows in then.items():
        _restore(table, rows)
    # The restored rows even claim a deadline that has not come: its seal is bound to the true one.
    for later in (False, True):
        if later:
            with connection.cursor() as cursor:
                cursor.execute("UPDATE vault_sealedobject SET not_after = not_after + interval '9 days'")
                cursor.execute("ALTER TABLE retention_custodyitem DISABLE TRIGGER ALL")
                cursor.execute("UPDATE retention_custodyitem SET deadline = deadline + interval '2 days'")
                cursor.execute("ALTER TABLE retention_custodyitem ENABLE TRIGGER ALL")
        item.refresh_from_db()
        assert (item.state, VaultKey.objects.get().state) == ("held", "active")
        with pytest.raises((PastDeadline, KeyDestroyed, KeyMissing)):
            custody.read(item=item, actor=SYSTEM)
    assert files()
    SealedObject.objects.update(file_deleted_at=None)


def test_a_key_store_put_back_is_refused_by_its_epoch(tmp_path: Path) -> None:
    item, other = received(deadline=now() + HOUR), received()
    shutil.copytree(settings.VOUCH_KEYSTORE, tmp_path / "keystore")
    move_forward(HOUR)
    custody.sweep()
    now_there = settings.VOUCH_KEYSTORE.rename(tmp_path / "now")
    shutil.copytree(tmp_path / "keystore", settings.VOUCH_KEYSTORE)
    assert keystore.current().holds(item.key_id)
    assert marks.read("keystore-epoch") > keystore.current().epoch()
    with pytest.raises(KeyStoreRestored):
        custody.read(item=other, actor=SYSTEM)
    shutil.rmtree(settings.VOUCH_KEYSTORE)
    now_there.rename(settings.VOUCH_KEYSTORE)
    assert custody.read(item=other, actor=SYSTEM)


def _rows(table: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t")  # noqa: S608 - our own table
        return list(cursor.fetchall())


def _restore(table: str, rows: list[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [table],
        )
        columns = ", ".join(f'"{name}"' for (name,) in cursor.fetchall())
        for (row,) in rows:
            cursor.execute(
                f"UPDATE {table} SET ({columns}) = (SELECT {columns} FROM jsonb_populate_record(NULL::{table}, %s)) "  # noqa: S608
                f"WHERE id = (%s::jsonb->>'id')::uuid",
                [row, row],
            )
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
