"""A recording to be traced that arrives in pieces, so that a broken connection costs one piece and not the whole.

The upload is an item of custody that is still receiving: sealed, kept for an hour at most, destroyed by the sweep when
nobody ends it. Its id is told to the caller alone; for anonymous callers it is the key to it.
"""

from typing import Final
from uuid import UUID

from django.db import transaction

from cloning import tracing
from cloning.models import TraceJob
from consent.errors import WrongOffset
from foundation.clock import now
from foundation.errors import NotFound, TooLarge
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from retention import custody
from retention.custody import RECORDING, EmptyBody
from retention.errors import ContentDiffers
from retention.models import CustodyItem, CustodyState
from retention.purposes import Purpose

MAX_PIECE: Final = 2**20
"""Bytes of a piece, as of a training recording's."""


def begin(*, actor: Actor) -> UUID:
    """A place for the pieces. Raises ClockUntrusted."""
    subject = Person.objects.filter(id=actor.person_id).first() if actor.person_id else None
    item = custody.open_parts(purpose=Purpose.TRACE, subject=subject, actor=actor, deadline=now() + tracing.KEPT)
    return item.id


def offset_of(*, actor: Actor, upload_id: UUID) -> int:
    """How many bytes have arrived, which is where the next piece begins. Raises NotFound."""
    return _found(actor, upload_id).size


@transaction.atomic
def append(*, actor: Actor, upload_id: UUID, offset: int, data: bytes) -> int:
    """Takes the next piece; returns where the one after it begins.

    Raises NotFound, EmptyBody, TooLarge, WrongOffset (which tells the right one), NotReceiving, PastDeadline.
    """
    item = _found(actor, upload_id, lock=True)
    if offset != item.size:
        raise WrongOffset(offset=item.size)
    if not data:
        raise EmptyBody
    if item.size + len(data) > tracing.MAX_BYTES:
        raise TooLarge(f"At most {tracing.MAX_BYTES} bytes are accepted.", max_bytes=tracing.MAX_BYTES)
    custody.append(item=item, data=data, actor=actor)
    return item.size + len(data)


def finish(*, actor: Actor, upload_id: UUID, sha256: str, caller: str = "") -> TraceJob:
    """No more pieces: queues the search, if they are what they should be. Asked again, the same job.

    Raises NotFound, EmptyBody, PastDeadline, and ContentDiffers, with all of it destroyed.
    """
    try:
        return _finish(actor, upload_id, sha256, caller)
    except ContentDiffers:
        custody.destroy(item=_found(actor, upload_id), reason="not_received", actor=actor)
        raise


@transaction.atomic
def _finish(actor: Actor, upload_id: UUID, sha256: str, caller: str) -> TraceJob:
    item = _found(actor, upload_id, lock=True)
    if asked := TraceJob.objects.filter(recording=item).first():
        return asked
    if item.state == CustodyState.RECEIVING and not item.size:
        raise EmptyBody
    held = custody.close(item=item, actor=actor, sha256=sha256)
    return tracing.queue(held, actor=actor, caller=caller)


def _found(actor: Actor, upload_id: UUID, *, lock: bool = False) -> CustodyItem:
    """The upload of this caller. One of somebody else is none."""
    items = CustodyItem.objects.select_for_update(of=("self",)) if lock else CustodyItem.objects
    mine = items.filter(id=upload_id, purpose=Purpose.TRACE.value, kind=RECORDING, subject_id=actor.person_id)
    found = mine.first()
    if found is None:
        raise NotFound
    return found
