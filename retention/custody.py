"""The one way to hold raw audio: in with a purpose and a deadline, out before it, gone after it.

Bytes go from the socket into encryption piece by piece; nothing lies on disk in the clear, and no more than one piece
is in memory. Each item has a key of its own in the vault. What is derived from an item (features, templates,
checkpoints) is sealed under the same key, so ending the key ends the whole family at once.

The deadline is enforced three times: `read` compares the clock itself (`moments`: never an earlier one than was seen),
the vault refuses past ``not_after``, and the sweep (`sweeping`) destroys the key. The first two hold when no worker
runs. Nothing puts a deadline off; a legal hold (`holds`) puts off the destruction alone, and opens nothing.
"""

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Final

from django.db import transaction

from foundation.audit import log
from foundation.clock import now
from foundation.errors import Refused, TooLarge
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from foundation.vault import services as vault
from foundation.vault.errors import PastDeadline
from retention import holds, moments
from retention.certificates import issue as certificate
from retention.ending import destroy, destroy_all
from retention.errors import ClockUntrusted, ContentDiffers, ItemUnknown, NotReceiving, StillReceiving, UnderHold
from retention.models import MOVES, CustodyItem, CustodyPart, CustodyState
from retention.purposes import LIMIT, Purpose
from retention.sweeping import CLOCK_TOLERANCE, sweep

KEY_KIND: Final = "custody"
RECORDING: Final = "recording"
"""The kind of an item that arrived from outside; derived items name what they are."""

__all__ = [
    "EmptyBody",
    "append",
    "arrivals",
    "certificate",
    "close",
    "derive",
    "destroy",
    "destroy_all",
    "matches",
    "open_parts",
    "read",
    "read_stream",
    "receive",
    "sweep",
]


class EmptyBody(Refused):
    """Nothing was received: the recording has no bytes."""

    code = "audio_empty"
    advice = "Record again and send the file whole."


# -- in ---------------------------------------------------------------------------------------------------------------


def receive(
    *,
    stream: Iterable[bytes],
    purpose: Purpose,
    subject: Person | None,
    actor: Actor,
    max_bytes: int,
    deadline: datetime | None = None,
) -> CustodyItem:
    """Takes a whole recording from ``stream`` into custody.

    The deadline is the earlier of 72 hours after the first byte and ``deadline``. Whatever goes wrong on the way, the
    item is destroyed and nothing is kept. Raises TooLarge above ``max_bytes``, EmptyBody, ClockUntrusted, and what the
    stream and the disk raise.
    """
    pieces = iter(stream)
    first = next((piece for piece in pieces if piece), b"")
    if not first:
        raise EmptyBody
    item = _open(purpose=purpose, kind=RECORDING, subject=subject, actor=actor, deadline=deadline)
    counted = _Counted(chain([first], pieces), max_bytes, bytes(item.salt))
    try:
        _store_part(item=item, index=0, data=counted, actor=actor)
        return _hold(item=item, size=counted.size, commitment=counted.digest(), actor=actor)
    except BaseException:
        destroy(item=item, reason="not_received", actor=actor)
        raise


def open_parts(
    *, purpose: Purpose, subject: Person | None, actor: Actor, deadline: datetime | None = None
) -> CustodyItem:
    """An empty item for a recording that arrives live, part by part. The deadline runs from now.

    Raises ClockUntrusted.
    """
    return _open(purpose=purpose, kind=RECORDING, subject=subject, actor=actor, deadline=deadline)


@transaction.atomic
def append(*, item: CustodyItem, data: bytes, actor: Actor) -> CustodyPart:
    """Adds the next part, with its moment of arrival. Raises NotReceiving, PastDeadline."""
    row = _lock(item)
    _refuse_past_deadline(row)
    if row.state != CustodyState.RECEIVING:
        raise NotReceiving
    part = _store_part(item=row, index=row.parts.count(), data=data, actor=actor)
    CustodyItem.objects.filter(id=row.id).update(size=row.size + len(data))
    return part


@transaction.atomic
def close(*, item: CustodyItem, actor: Actor, sha256: str = "") -> CustodyItem:
    """No more parts: the item is held as it is. ``sha256``: what all of it should be, in hex, where that is known.

    Raises NotReceiving, PastDeadline, ContentDiffers.
    """
    row = _lock(item)
    _refuse_past_deadline(row)
    if row.state != CustodyState.RECEIVING:
        raise NotReceiving
    counted = _Counted(_pieces(row, actor), row.size, bytes(row.salt))
    whole = hashlib.sha256()
    for piece in counted:
        whole.update(piece)
    if sha256 and not hmac.compare_digest(whole.hexdigest(), sha256.lower()):
        raise ContentDiffers
    return _hold(item=row, size=counted.size, commitment=counted.digest(), actor=actor)


@transaction.atomic
def derive(*, parent: CustodyItem, data: bytes, kind: str, actor: Actor) -> CustodyItem:
    """Seals something made from ``parent`` under the parent's key and deadline: it dies with the parent.

    Raises PastDeadline, StillReceiving, UnderHold.
    """
    source = _lock(parent)
    _refuse_past_deadline(source)
    if source.state != CustodyState.HELD:
        raise StillReceiving
    if holds.in_force(source):
        raise UnderHold
    salt = secrets.token_bytes(32)
    item = CustodyItem.objects.create(
        subject_id=source.subject_id,
        purpose=source.purpose,
        kind=kind,
        parent=source,
        key_id=source.key_id,
        received_at=now(),
        deadline=source.deadline,
        salt=salt,
    )
    _store_part(item=item, index=0, data=data, actor=actor)
    return _hold(item=item, size=len(data), commitment=hashlib.sha256(salt + data).hexdigest(), actor=actor)


# -- out --------------------------------------------------------------------------------------------------------------


def read(*, item: CustodyItem, actor: Actor) -> bytes:
    """The recording's bytes, whole. Only for the system's own work and the person it belongs to.

    Raises ItemUnknown, StillReceiving, UnderHold, PastDeadline (410) from the deadline on, whether or not a sweep ran.
    """
    return b"".join(read_stream(item=item, actor=actor))


def read_stream(*, item: CustodyItem, actor: Actor) -> Iterator[bytes]:
    """As `read`, in pieces. The checks are made at the call, before the first piece."""
    row = CustodyItem.objects.get(id=item.id)
    if actor.role != "system" and (actor.person_id is None or actor.person_id != row.subject_id):
        raise ItemUnknown
    _refuse_past_deadline(row)
    if row.state != CustodyState.HELD:
        raise StillReceiving
    if holds.in_force(row):
        raise UnderHold
    return _pieces(row, actor)


def arrivals(item: CustodyItem) -> list[datetime]:
    """When each part arrived, in order."""
    return list(item.parts.order_by("index").values_list("arrived_at", flat=True))


def matches(item: CustodyItem, data: bytes) -> bool:
    """Are these the bytes the item was made from? Works after destruction too: only the commitment is needed."""
    return hmac.compare_digest(hashlib.sha256(bytes(item.salt) + data).hexdigest(), item.commitment)


# -- inside -----------------------------------------------------------------------------------------------------------


class _Counted:
    """Pieces on their way into encryption: counted against the bound and hashed with the item's salt."""

    def __init__(self, pieces: Iterable[bytes], max_bytes: int, salt: bytes) -> None:
        self._pieces, self._max = pieces, max_bytes
        self._hash = hashlib.sha256(salt)
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.size += len(piece)
            if self.size > self._max:
                raise TooLarge(f"At most {self._max} bytes are accepted.", max_bytes=self._max)
            self._hash.update(piece)
            yield piece

    def digest(self) -> str:
        return self._hash.hexdigest()


@transaction.atomic
def _open(
    *, purpose: Purpose, kind: str, subject: Person | None, actor: Actor, deadline: datetime | None
) -> CustodyItem:
    if moments.behind() > CLOCK_TOLERANCE:
        # A deadline counted by a clock that runs behind would lie days too late.
        raise ClockUntrusted
    moment = now()
    latest = moment + LIMIT
    item_id = uuid.uuid4()
    return CustodyItem.objects.create(
        id=item_id,
        subject=subject,
        purpose=Purpose(purpose).value,
        kind=kind,
        key=vault.create_key(kind=KEY_KIND, owner_ref=str(item_id), actor=actor),
        received_at=moment,
        deadline=min(latest, deadline) if deadline else latest,
        salt=secrets.token_bytes(32),
    )


def _store_part(*, item: CustodyItem, index: int, data: bytes | Iterable[bytes], actor: Actor) -> CustodyPart:
    """Seals one part. No transaction is needed around it: a slow upload must hold no lock."""
    sealed = vault.store(
        key=item.key, kind=item.kind, owner_ref=str(item.id), data=data, not_after=item.deadline, actor=actor
    )
    return CustodyPart.objects.create(item=item, index=index, sealed=sealed, size=sealed.size, arrived_at=now())


def _pieces(item: CustodyItem, actor: Actor) -> Iterator[bytes]:
    for part in item.parts.select_related("sealed").order_by("index"):
        yield from vault.read_stream(sealed_object=part.sealed, actor=actor)


@transaction.atomic
def _hold(*, item: CustodyItem, size: int, commitment: str, actor: Actor) -> CustodyItem:
    row = _lock(item)
    if CustodyState.HELD not in MOVES[CustodyState(row.state)]:
        raise NotReceiving
    row.state, row.size, row.commitment = CustodyState.HELD, size, commitment
    row.received_leaf = log.append(
        kind="custody.received",
        subject=f"custody:{row.id}",
        actor=actor,
        data={
            "purpose": row.purpose,
            "kind": row.kind,
            "parent": str(row.parent_id) if row.parent_id else None,
            "key": str(row.key_id),
            "size": size,
            "commitment": commitment,
            "received_at": row.received_at.isoformat(),
            "deadline": row.deadline.isoformat(),
        },
    ).index
    row.save(update_fields=["state", "size", "commitment", "received_leaf"])
    return row


def _lock(item: CustodyItem) -> CustodyItem:
    return CustodyItem.objects.select_for_update(of=("self",)).select_related("key").get(id=item.id)


def _refuse_past_deadline(item: CustodyItem) -> None:
    """A destroyed item and one past its deadline get the same answer: it is gone."""
    if item.state == CustodyState.DESTROYED or moments.present() >= item.deadline:
        raise PastDeadline(deadline=item.deadline.isoformat())
