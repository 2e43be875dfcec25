"""How an object is sealed and opened, without the question who may: ``services`` and ``voices`` ask that first."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.db import transaction

from foundation.clock import now
from foundation.errors import VouchError
from foundation.vault import envelope, erasing, keyring, keystore, storage, timeguard
from foundation.vault.errors import KeyDestroyed, PastDeadline, Tampered, WrongMasterKey
from foundation.vault.models import KeyState, SealedObject, VaultKey

BRIEF = timedelta(hours=72)
"""What must be gone within this lies apart, where a bucket's own rules may drop it (``lifecycle.BRIEF_DAYS``)."""


def seal(
    *, key: VaultKey, kind: str, owner_ref: str, data: bytes | Iterable[bytes], not_after: datetime | None
) -> SealedObject:
    """See ``services.store``."""
    sealed = SealedObject(kind=kind, owner_ref=owner_ref, not_after=not_after)
    _refuse_late(sealed)
    sealed.location = storage.location_of(sealed.id, brief=not_after is not None and not_after - now() <= BRIEF)
    plain = _Counted([data] if isinstance(data, bytes) else data)
    materials(key.id)  # a key that cannot be used is refused before the stream is taken
    data_key = envelope.new_data_key()
    written = storage.current().write(sealed.location, envelope.seal(data_key, plain, bound_to=_object_context(sealed)))
    sealed.size, sealed.ciphertext_sha256 = plain.size, written.sha256
    try:
        with transaction.atomic():
            # Under the row's lock: a key destroyed while the stream was coming in must not keep a file.
            sealed.key = VaultKey.objects.select_for_update().get(id=key.id)
            # And wrapped only now: a rotation of the key, which takes the same lock, misses no object.
            sealed.data_key = wrap_data_key(sealed, materials(key.id)[0], data_key)
            sealed.save(force_insert=True)
    except BaseException:
        # Without its record it opens nothing: what cannot be deleted now must not hide what went wrong.
        with suppress(VouchError):
            storage.current().delete(sealed.location)
        raise
    return sealed


def unseal(sealed_object: SealedObject) -> Iterator[bytes]:
    """See ``services.read_stream``."""
    # The record as it is now: the caller's copy may be old, and a deadline must not be talked out of a copy.
    found = SealedObject.objects.get(id=sealed_object.id)
    _refuse_late(found)
    data_key = _data_key(found)
    pieces = envelope.unseal(data_key, storage.current().read(found.location), bound_to=_object_context(found))
    return _until_deadline(found, pieces)


def make_key(key: VaultKey) -> None:
    """Puts fresh material for an (unsaved) key record into the key store, wrapped, bound to its id, kind and owner."""
    store = keystore.current()
    with store.writing():
        store.put(key.id, keyring.current().wrap(envelope.new_data_key(), bound_to=key_context(key)))


def _until_deadline(found: SealedObject, pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        for piece in pieces:
            _refuse_late(found)
            yield piece
    except envelope.BrokenSeal as error:
        raise Tampered(f"Object {found.id}: {error}.") from error


def _refuse_late(found: SealedObject) -> None:
    if found.not_after is not None and timeguard.present() >= found.not_after:
        raise PastDeadline


def materials(key_id: uuid.UUID) -> list[bytes]:
    """A key's material, the newest first (two while it is rotated). For the vault's own rooms alone.

    Raises KeyDestroyed, KeyMissing, KeyStoreRestored, Tampered, and what the key ring raises.
    """
    key = VaultKey.objects.get(id=key_id)
    if key.state != KeyState.ACTIVE:
        raise KeyDestroyed
    erasing.refuse_restored()
    try:
        return _unwrapped(key)
    except (envelope.BrokenSeal, WrongMasterKey):
        pass
    try:
        # Once more: a rotation of the master key may have ended between reading the blob and reading the master.
        return _unwrapped(key)
    except envelope.BrokenSeal as error:
        raise Tampered(f"Key {key.id}: {error}.") from error


def wrap_data_key(sealed: SealedObject, material: bytes, data_key: bytes) -> bytes:
    return envelope.wrap(material, data_key, bound_to=_data_key_context(sealed))


def data_key_of(sealed: SealedObject, found: list[bytes]) -> bytes:
    """The object's own key, unwrapped by one of the materials. Raises Tampered."""
    if sealed.data_key is None:
        return found[-1]
    for material in found:
        try:
            return envelope.unwrap(material, bytes(sealed.data_key), bound_to=_data_key_context(sealed))
        except envelope.BrokenSeal:
            continue
    raise Tampered(f"Object {sealed.id}: its data key does not open.")


def _data_key(sealed: SealedObject) -> bytes:
    try:
        return data_key_of(sealed, materials(sealed.key_id))
    except Tampered:
        # Once more, with the record as it is now: the key may have been rotated between the two reads.
        sealed.refresh_from_db(fields=["data_key"])
        return data_key_of(sealed, materials(sealed.key_id))


def _unwrapped(key: VaultKey) -> list[bytes]:
    blobs, ring = keystore.current().get(key.id), keyring.current()
    return [ring.unwrap(blob, bound_to=key_context(key)) for blob in blobs]


def key_context(key: VaultKey) -> bytes:
    return envelope.context("key", str(key.id), key.kind, key.owner_ref)


def _data_key_context(sealed: SealedObject) -> bytes:
    return envelope.context("data key", str(sealed.id), sealed.kind, sealed.owner_ref)


def _object_context(sealed: SealedObject) -> bytes:
    deadline = "" if sealed.not_after is None else sealed.not_after.astimezone(UTC).isoformat(timespec="microseconds")
    return envelope.context("object", str(sealed.id), sealed.kind, sealed.owner_ref, deadline)


class _Counted:
    """Passes pieces on and counts their bytes."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.size += len(piece)
            yield piece
