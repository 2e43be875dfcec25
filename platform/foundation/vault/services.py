"""Keys and sealed objects: the only way in and out of the vault."""

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db import transaction

from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault import objects, storage
from foundation.vault.errors import ClearanceNeeded
from foundation.vault.models import KeyState, SealedObject, VaultKey
from foundation.vault.voices import VOICE, open_voice, store_voice

__all__ = [
    "VOICE",
    "create_key",
    "delete_dead_files",
    "destroy_key",
    "open_voice",
    "read",
    "read_stream",
    "store",
    "store_voice",
]


@transaction.atomic
def create_key(*, kind: str, owner_ref: str, actor: Actor) -> VaultKey:
    """A fresh data key, wrapped. Everything sealed under it dies with it. Raises keys.KeyTrouble.

    It appends to the log, and so makes every other act wait until the caller commits: commit before streaming.
    """
    key = VaultKey(kind=kind, owner_ref=owner_ref)
    key.wrapped = objects.new_wrapped_key(key)
    key.save(force_insert=True)
    log.append(kind="key.created", subject=f"key:{key.id}", actor=actor, data={"key_kind": kind, "owner": owner_ref})
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
    raises, nothing is kept. Raises KeyDestroyed, PastDeadline, Tampered, ClearanceNeeded (for a key of a voice).
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
def destroy_key(*, key: VaultKey, reason: str, actor: Actor) -> None:
    """Overwrites the key's material with NULL, for good; on commit the ciphertext files go too. Safe to call twice.

    What this proves is that this database has no key any more. A backup of it made earlier still has: keep the
    vault's tables out of long-lived backups.
    """
    held = VaultKey.objects.select_for_update().get(id=key.id)
    if held.state != KeyState.DESTROYED:
        held.wrapped, held.state, held.destroyed_at, held.destroyed_reason = None, KeyState.DESTROYED, now(), reason
        held.save(update_fields=["wrapped", "state", "destroyed_at", "destroyed_reason"])
        log.append(
            kind="key.destroyed",
            subject=f"key:{held.id}",
            actor=actor,
            data={"key_kind": held.kind, "owner": held.owner_ref, "reason": reason},
        )

        def delete_files() -> None:
            delete_dead_files(key_id=held.id)

        # robust: a disk error must not hide that the key is gone; the task ``vault.delete_dead_files`` tries again.
        transaction.on_commit(delete_files, robust=True)
    key.wrapped, key.state = None, held.state
    key.destroyed_at, key.destroyed_reason = held.destroyed_at, held.destroyed_reason


def delete_dead_files(*, key_id: uuid.UUID | None = None) -> int:
    """Deletes the files of destroyed keys (of one, or of all) and returns how many. Safe to run twice."""
    dead = SealedObject.objects.filter(key__state=KeyState.DESTROYED, file_deleted_at=None)
    if key_id is not None:
        dead = dead.filter(key_id=key_id)
    count = 0
    for object_id, location in dead.values_list("id", "location"):
        storage.current().delete(location)
        count += SealedObject.objects.filter(id=object_id, file_deleted_at=None).update(file_deleted_at=now())
    return count


def _refuse_voice(key_id: uuid.UUID) -> None:
    if VaultKey.objects.values_list("kind", flat=True).get(id=key_id) == VOICE:
        raise ClearanceNeeded
