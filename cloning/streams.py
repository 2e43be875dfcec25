"""The row of a stream: asked for, opened before its first byte leaves, ended with its job.

Called inside transactions that hold the consent's lock (see `gate` for the lock order).
"""

from typing import Final
from uuid import UUID

from django.db.models import Q

from cloning.errors import StreamInterrupted, TooManyStreams
from cloning.models import SpeechRequest, SpeechStream
from cloning.states import STREAM, StreamState, move
from foundation.clock import now

AT_ONCE: Final = 3
"""Streams of one person that may wait or run: each holds a connection, and one of them a worker."""
_RUNNING: Final = Q(state__in=[StreamState.WAITING, StreamState.OPEN])


def check_room(person_id: UUID) -> None:
    """Raises TooManyStreams."""
    if SpeechStream.objects.filter(_RUNNING, request__requester_id=person_id).count() >= AT_ONCE:
        raise TooManyStreams(f"At most {AT_ONCE} of your streams run at a time.", retry_after=5)


def asked(request: SpeechRequest) -> SpeechStream:
    """The request is to be streamed."""
    return SpeechStream.objects.create(request=request)


def opened(request: SpeechRequest, *, output_ref: UUID) -> None:
    """The mark is registered and the first byte may leave. Raises StreamInterrupted when one may have left before: a
    worker was lost, and another cannot go on where it stopped."""
    stream = SpeechStream.objects.select_for_update().get(request=request)
    if stream.state != StreamState.WAITING:
        raise StreamInterrupted
    move(stream, StreamState.OPEN, STREAM)
    stream.output_ref, stream.opened_at = output_ref, now()
    stream.save(update_fields=["state", "output_ref", "opened_at"])


def left(request: SpeechRequest, seconds: float) -> None:
    """How much speech has left so far."""
    SpeechStream.objects.filter(request=request, state=StreamState.OPEN).update(seconds=seconds)


def sealed(request: SpeechRequest, *, seconds: float, left_early: str) -> None:
    """What was sent is an output; nothing for a request that is not streamed."""
    for stream in SpeechStream.objects.select_for_update().filter(request=request):
        move(stream, StreamState.SEALED, STREAM)
        stream.code, stream.seconds, stream.ended_at = left_early, seconds, now()
        stream.save(update_fields=["state", "code", "seconds", "ended_at"])


def broken(request: SpeechRequest, code: str) -> bool:
    """The job ended badly, and so does its stream. Whether there is one."""
    found = SpeechStream.objects.select_for_update().filter(request=request).first()
    if found is not None and found.state in (StreamState.WAITING, StreamState.OPEN):
        move(found, StreamState.BROKEN, STREAM)
        found.code, found.ended_at = code[:60], now()
        found.save(update_fields=["state", "code", "ended_at"])
    return found is not None
