"""Listening to a stream, as the web process does it: frames from the worker, and a look at the job beside them.

The worker may be far ahead of whoever listens, so what lies in between is not simply handed on: about once a second,
and before the last frame, the job and the recording are looked at as they stand now. A stream whose consent was
withdrawn ends here at once, whatever still waits to be fetched.
"""

import time
from collections.abc import Generator, Iterator
from typing import Final
from uuid import UUID

from cloning import relay, selectors
from cloning.relay import DONE, Frame
from cloning.states import JobState
from foundation.errors import Conflict, Unavailable, VouchError
from foundation.identity.actors import Actor

LOOK_SECONDS: Final = 0.5
"""How old the last look at the job may be when a frame is handed on."""
LONGEST_START: Final = 60.0
"""How long a stream may wait for its beginning: a worker may be training a voice."""
LONGEST_END: Final = 10.0
"""How long the last frame may be missing once the job has succeeded."""


class StreamEnded(Conflict):
    """The stream ended before its time."""

    code = "stream_ended"


class StillQueued(Unavailable):
    """No worker was free in time; the request was taken back."""

    code = "still_queued"
    advice = "Ask again in a while, or ask for the whole recording: POST /api/v1/speech waits in the queue."


class StreamLost(VouchError):
    """A part of the stream was lost on its way."""

    code, status = "stream_lost", 500
    advice = "The recording itself may be whole: GET /api/v1/speech/<id> shows it."


def follow(*, actor: Actor, request_id: UUID) -> Generator[Frame]:
    """The frames of the actor's stream, START first and DONE last. Closing it early tells the worker that nobody
    listens.

    Raises NotFound; StreamEnded with the job's own code; OutputRevoked; StillQueued; StreamLost.
    """
    job_id = selectors.speech(actor=actor, request_id=request_id).job_id
    listener = relay.Listener(job_id)
    try:
        yield from _frames(actor, request_id, listener)
    finally:
        listener.leave()


def _frames(actor: Actor, request_id: UUID, listener: relay.Listener) -> Iterator[Frame]:
    begun, looked, came, ended = time.monotonic(), 0.0, False, None
    while True:
        frame = _next(listener)
        moment = time.monotonic()
        if frame is None or frame.kind == DONE or moment - looked >= LOOK_SECONDS:
            state, looked = _look(actor, request_id), moment
            if state is JobState.SUCCEEDED and ended is None:
                ended = moment
        if frame is not None:
            came = True
            yield frame
            if frame.kind == DONE:
                return
        elif not came and moment - begun > LONGEST_START:
            raise StillQueued(speech=str(request_id), retry_after=10)
        elif ended is not None and moment - ended > LONGEST_END:
            raise StreamLost(speech=str(request_id))


def _next(listener: relay.Listener) -> Frame | None:
    try:
        return listener.next(LOOK_SECONDS)
    except relay.BadFrame as error:
        raise StreamLost from error


def _look(actor: Actor, request_id: UUID) -> JobState:
    """Where the job stands. Raises StreamEnded, and OutputRevoked for a recording that may not be heard any more."""
    found = selectors.speech(actor=actor, request_id=request_id)
    state = JobState(found.job.state)
    if state in (JobState.FAILED, JobState.REFUSED, JobState.CANCELLED):
        raise StreamEnded(
            found.job.error_detail or f"The request was {state.value}.",
            code=found.job.error_code or state.value,
            speech=str(request_id),
        )
    if state is JobState.SUCCEEDED:
        selectors.playable_output(actor=actor, output_id=found.output.id)
    return state
