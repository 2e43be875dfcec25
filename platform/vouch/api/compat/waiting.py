"""A request that is answered with the sound itself: asked, waited for, handed out."""

import time
from collections.abc import Iterable, Iterator
from typing import Any, Final
from uuid import UUID

from django.http import StreamingHttpResponse

from cloning import selectors, services
from cloning.models import Output
from cloning.states import JobState
from foundation.errors import Conflict, Unavailable
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from vouch.api.core.idempotency import REPLAYED, Claim
from vouch.api.streams.begun import WaitsForDecision

LONGEST_WAIT: Final = 60.0
"""Seconds a connection is held for a recording: more than a sentence takes, less than proxies allow."""
PAUSE: Final = 0.1


class StillSpeaking(Unavailable):
    """The recording is not ready yet; it is still being made."""

    code = "still_speaking"
    advice = "Fetch it under /api/v1/speech/ID when it is done, or send the same Idempotency-Key again."


class NotSpoken(Conflict):
    """The recording could not be made."""

    code = "not_spoken"


def spoken(claim: Claim, *, actor: Actor, **asked: Any) -> Output:
    """Asks for speech (`cloning.services.request_speech`) and returns the finished recording; under a key that was used
    before, that request's.

    Raises what that raises, WaitsForDecision, NotSpoken with the job's own code, StillSpeaking after LONGEST_WAIT.
    """
    if not claim.what:
        try:
            claim.made(str(services.request_speech(actor=actor, **asked).id))
        except BaseException:
            claim.free()
            raise
    try:
        return finished(actor=actor, request_id=UUID(claim.what))
    except NotSpoken:
        claim.free()
        raise


def finished(*, actor: Actor, request_id: UUID) -> Output:
    """Waits for the recording of a request. Raises as `spoken`."""
    until = time.monotonic() + LONGEST_WAIT
    while True:
        found = selectors.speech(actor=actor, request_id=request_id)
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
            raise StillSpeaking(speech=str(found.id))
        time.sleep(PAUSE)


def _finished(actor: Actor, request_id: UUID) -> Output:
    found = selectors.speech(actor=actor, request_id=request_id)
    return selectors.playable_output(actor=actor, output_id=found.output.id)


def read(actor: Actor, output: Output) -> Iterator[bytes]:
    """The recording's bytes, in pieces."""
    return vault.read_stream(sealed_object=output.sealed, actor=actor)


def answer(*, actor: Actor, output: Output, ignored: Iterable[str] = (), again: bool = False) -> StreamingHttpResponse:
    """The recording's bytes, with what a program may want to know in headers. ``again``: it was asked for before."""
    response = answered(read(actor, output), output, output.media_type, again=again)
    response["Content-Length"] = str(output.sealed.size)
    response["X-Content-SHA256"] = output.sha256
    return told(response, ignored)


def answered(made: Iterator[bytes], output: Output, media_type: str, *, again: bool) -> StreamingHttpResponse:
    """The same for what is made of the recording."""
    response = StreamingHttpResponse(made, content_type=media_type)
    response["X-Vouch-Speech"] = str(output.request_id)
    response["X-Vouch-Output"] = str(output.id)
    response["X-Vouch-Label-Seconds"] = f"{output.label_seconds:.3f}"
    for name, value in (REPLAYED if again else {}).items():
        response[name] = value
    return response


def told(response: StreamingHttpResponse, ignored: Iterable[str]) -> StreamingHttpResponse:
    """The answer, with the names of what was asked and is not done."""
    if ignored:
        response["X-Vouch-Ignored"] = ", ".join(sorted(ignored))
    return response
