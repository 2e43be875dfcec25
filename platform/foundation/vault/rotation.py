"""New keys for old, without touching what they sealed. Each act may be stopped anywhere and run again.

A data key seals one object, once; it cannot be changed without sealing that object anew, and nothing wears it out. What
wraps it can: the vault key above it, and the master key above that.
"""

from django.db import transaction

from foundation.audit import log
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.keys import KeyFiles
from foundation.vault import envelope, erasing, keyring, keystore, objects
from foundation.vault.errors import KeyDestroyed, KeyMissing, VaultMisuse
from foundation.vault.models import KeyState, SealedObject, VaultKey


def rotate_master(*, keys: KeyFiles | None, actor: Actor) -> int:
    """Wraps every key in the store under a new master key, and forgets the old one. Returns how many were wrapped anew.

    With a local ring (``keys`` given) the new master is made here and the old one overwritten at the end. With KMS
    (``keys`` None) the new master is whatever ``VOUCH_KMS_KEY`` names now. Raises what the ring and the store raise.
    """
    erasing.refuse_restored()
    store = keystore.current()
    if keys is not None:
        with store.alone():
            # Alone: nobody can be wrapping under the old master and put the result after the walk below.
            keys.start_rotation("master")
    ring = keyring.current()
    count = 0
    for key in VaultKey.objects.filter(state=KeyState.ACTIVE).iterator():
        try:
            count += _rewrap(store, ring, key)
        except (KeyDestroyed, KeyMissing):
            # Destroyed meanwhile; or lost, which `keystore check` reports. Neither can be wrapped, nor needs to be.
            continue
    if keys is not None:
        keys.finish_rotation("master")
    with transaction.atomic():
        log.record(
            kind="key.master_rotated",
            subject="keystore",
            actor=actor,
            data={"keys": count, "ring": "kms" if keys is None else "local"},
        )
    return count


def rotate_key(*, key: VaultKey, actor: Actor) -> int:
    """Gives a vault key new material and wraps its objects' data keys under it. Returns how many objects it has.

    Raises KeyDestroyed, KeyMissing, KeyStoreRestored, Tampered, and what the ring and the store raise.
    """
    store = keystore.current()
    with transaction.atomic():
        # The same lock as `objects.seal` takes to keep an object: none can slip through between old and new.
        held = VaultKey.objects.select_for_update().get(id=key.id)
        objects.materials(held.id)
        fresh = keyring.current().wrap(envelope.new_data_key(), bound_to=objects.key_context(held))
        store.start_rotation(held.id, fresh)
        found = objects.materials(held.id)
        if len(found) != 2:
            raise VaultMisuse("The key is being rotated elsewhere.")
        rows = SealedObject.objects.select_for_update().filter(key=held, file_deleted_at=None)
        count = 0
        for sealed in rows.order_by("id"):
            sealed.data_key = objects.wrap_data_key(sealed, found[0], objects.data_key_of(sealed, found))
            sealed.save(update_fields=["data_key"])
            count += 1
        log.record(
            kind="key.rotated",
            subject=f"key:{held.id}",
            actor=actor,
            data={"key_kind": held.kind, "objects": count, "rotated_at": now().isoformat(timespec="microseconds")},
        )
    # After the commit: until then the old material is still the right one for every row.
    store.finish_rotation(key.id)
    return count


def _rewrap(store: keystore.FileKeyStore, ring: keyring.Keyring, key: VaultKey) -> bool:
    bound_to = objects.key_context(key)
    changed = False

    def again(blob: bytes) -> bytes:
        nonlocal changed
        if ring.is_current(blob):
            return blob
        changed = True
        return ring.wrap(ring.unwrap(blob, bound_to=bound_to), bound_to=bound_to)

    with store.alone():
        store.rewrap(key.id, again)
    return changed
