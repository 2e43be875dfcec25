"""Looking for what should not be there: in the database, in storage, in the key store, in temporary places.

Nothing is changed. What is younger than `SETTLED` may be an act in progress and is passed over.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.db.models import F, ForeignObjectRel, Model, Q

from foundation.clock import now
from foundation.errors import VouchError
from foundation.vault import envelope, erasing, keystore, storage
from foundation.vault.errors import ObjectMissing
from foundation.vault.models import KeyState, SealedObject, VaultKey
from retention import moments, sweeping
from retention.models import CustodyItem, CustodyState

SETTLED: Final = timedelta(hours=1)
"""Uploads in progress, and work of a worker that was killed, are settled after this long."""
HEAD: Final = 64
"""Bytes of a file by which sound is known."""
MAX_FILES: Final = 1_000_000
"""Files of temporary places that are looked at; more than these are a finding of their own."""

_SEALED: Final = ".sealed"
_HEADS: Final = (
    ("WAV", 0, b"RIFF"), ("WAV", 0, b"RF64"), ("FLAC", 0, b"fLaC"), ("Ogg", 0, b"OggS"), ("MP3", 0, b"ID3"),
    ("MP4", 4, b"ftyp"), ("WebM", 0, b"\x1a\x45\xdf\xa3"), ("AIFF", 0, b"FORM"), ("AU", 0, b".snd"),
    ("CAF", 0, b"caff"), ("AMR", 0, b"#!AMR"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """``kind``: a stable word. ``where``: an id or a path. Never what a recording holds."""

    kind: str
    where: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.where} {self.detail}".rstrip()


def audit(temporary: Iterable[Path] = ()) -> list[Finding]:
    """Everything that is found. ``temporary``: places in which no sound may lie in the clear."""
    return [*in_database(), *in_storage(), *in_keystore(), *in_the_clear(temporary)]


def in_database() -> Iterator[Finding]:
    """What is overdue, what outlives its parent, and what no record of any room leads to."""
    moment, settled = moments.present(), now() - SETTLED
    for item in sweeping.overdue(moment):
        yield Finding("overdue", f"custody:{item.id}", f"since {item.deadline.isoformat()}")
    destroyed = Q(state=CustodyState.DESTROYED)
    for item in CustodyItem.objects.filter(destroyed, parent=None, key__state=KeyState.ACTIVE):
        yield Finding("key_alive", f"custody:{item.id}")
    outlived = Q(parent__state=CustodyState.DESTROYED) & ~destroyed | Q(deadline__gt=F("parent__deadline")) & ~destroyed
    for item in CustodyItem.objects.filter(outlived):
        yield Finding("outlives_parent", f"custody:{item.id}")
    for sealed in _unnamed(SealedObject, {"created_at__lt": settled, "key__state": KeyState.ACTIVE}):
        yield Finding("orphan_object", f"object:{sealed.id}", sealed.kind)
    for key in _unnamed(VaultKey, {"created_at__lt": settled, "state": KeyState.ACTIVE}):
        yield Finding("orphan_key", f"key:{key.id}", key.kind)


def in_storage() -> Iterator[Finding]:
    """Files no record knows, files that should be gone, files that are not sealed, and records whose file is lost."""
    settled = now() - SETTLED
    dead = Q(key__state=KeyState.DESTROYED, key__destroyed_at__lt=settled, file_deleted_at=None)
    ended = Q(file_deleted_at=None) & Q(id__in=_sealed_of_destroyed_items(settled))
    for sealed in SealedObject.objects.filter(dead | ended):
        yield Finding("file_left", f"object:{sealed.id}", sealed.location)
    standing = SealedObject.objects.filter(file_deleted_at=None, key__state=KeyState.ACTIVE)
    for object_id, location in standing.values_list("id", "location").iterator():
        if not storage.current().exists(location):
            yield Finding("file_lost", f"object:{object_id}", location)
    known = set(SealedObject.objects.filter(file_deleted_at=None).values_list("location", flat=True))
    place = storage.current()
    for found in place.listed():
        if found.changed >= settled:
            continue
        if found.name not in known:
            yield Finding("stray_file", found.name)
            continue
        # One that is gone, or is only an upload that never ended, was told above.
        with suppress(ObjectMissing):
            if not place.head(found.name, len(envelope.MAGIC)).startswith(envelope.MAGIC):
                yield Finding("not_sealed", found.name)


def in_keystore() -> Iterator[Finding]:
    """Keys that should be gone or are lost, and a key store that was put back to an earlier state."""
    try:
        erasing.refuse_restored()
        for key_id in erasing.strays():
            yield Finding("stray_key", f"key:{key_id}", "it was erased")
        for key_id in erasing.settled_orphans():
            yield Finding("orphan_key", f"key:{key_id}", "no record knows it")
        store = keystore.current()
        for key in VaultKey.objects.filter(state=KeyState.ACTIVE).iterator():
            if not store.holds(key.id):
                yield Finding("key_lost", f"key:{key.id}", key.kind)
    except VouchError as error:
        yield Finding(error.code, "keystore", error.detail)
    waiting = VaultKey.objects.filter(state=KeyState.DESTROYED, erased_at=None, destroyed_at__lt=now() - SETTLED)
    for key in waiting:
        yield Finding("not_erased", f"key:{key.id}")


def in_the_clear(places: Iterable[Path]) -> Iterator[Finding]:
    """Files of this account that begin as sound does. Links are not followed, files of other accounts are theirs."""
    for number, path in enumerate(_files(places)):
        if number >= MAX_FILES:
            yield Finding("too_many_files", str(path), f"only {MAX_FILES} were looked at")
            return
        head = _head(path)
        name = next((name for name, at, start in _HEADS if head[at : at + len(start)] == start), "")
        # RIFF and FORM hold other things too; the form's own name stands eight bytes later.
        if name and not (head[:4] in (b"RIFF", b"FORM") and head[8:12] not in (b"WAVE", b"AIFF", b"AIFC")):
            yield Finding("plain_sound", str(path), name)


def _sealed_of_destroyed_items(settled: Any) -> Any:
    ended = CustodyItem.objects.filter(state=CustodyState.DESTROYED, destroyed_at__lt=settled)
    return ended.values("parts__sealed_id")


def _unnamed(model: type[Model], where: dict[str, Any]) -> list[Any]:
    """Rows that no foreign key of any room leads to: whatever room is added is asked too."""
    found = model._default_manager.filter(**where)  # the manager every model has
    # Hidden ones too: most rooms name a sealed object without a way back.
    for relation in model._meta.get_fields(include_hidden=True):
        if not isinstance(relation, ForeignObjectRel):
            continue
        column = relation.field.name
        named = relation.related_model._default_manager.filter(**{f"{column}__isnull": False})  # type: ignore[union-attr]
        found = found.exclude(pk__in=named.values(f"{column}_id"))
    return list(found)


def _files(places: Iterable[Path]) -> Iterator[Path]:
    """Regular files of this account under the places."""
    account = os.geteuid()
    for place in places:
        for folder, _, names in os.walk(place):
            for name in sorted(names):
                path = Path(folder) / name
                try:
                    if path.is_file() and not path.is_symlink() and path.stat().st_uid == account:
                        yield path
                except OSError:
                    continue


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""
