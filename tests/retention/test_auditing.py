"""The audit finds what should not be there, and nothing in a house in order."""

import os
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from demo import recordings
from foundation.clock import move_forward, now
from foundation.vault import erasing, keystore, storage
from foundation.vault import services as vault
from foundation.vault.models import SealedObject, VaultKey
from retention import auditing, custody
from retention.models import CustodyItem
from tests.cloning import factories
from tests.retention.factories import SYSTEM, received

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = time.time() - 7200


@pytest.fixture(autouse=True)
def in_order() -> None:
    """What other tests left behind in the folders is not this one's."""
    import shutil

    for folder in (settings.VOUCH_STORAGE, *settings.VOUCH_KEYSTORE.glob("??")):
        shutil.rmtree(folder, ignore_errors=True)


def kinds(*temporary: Path) -> list[str]:
    return [finding.kind for finding in auditing.audit(temporary)]


def aged(path: Path) -> None:
    os.utime(path, (LONG_AGO, LONG_AGO))


def test_a_house_in_order_has_no_findings(person: Any, tmp_path: Path, capsys: Any) -> None:
    owner = person()
    factories.voice(owner, factories.consent(owner))
    item = received(owner)
    custody.derive(parent=item, data=b"features", kind="features", actor=SYSTEM)
    custody.destroy(item=received(owner), reason="test", actor=SYSTEM)
    move_forward(timedelta(hours=2))
    for path in settings.VOUCH_STORAGE.rglob("*.sealed"):
        aged(path)
    assert auditing.audit([tmp_path]) == []
    out = StringIO()
    call_command("custody_audit", "--temporary", str(tmp_path), stdout=out)
    assert out.getvalue().startswith("Nothing:")


def test_overdue_and_outliving_are_found() -> None:
    item = received(deadline=now() + timedelta(hours=1))
    child = custody.derive(parent=item, data=b"features", kind="features", actor=SYSTEM)
    move_forward(timedelta(hours=2))
    assert kinds() == ["overdue"]
    custody.destroy(item=item, reason="test", actor=SYSTEM)
    assert kinds() == []
    with connection.cursor() as cursor:  # what only somebody above the database's own triggers can bring about
        cursor.execute("ALTER TABLE retention_custodyitem DISABLE TRIGGER custody_only_ends")
        CustodyItem.objects.filter(id=child.id).update(state="held", destroyed_at=None, destroyed_reason="")
        cursor.execute("ALTER TABLE retention_custodyitem ENABLE TRIGGER custody_only_ends")
    assert "outlives_parent" in kinds()


def test_orphans_of_the_database_are_found() -> None:
    key = vault.create_key(kind="output", owner_ref="nobody", actor=SYSTEM)
    vault.store(key=key, kind="output", owner_ref="nobody", data=b"sound", not_after=None, actor=SYSTEM)
    vault.create_key(kind="voice", owner_ref="nobody", actor=SYSTEM)
    assert kinds() == []  # an act in progress looks the same
    move_forward(timedelta(hours=2))
    assert sorted(kinds()) == ["orphan_key", "orphan_object"]


def test_strays_lost_and_unsealed_files_are_found() -> None:
    received()
    known = settings.VOUCH_STORAGE / SealedObject.objects.get().location
    stray = settings.VOUCH_STORAGE / storage.location_of(uuid4())
    stray.parent.mkdir(parents=True, exist_ok=True)
    stray.write_bytes(b"VSO1 of nobody")
    assert kinds() == []
    aged(stray)
    assert kinds() == ["stray_file"]
    stray.unlink()
    content = known.read_bytes()
    known.write_bytes(b"plain bytes")
    aged(known)
    assert kinds() == ["not_sealed"]
    known.unlink()
    assert kinds() == ["file_lost"]
    known.write_bytes(content)


@pytest.fixture
def bucket(settings: Any, monkeypatch: Any) -> Any:
    """A bucket instead of the folder, and a client for it."""
    from moto import mock_aws

    from foundation.vault import lifecycle, s3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        settings.VOUCH_S3_BUCKET, settings.VOUCH_S3_PREFIX = "audited", "vouch/"
        client = s3.BucketStorage(bucket="audited", prefix="vouch/")._client
        client.create_bucket(Bucket="audited")
        client.put_bucket_lifecycle_configuration(
            Bucket="audited", LifecycleConfiguration=lifecycle.recommended("vouch/")
        )
        s3.checked_bucket.cache_clear()
        yield client
        s3.checked_bucket.cache_clear()


def test_strays_and_unsealed_objects_of_a_bucket_are_found_once_they_are_settled(bucket: Any) -> None:
    item = received()
    known = SealedObject.objects.get().location
    stray = storage.location_of(uuid4())
    bucket.put_object(Bucket="audited", Key=f"vouch/{stray}", Body=b"VSO1 of nobody")
    assert kinds() == []  # an act in progress looks the same
    move_forward(timedelta(hours=2))
    bucket.create_multipart_upload(Bucket="audited", Key="vouch/never-ended")  # moto says: begun in 2010
    found = {(one.kind, one.where) for one in auditing.audit()}
    assert found == {("stray_file", stray), ("stray_file", "never-ended")}
    for body in (b"RIFF plain sound", b""):
        bucket.put_object(Bucket="audited", Key=f"vouch/{known}", Body=body)
        assert ("not_sealed", known) in {(one.kind, one.where) for one in auditing.audit()}
    custody.destroy(item=item, reason="test", actor=SYSTEM)


def test_a_key_of_an_act_that_was_rolled_back_is_found_and_erased_on_demand() -> None:
    kept = received()
    with transaction.atomic():
        undone = vault.create_key(kind="output", owner_ref="nobody", actor=SYSTEM)
        transaction.set_rollback(True)
    assert kinds() == []
    assert erasing.erase_orphans(actor=SYSTEM) == 0  # it may be an act in progress
    aged(settings.VOUCH_KEYSTORE / undone.id.hex[:2] / f"{undone.id.hex}.key")
    assert kinds() == ["orphan_key"]
    out = StringIO()
    call_command("vault", "erase-orphans", stdout=out)
    assert "1" in out.getvalue()
    assert not keystore.current().holds(undone.id)
    assert keystore.current().holds(kept.key_id)
    assert kinds() == []


def test_a_file_that_outlived_its_key_is_found() -> None:
    item = received()
    location = settings.VOUCH_STORAGE / SealedObject.objects.get().location
    custody.destroy(item=item, reason="test", actor=SYSTEM)
    SealedObject.objects.update(file_deleted_at=None)
    location.parent.mkdir(exist_ok=True)
    location.write_bytes(b"VSO1")
    move_forward(timedelta(hours=2))
    assert "file_left" in kinds()


def test_keys_that_should_be_gone_or_are_lost_are_found() -> None:
    item = received()
    other = received()
    keystore.current().erase(other.key_id)
    assert kinds() == ["key_lost"]
    VaultKey.objects.filter(id=item.key_id).update(state="destroyed", destroyed_at=now())
    move_forward(timedelta(hours=2))
    found = kinds()
    assert "not_erased" in found


def test_a_key_store_put_back_to_an_earlier_state_is_found() -> None:
    custody.destroy(item=received(), reason="test", actor=SYSTEM)
    epoch = settings.VOUCH_KEYSTORE / "epoch"
    before = epoch.read_bytes()
    epoch.write_bytes(b"0")
    assert "keystore_restored" in kinds()
    epoch.write_bytes(before)


@pytest.mark.parametrize(
    "head", [b"fLaC", b"OggS", b"ID3\x04", b"\0\0\0\x20ftypM4A ", b"\x1a\x45\xdf\xa3", b"FORM\0\0\0\0AIFF"]
)
def test_sound_in_the_clear_is_found_by_its_first_bytes(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "upload.tmp").write_bytes(head + bytes(100))
    assert kinds(tmp_path) == ["plain_sound"]


def test_a_wave_file_is_found_and_a_picture_is_not_and_the_exit_code_says_so(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "picture.webp").write_bytes(b"RIFF\0\0\0\0WEBP")
    assert kinds(tmp_path) == []
    sound, rate = recordings.say("This lies in the clear.", voice="slt")
    (tmp_path / "left.bin").write_bytes(recordings.wav(sound, rate))
    out = StringIO()
    with pytest.raises(SystemExit) as exit_code:
        call_command("custody_audit", "--temporary", str(tmp_path), "--json", stdout=out)
    assert exit_code.value.code == 1
    assert '"kind": "plain_sound"' in out.getvalue()
