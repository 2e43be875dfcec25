"""After a key is destroyed: its material leaves the key store, its ciphertext leaves storage. Safe to run twice.

``services.destroy_key`` decides, in a transaction; what is here follows the commit and can be taken up again by the
task ``vault.finish_destruction`` after a crash or a disk error.
"""

import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta

from django.db import transaction
from django.db.models import Max

from foundation.audit import log
from foundation.clock import now
from foundation.errors import VouchError
from foundation.identity.actors import Actor
from foundation.vault import keystore, marks, storage
from foundation.vault.errors import KeyStoreRestored
from foundation.vault.models import KeyState, SealedObject, VaultKey

ACTOR = Actor.system("vault.erase")
ACT = timedelta(hours=1)
"""No act is under way for longer: a key that is older and has no record belongs to none."""


def finish(*, key_id: uuid.UUID | None = None) -> tuple[int, int]:
    """Erases destroyed keys (one, or all) and deletes their files. Returns how many of each.

    One that fails costs the others nothing; the last failure is raised in the end: KeyStoreRestored, keys.KeyTrouble,
    StorageDown, StorageFull, StorageMisconfigured, Tampered.
    """
    try:
        erased = erase_keys(key_id=key_id)
    finally:
        deleted = delete_dead_files(key_id=key_id)
    return erased, deleted


def erase_keys(*, key_id: uuid.UUID | None = None) -> int:
    """Takes the material of destroyed keys (of one, or of all) out of the key store and logs the epochs."""
    waiting = VaultKey.objects.filter(state=KeyState.DESTROYED, erased_at=None)
    if key_id is not None:
        waiting = waiting.filter(id=key_id)
    ids = list(waiting.values_list("id", flat=True))
    if ids:
        # Before the store moves on: an erasure would otherwise hide that it had been put back.
        refuse_restored()
    return _each(_erase, ids)


def refuse_restored() -> None:
    """Raises KeyStoreRestored when somebody knows a later epoch than the key store does."""
    # In this order: the store moves first in every erasure, so what others know now it knew before.
    known = known_epoch()
    if keystore.epoch() < known:
        raise KeyStoreRestored


def known_epoch() -> int:
    """The latest key-store epoch that the database or the mark outside it has seen."""
    latest = VaultKey.objects.aggregate(latest=Max("epoch_after"))["latest"] or 0
    return max(latest, marks.read("keystore-epoch"))


def strays() -> list[uuid.UUID]:
    """Keys that were erased, and have material in the key store again: somebody put it back."""
    erased = VaultKey.objects.exclude(erased_at=None).values_list("id", flat=True)
    return sorted(set(keystore.current().ids()) & set(erased))


def orphans() -> list[uuid.UUID]:
    """Keys in the key store that no record knows: of an act under way or rolled back. They open nothing."""
    return sorted(set(keystore.current().ids()) - set(VaultKey.objects.values_list("id", flat=True)))


def settled_orphans() -> list[uuid.UUID]:
    """Those of them that are older than any act under way."""
    store, latest = keystore.current(), now() - ACT
    return [key_id for key_id in orphans() if (put := store.changed(key_id)) is not None and put < latest]


def erase_orphans(*, actor: Actor) -> int:
    """Erases what acts that were rolled back left in the key store. Returns how many.

    An operator's act and never the system's: where an older database was put back, the keys of everything younger are
    orphans too. Raises KeyStoreRestored, keys.KeyTrouble, StorageDown, StorageFull.
    """
    refuse_restored()
    store, found = keystore.current(), settled_orphans()
    before = store.epoch()
    for key_id in found:
        marks.raise_to("keystore-epoch", store.erase(key_id).after)
    if found:
        with transaction.atomic():
            log.record(
                kind="keystore.reconciled",
                subject="keystore",
                actor=actor,
                data={"store_epoch": before, "known_epoch": before, "epoch": store.epoch(), "erased": len(found)},
            )
    return len(found)


def reconcile(*, actor: Actor) -> int:
    """After a key store was put back: erases again what had been erased, and moves the epoch past all that was known.

    Returns how many keys it erased. Raises keys.KeyTrouble, StorageDown, StorageFull.
    """
    store = keystore.current()
    store_epoch, known, back = store.epoch(), known_epoch(), strays()
    if store_epoch < known:
        # First: an epoch that was given before must not be given again.
        store.move_on(known)
    for key_id in back:
        store.erase(key_id)
    epoch = store.epoch()
    marks.raise_to("keystore-epoch", epoch)
    with transaction.atomic():
        log.record(
            kind="keystore.reconciled",
            subject="keystore",
            actor=actor,
            data={"store_epoch": store_epoch, "known_epoch": known, "epoch": epoch, "erased": len(back)},
        )
    return len(back)


def delete_dead_files(*, key_id: uuid.UUID | None = None) -> int:
    """Deletes the files of destroyed keys (of one, or of all) and returns how many."""
    dead = SealedObject.objects.filter(key__state=KeyState.DESTROYED, file_deleted_at=None)
    if key_id is not None:
        dead = dead.filter(key_id=key_id)
    return _each(_delete_file, list(dead.values_list("id", flat=True)))


def _each(act: Callable[[uuid.UUID], bool], ids: Iterable[uuid.UUID]) -> int:
    count, failed = 0, None
    for each in ids:
        try:
            count += act(each)
        except VouchError as error:
            failed = error
    if failed is not None:
        raise failed
    return count


def _delete_file(object_id: uuid.UUID) -> bool:
    location = SealedObject.objects.values_list("location", flat=True).get(id=object_id)
    storage.current().delete(location)
    if location == storage.location_of(object_id):
        # Also where it lay before ``services.keep_on``, should that have been cut short.
        storage.current().delete(storage.location_of(object_id, brief=True))
    return bool(SealedObject.objects.filter(id=object_id, file_deleted_at=None).update(file_deleted_at=now()))


def _erase(key_id: uuid.UUID) -> bool:
    erasure = keystore.current().erase(key_id)
    marks.raise_to("keystore-epoch", erasure.after)
    with transaction.atomic():
        key = VaultKey.objects.select_for_update().get(id=key_id)
        if key.erased_at is not None:
            return False
        key.erased_at, key.epoch_before, key.epoch_after = erasure.at, erasure.before, erasure.after
        key.save(update_fields=["erased_at", "epoch_before", "epoch_after"])
        log.record(
            kind="key.erased",
            subject=f"key:{key.id}",
            actor=ACTOR,
            data={
                "key_kind": key.kind,
                "epoch_before": erasure.before,
                "epoch_after": erasure.after,
                "erased_at": erasure.at.isoformat(timespec="microseconds"),
            },
        )
    return True
