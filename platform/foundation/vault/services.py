"""Keys and sealed objects: the only way in and out of the vault."""

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db import transaction

from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault import erasing, objects, storage
from foundation.vault.errors import ClearanceNeeded
from foundation.vault.models import KeyState, SealedObject, VaultKey
from foundation.vault.voices import VOICE, open_voice, store_voice

__all__ = [
    "VOICE",
    "create_key",
    "destroy_key",
    "keep_on",
    "open_voice",
    "read",
    "read_stream",
    "store",
    "store_voice",
]


@transaction.atomic
def create_key(*, kind: str, owner_ref: str, actor: Actor) -> VaultKey:
    """A fresh key, wrapped and in the key store. Everything sealed under it dies with it.

    It appends to the log, and so makes every other act wait until the caller commits: commit before streaming. Where
    the caller rolls back, the key store keeps a key of nothing. Raises keys.KeyTrouble, StorageFull, StorageDown.
    """
    key = VaultKey(kind=kind, owner_ref=owner_ref)
    objects.make_key(key)
    key.save(force_insert=True)
    log.record(kind="key.created", subject=f"key:{key.id}", actor=actor, data={"key_kind": kind, "owner": owner_ref})
    return key


def store(
    *,
    key: VaultKey,
    kind: str,
    owner_ref: str,
    data: bytes | Iterable[bytes],
    not_after: datetime | None,
    actor: Actor,
) -> SealedObject:
    """Seals bytes, or a stream of pieces as it arrives: no plaintext touches the disk, memory stays constant.

    ``not_after`` becomes part of the encryption key: a record with another deadline opens nothing. If the stream
    raises, nothing is kept. Raises KeyDestroyed, KeyMissing, KeyStoreRestored, PastDeadline, Tampered, StorageFull,
    StorageDown, ClearanceNeeded (for a key of a voice).
    """
    _refuse_voice(key.id)
    return objects.seal(key=key, kind=kind, owner_ref=owner_ref, data=data, not_after=not_after)


def read(*, sealed_object: SealedObject, actor: Actor) -> bytes:
    """The whole plaintext. Raises PastDeadline, KeyDestroyed, Tampered, ObjectMissing, ClearanceNeeded."""
    return b"".join(read_stream(sealed_object=sealed_object, actor=actor))


def read_stream(*, sealed_object: SealedObject, actor: Actor) -> Iterator[bytes]:
    """The plaintext in chunks of 64 KiB. Checks are made at the call, the deadline again before every chunk.

    Only the end of the iteration says that nothing is missing. Raises as ``read``.
    """
    _refuse_voice(SealedObject.objects.values_list("key_id", flat=True).get(id=sealed_object.id))
    return objects.unseal(sealed_object)


@transaction.atomic
def keep_on(*, sealed_object: SealedObject) -> bool:
    """Moves a sealed file away from where a bucket's own rules drop it within days; whether it had to be moved.

    For what must outlive its deadline unread, under a legal hold. Nothing is opened, no deadline changes. Safe to call
    twice. Raises ObjectMissing, StorageFull, StorageDown.
    """
    held = SealedObject.objects.select_for_update().get(id=sealed_object.id)
    place, old = storage.current(), held.location
    new = storage.location_of(held.id)
    if old == new or held.file_deleted_at is not None:
        return False
    place.write(new, place.read(old))
    held.location = new
    held.save(update_fields=["location"])
    transaction.on_commit(lambda: place.delete(old), robust=True)
    return True


@transaction.atomic
def destroy_key(*, key: VaultKey, reason: str, actor: Actor) -> None:
    """Ends the key, for good: from this transaction on nothing opens it. Safe to call twice.

    On commit its material leaves the key store, which records the epochs before and after (``VaultKey.epoch_before``,
    ``epoch_after``, ``erased_at`` and the event ``key.erased``), and the ciphertext files leave storage.
    """
    held = VaultKey.objects.select_for_update().get(id=key.id)
    if held.state != KeyState.DESTROYED:
        held.state, held.destroyed_at, held.destroyed_reason = KeyState.DESTROYED, now(), reason
        held.save(update_fields=["state", "destroyed_at", "destroyed_reason"])
        log.record(
            kind="key.destroyed",
            subject=f"key:{held.id}",
            actor=actor,
            data={"key_kind": held.kind, "owner": held.owner_ref, "reason": reason},
        )

        def finish() -> None:
            erasing.finish(key_id=held.id)

        # robust: a disk error must not hide that the key is destroyed; ``vault.finish_destruction`` tries again.
        transaction.on_commit(finish, robust=True)
    key.state, key.destroyed_at, key.destroyed_reason = held.state, held.destroyed_at, held.destroyed_reason


def _refuse_voice(key_id: uuid.UUID) -> None:
    if VaultKey.objects.values_list("kind", flat=True).get(id=key_id) == VOICE:
        raise ClearanceNeeded
