"""A request that is answered with the sound itself: asked, waited for, handed out."""

import time
from typing import Any, Final
from uuid import UUID

from django.http import StreamingHttpResponse

from cloning import selectors, services
from cloning.models import Output
from cloning.states import JobState
from foundation.errors import Conflict, Unavailable
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from vouch.api.streams.begun import WaitsForDecision

LONGEST_WAIT: Final = 60.0
"""Seconds a connection is held for a recording: more than a sentence takes, less than proxies allow."""
PAUSE: Final = 0.1


class StillSpeaking(Unavailable):
    """The recording is not ready yet; it is still being made."""

    code = "still_speaking"
    advice = "Fetch it under /api/v1/speech/ID when it is done, or send shorter texts."


class NotSpoken(Conflict):
    """The recording could not be made."""

    code = "not_spoken"


def spoken(*, actor: Actor, **asked: Any) -> Output:
    """Asks for speech (`cloning.services.request_speech`) and returns the finished recording.

    Raises what that raises, WaitsForDecision, NotSpoken with the job's own code, StillSpeaking after LONGEST_WAIT.
    """
    request = services.request_speech(actor=actor, **asked)
    until = time.monotonic() + LONGEST_WAIT
    while True:
        found = selectors.speech(actor=actor, request_id=request.id)
        state = JobState(found.job.state)
        if state is JobState.SUCCEEDED:
            return _finished(actor, found.id)
        if state is JobState.HELD:
            raise WaitsForDecision("This text waits for a decision.", speech=str(found.id))
        if state not in (JobState.QUEUED, JobState.RUNNING):
            raise NotSpoken(
                found.job.error_detail or f"The request was {state.value}.",
                code=found.job.error_code or state.value,
                speech=str(found.id),
            )
        if time.monotonic() > until:
            raise StillSpeaking(speech=str(found.id), retry_after=5)
        time.sleep(PAUSE)


def _finished(actor: Actor, request_id: UUID) -> Output:
    found = selectors.speech(actor=actor, request_id=request_id)
    return selectors.playable_output(actor=actor, output_id=found.output.id)


def answer(*, actor: Actor, output: Output, ignored: list[str]) -> StreamingHttpResponse:
    """The recording's bytes, with what a program may want to know in headers."""
    pieces = vault.read_stream(sealed_object=output.sealed, actor=actor)
    response = StreamingHttpResponse(pieces, content_type=output.media_type)
    response["Content-Length"] = str(output.sealed.size)
    response["X-Content-SHA256"] = output.sha256
    response["X-Vouch-Output"] = str(output.id)
    response["X-Vouch-Label-Seconds"] = f"{output.label_seconds:.3f}"
    return told(response, ignored)


def told(response: StreamingHttpResponse, ignored: list[str]) -> StreamingHttpResponse:
    """The answer, with the names of what was asked and is not done."""
    if ignored:
        response["X-Vouch-Ignored"] = ", ".join(sorted(ignored))
    return response
