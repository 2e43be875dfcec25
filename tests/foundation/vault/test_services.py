"""The vault with its database: deadlines, destroyed keys, tampering, and the door for voices."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings as live
from django.db import DatabaseError, connection, transaction

from foundation import clock, keys
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from foundation.vault import clearance, envelope, erasing, keystore, objects, services
from foundation.vault.errors import (
    ClearanceExpired,
    ClearanceInvalid,
    ClearanceMismatch,
    ClearanceNeeded,
    ClearanceUsed,
    KeyDestroyed,
    ObjectMissing,
    PastDeadline,
    Tampered,
    VaultMisuse,
)  # fmt: skip
from foundation.vault.models import ClearanceUse, SealedObject, VaultKey

pytestmark = pytest.mark.django_db
ACTOR = Actor.system("test")
SECRET = b"nobody may hear this"


def path_of(sealed: SealedObject) -> Path:
    return Path(live.VOUCH_STORAGE) / sealed.location


def all_files() -> set[Path]:
    return {path for path in Path(live.VOUCH_STORAGE).rglob("*") if path.is_file()}


@pytest.fixture
def key() -> VaultKey:
    return services.create_key(kind="training", owner_ref="person:1", actor=ACTOR)


def put(key: VaultKey, data: Any = SECRET, **changes: Any) -> SealedObject:
    fine = {"kind": "audio", "owner_ref": "person:1", "not_after": None, "actor": ACTOR}
    return services.store(key=key, data=data, **fine | changes)


def read(sealed: SealedObject) -> bytes:
    return services.read(sealed_object=sealed, actor=ACTOR)


def kinds() -> list[str]:
    return list(Leaf.objects.order_by("index").values_list("kind", flat=True))


def test_what_is_stored_comes_back_and_lies_nowhere_in_the_clear(key: VaultKey) -> None:
    sealed = put(key)
    assert read(SealedObject.objects.get(id=sealed.id)) == SECRET
    assert sealed.size == len(SECRET)
    assert SECRET not in path_of(sealed).read_bytes()
    streamed = put(key, iter([b"a" * 70_000, b"b" * 70_000]))
    assert read(streamed) == b"a" * 70_000 + b"b" * 70_000
    assert streamed.size == 140_000


def test_a_stream_that_breaks_is_not_kept(key: VaultKey) -> None:
    def breaking() -> Iterator[bytes]:
        yield SECRET
        raise ConnectionResetError

    before = all_files()
    with pytest.raises(ConnectionResetError):
        put(key, breaking())
    assert all_files() == before
    assert not SealedObject.objects.exists()


def test_past_the_deadline_nothing_opens_or_is_stored(key: VaultKey) -> None:
    sealed = put(key, b"x" * 200_000, not_after=clock.now() + timedelta(hours=1))
    half_read = services.read_stream(sealed_object=sealed, actor=ACTOR)
    next(half_read)
    clock.move_forward(timedelta(hours=1))
    with pytest.raises(PastDeadline):
        read(sealed)
    with pytest.raises(PastDeadline):
        next(half_read)
    with pytest.raises(PastDeadline):
        put(key, not_after=clock.now())


def test_moving_the_deadline_in_the_database_opens_nothing(key: VaultKey) -> None:
    sealed = put(key, not_after=clock.now() + timedelta(hours=1))
    assert read(sealed) == SECRET
    SealedObject.objects.update(not_after=clock.now() + timedelta(days=900))
    with pytest.raises(Tampered):
        read(sealed)
    sealed.not_after = None
    SealedObject.objects.update(not_after=None)
    with pytest.raises(Tampered):
        read(sealed)


@pytest.mark.parametrize("field", ["kind", "owner_ref"])
def test_a_record_changed_in_the_database_opens_nothing(key: VaultKey, field: str) -> None:
    sealed = put(key)
    SealedObject.objects.update(**{field: "other"})
    with pytest.raises(Tampered):
        read(sealed)


@pytest.mark.parametrize("field", ["kind", "owner_ref"])
def test_a_key_changed_in_the_database_opens_nothing(key: VaultKey, field: str) -> None:
    sealed = put(key)
    VaultKey.objects.filter(id=key.id).update(**{field: "other"})
    with pytest.raises(Tampered):
        read(sealed)


def test_keys_swapped_in_the_store_or_the_record_open_nothing(key: VaultKey) -> None:
    one, two = put(key, b"first"), put(key, b"other")
    stranger = services.create_key(kind="training", owner_ref="person:1", actor=ACTOR)
    SealedObject.objects.filter(id=one.id).update(data_key=SealedObject.objects.get(id=two.id).data_key)
    with pytest.raises(Tampered):
        read(one)
    SealedObject.objects.filter(id=one.id).update(data_key=None)
    with pytest.raises(Tampered):
        read(one)
    store = keystore.current()
    with store.alone():
        store.rewrap(key.id, lambda _: store.get(stranger.id)[0])
    with pytest.raises(Tampered):
        read(two)


def test_what_was_sealed_before_there_were_data_keys_still_opens(key: VaultKey) -> None:
    sealed = put(key)
    material = objects.materials(key.id)[0]
    old = b"".join(envelope.seal(material, [b"old"], bound_to=objects._object_context(sealed)))
    path_of(sealed).write_bytes(old)
    SealedObject.objects.filter(id=sealed.id).update(data_key=None)
    assert read(sealed) == b"old"


def test_swapped_and_damaged_and_lost_files_are_noticed(key: VaultKey) -> None:
    one, two = put(key, b"first"), put(key, b"other")
    first, second = path_of(one).read_bytes(), path_of(two).read_bytes()
    path_of(one).write_bytes(second)
    with pytest.raises(Tampered):
        read(one)
    for place in range(len(first)):
        bent = bytearray(first)
        bent[place] ^= 1 << place % 8
        path_of(one).write_bytes(bytes(bent))
        with pytest.raises(Tampered):
            read(one)
    path_of(one).unlink()
    with pytest.raises(ObjectMissing):
        read(one)


def test_a_destroyed_key_takes_everything_with_it(key: VaultKey, django_capture_on_commit_callbacks: Any) -> None:
    sealed, other = put(key), put(services.create_key(kind="training", owner_ref="person:1", actor=ACTOR))
    before = keystore.epoch()
    with django_capture_on_commit_callbacks(execute=True):
        services.destroy_key(key=key, reason="deadline", actor=ACTOR)
        services.destroy_key(key=key, reason="again", actor=ACTOR)
    stored = VaultKey.objects.get(id=key.id)
    assert (stored.state, stored.destroyed_reason) == ("destroyed", "deadline")
    assert key.state == "destroyed"
    assert not keystore.current().holds(key.id)
    assert (stored.epoch_before, stored.epoch_after) == (before, before + 1)
    assert keystore.epoch() == before + 1
    assert kinds().count("key.erased") == 1
    assert kinds().count("key.destroyed") == 1
    assert not path_of(sealed).exists()
    assert SealedObject.objects.get(id=sealed.id).file_deleted_at is not None
    for act in (lambda: read(sealed), lambda: put(key)):
        with pytest.raises(KeyDestroyed):
            act()
    assert read(other) == SECRET


def test_ciphertext_that_outlives_its_key_is_unreadable_and_swept(key: VaultKey) -> None:
    sealed = put(key)
    services.destroy_key(key=key, reason="test", actor=ACTOR)
    assert path_of(sealed).exists(), "the transaction of a test never commits, as after a crash"
    with pytest.raises(KeyDestroyed):
        read(sealed)
    assert erasing.finish() == (1, 1)
    assert erasing.finish() == (0, 0)
    assert not path_of(sealed).exists()
    assert not keystore.current().holds(key.id)


def test_a_key_destroyed_while_the_stream_comes_in_keeps_no_file(key: VaultKey) -> None:
    def stream() -> Iterator[bytes]:
        yield b"first half"
        services.destroy_key(key=VaultKey.objects.get(id=key.id), reason="test", actor=ACTOR)
        yield b"second half"

    before = all_files()
    with pytest.raises(KeyDestroyed):
        put(key, stream())
    assert all_files() == before


def test_the_database_takes_no_destroyed_key_back(key: VaultKey) -> None:
    services.destroy_key(key=key, reason="test", actor=ACTOR)
    revive = "UPDATE vault_vaultkey SET state = 'active', destroyed_at = NULL WHERE id = %s"
    forget = "UPDATE vault_vaultkey SET erased_at = NULL, epoch_before = NULL, epoch_after = NULL WHERE id = %s"
    for statement in (revive, forget):
        with pytest.raises(DatabaseError, match="stays destroyed"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, [key.id])
        erasing.finish()


def test_the_log_shows_keys_coming_and_going_and_no_material(key: VaultKey) -> None:
    services.destroy_key(key=key, reason="test", actor=ACTOR)
    leaves = [json.loads(bytes(leaf.body)) for leaf in Leaf.objects.order_by("index")]
    assert [leaf["kind"] for leaf in leaves] == ["key.created", "key.destroyed"]
    assert {leaf["subject"] for leaf in leaves} == {f"key:{key.id}"}


def test_a_file_that_must_stay_longer_is_moved_unopened(key: VaultKey, django_capture_on_commit_callbacks: Any) -> None:
    sealed = put(key, not_after=clock.now() + timedelta(hours=1))
    old, content = path_of(sealed), path_of(sealed).read_bytes()
    with django_capture_on_commit_callbacks(execute=True):
        assert services.keep_on(sealed_object=sealed)
        assert not services.keep_on(sealed_object=sealed)
    sealed.refresh_from_db()
    assert path_of(sealed).read_bytes() == content
    assert not old.exists()
    assert read(sealed) == SECRET
    old.write_bytes(content)  # as after a crash between the move and the deletion
    services.destroy_key(key=key, reason="test", actor=ACTOR)
    erasing.finish()
    assert not old.exists()
    assert not path_of(sealed).exists()


class VoiceCase:
    """A voice's key and a maker of clearances for it."""

    def __init__(self) -> None:
        self.voice_id = uuid4()
        self.key = services.create_key(kind="voice", owner_ref=str(self.voice_id), actor=ACTOR)
        self.digest = "cd" * 32

    def token(self, purpose: str, **changes: Any) -> str:
        moment = clock.now()
        fine = clearance.Clearance(
            id=uuid4(), purpose=purpose, voice_id=self.voice_id, digest=self.digest, consent_id=uuid4(),  # type: ignore[arg-type]
            licence_id=None, requester_id=uuid4(), policy_version="core@1", rehearsal=True, issued_at=moment,
            expires_at=moment + timedelta(minutes=3),
        )  # fmt: skip
        return clearance.encode(replace(fine, **changes), keys.private_key("gate"))

    def stored(self) -> SealedObject:
        return self.store(self.token("train"))

    def store(self, token: str) -> SealedObject:
        return services.store_voice(
            clearance=token, key=self.key, owner_ref="voice", data=b"weights", digest=self.digest, actor=ACTOR
        )

    def open(self, token: str, sealed: SealedObject, digest: str | None = None) -> bytes:
        return services.open_voice(clearance=token, sealed_object=sealed, digest=digest or self.digest, actor=ACTOR)


@pytest.fixture
def voice() -> VoiceCase:
    return VoiceCase()


def test_a_voice_opens_with_its_clearance_once(voice: VoiceCase) -> None:
    sealed, token = voice.stored(), voice.token("speak")
    assert voice.open(token, sealed) == b"weights"
    with pytest.raises(ClearanceUsed):
        voice.open(token, sealed)
    assert kinds().count("clearance.used") == 2
    assert voice.open(voice.token("speak"), sealed) == b"weights"


def test_without_a_clearance_a_voice_neither_opens_nor_is_stored(voice: VoiceCase) -> None:
    sealed = voice.stored()
    voice.key.kind = "training"
    sealed.key.kind = "training"
    for act in (
        lambda: read(sealed),
        lambda: services.read_stream(sealed_object=sealed, actor=ACTOR),
        lambda: put(voice.key),
    ):
        with pytest.raises(ClearanceNeeded):
            act()


def refused_speech(voice: VoiceCase) -> list[tuple[str, type[Exception]]]:
    moment = clock.now()
    return [
        (voice.token("train"), ClearanceMismatch),
        (voice.token("speak", voice_id=uuid4()), ClearanceMismatch),
        (voice.token("speak", digest="ef" * 32), ClearanceMismatch),
        (voice.token("speak", issued_at=moment - timedelta(minutes=5), expires_at=moment), ClearanceExpired),
        ("rubbish", ClearanceInvalid),
        (voice.token("speak")[:-4] + "AAAA", ClearanceInvalid),
    ]


def test_a_clearance_for_something_else_opens_nothing_and_is_not_spent(voice: VoiceCase) -> None:
    sealed = voice.stored()
    for token, error in refused_speech(voice):
        with pytest.raises(error):
            voice.open(token, sealed)
    with pytest.raises(ClearanceMismatch):
        voice.open(voice.token("speak"), sealed, digest="ef" * 32)
    with pytest.raises(ClearanceMismatch):
        voice.store(voice.token("speak"))
    assert ClearanceUse.objects.count() == 1
    assert kinds().count("clearance.used") == 1


def test_a_rehearsals_clearance_is_worth_nothing_outside_it(voice: VoiceCase, settings: Any) -> None:
    sealed, token = voice.stored(), voice.token("speak")
    settings.REHEARSAL = False
    with pytest.raises(ClearanceInvalid):
        voice.open(token, sealed)
    assert voice.open(voice.token("speak", rehearsal=False), sealed) == b"weights"


def test_a_destroyed_voice_stays_silent_whatever_was_cleared(voice: VoiceCase) -> None:
    sealed, token = voice.stored(), voice.token("speak")
    services.destroy_key(key=voice.key, reason="consent withdrawn", actor=ACTOR)
    with pytest.raises(KeyDestroyed):
        voice.open(token, sealed)
    assert not ClearanceUse.objects.filter(purpose="speak").exists()


def test_the_door_for_voices_is_for_voices(key: VaultKey, voice: VoiceCase) -> None:
    sealed = put(key)
    with pytest.raises(VaultMisuse):
        voice.open(voice.token("speak"), sealed)


def test_a_clearance_is_spent_even_when_opening_fails(voice: VoiceCase) -> None:
    sealed, token = voice.stored(), voice.token("speak")
    path_of(sealed).write_bytes(b"damaged")
    with pytest.raises(Tampered):
        voice.open(token, sealed)
    with pytest.raises(ClearanceUsed):
        voice.open(token, sealed)


def test_the_leaf_of_a_used_clearance_names_what_it_rests_on(voice: VoiceCase) -> None:
    licence: UUID = uuid4()
    sealed = voice.stored()
    voice.open(voice.token("speak", licence_id=licence), sealed)
    last = Leaf.objects.order_by("index").last()
    assert last is not None
    body = json.loads(bytes(last.body))
    assert body["kind"] == "clearance.used"
    assert body["rehearsal"] is True
    assert body["data"]["licence"] == str(licence)
    assert voice.digest not in bytes(last.body).decode(), "a hash of what was said could be guessed"


def test_a_clearance_is_not_spent_inside_a_transaction_that_could_take_it_back(voice: VoiceCase) -> None:
    sealed, token = voice.stored(), voice.token("speak")
    with pytest.raises(RuntimeError), transaction.atomic():
        voice.open(token, sealed)
    assert voice.open(token, sealed) == b"weights"
