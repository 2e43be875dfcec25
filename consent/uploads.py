"""A training recording that arrives in pieces, so that a broken connection costs one piece and not the whole.

Each piece says where it begins. What arrived lies sealed in custody like every recording, with the deadline counted
from the first piece; an upload left alone for an hour is destroyed by the sweep and begins anew. The end names the
SHA-256 of the whole: what differs is destroyed, not examined.
"""

from typing import Final
from uuid import UUID

from django.db import transaction

from consent import examination
from consent.errors import RecordingAlreadyReceived, WrongOffset
from consent.models import Examination, Recording
from consent.recordings import MAX_BYTES
from consent.selectors import own_id, recording_of
from consent.states import RECORDING, RecordingState, move
from foundation.errors import NotFound, TooLarge
from foundation.identity.actors import Actor
from retention import custody
from retention.custody import EmptyBody
from retention.errors import ContentDiffers
from retention.models import CustodyItem, CustodyState
from retention.purposes import Purpose

MAX_PIECE: Final = 2**20
"""Bytes of a piece: a quarter of a minute of uncompressed speech, a second or two of a slow line."""


def offset_of(*, actor: Actor, recording_id: UUID) -> int:
    """How many bytes have arrived, which is where the next piece begins. Raises NotFound, RecordingAlreadyReceived."""
    recording = recording_of(actor=actor, recording_id=recording_id)
    _refuse_unless_awaited(recording)
    item = _arriving(recording)
    return item.size if item else 0


@transaction.atomic
def append(*, actor: Actor, recording_id: UUID, offset: int, data: bytes) -> int:
    """Takes the next piece; returns where the one after it begins.

    Raises NotFound, RecordingAlreadyReceived, EmptyBody, TooLarge, WrongOffset (which tells the right one: a piece
    whose answer got lost has arrived), ClockUntrusted, PastDeadline.
    """
    recording = _lock(actor, recording_id)
    item = _arriving(recording)
    there = item.size if item else 0
    if offset != there:
        raise WrongOffset(offset=there)
    if not data:
        raise EmptyBody
    if there + len(data) > MAX_BYTES:
        raise TooLarge(f"At most {MAX_BYTES} bytes are accepted.", max_bytes=MAX_BYTES)
    if item is None:
        item = custody.open_parts(purpose=Purpose.TRAINING, subject=recording.person, actor=actor)
        recording.custody = item
        recording.save(update_fields=["custody"])
    custody.append(item=item, data=data, actor=actor)
    return there + len(data)


def finish(*, actor: Actor, recording_id: UUID, sha256: str) -> Examination:
    """No more pieces: queues the examination, if they are what they should be.

    Raises NotFound, RecordingAlreadyReceived, EmptyBody, PastDeadline, and ContentDiffers, with all of it destroyed.
    """
    try:
        return _finish(actor, recording_id, sha256)
    except ContentDiffers:
        _drop(actor, recording_id)
        raise


@transaction.atomic
def _finish(actor: Actor, recording_id: UUID, sha256: str) -> Examination:
    recording = _lock(actor, recording_id)
    item = _arriving(recording)
    if item is None:
        raise EmptyBody
    custody.close(item=item, actor=actor, sha256=sha256)
    move(recording, RecordingState.RECEIVED, RECORDING)
    recording.save(update_fields=["state"])
    return examination.request(recording=recording)


@transaction.atomic
def _drop(actor: Actor, recording_id: UUID) -> None:
    item = _arriving(_lock(actor, recording_id))
    if item is not None:
        custody.destroy(item=item, reason="not_received", actor=actor)


def _arriving(recording: Recording) -> CustodyItem | None:
    """What has arrived of it and can be added to. One that was swept is as if it had never been."""
    item = recording.custody
    return item if item is not None and item.state == CustodyState.RECEIVING else None


def _lock(actor: Actor, recording_id: UUID) -> Recording:
    found = (
        Recording.objects.select_for_update(of=("self",))
        .select_related("person", "custody")
        .filter(id=recording_id, person_id=own_id(actor))
        .first()
    )
    if found is None:
        raise NotFound
    _refuse_unless_awaited(found)
    return found


def _refuse_unless_awaited(recording: Recording) -> None:
    if recording.state != RecordingState.AWAITING.value:
        raise RecordingAlreadyReceived
