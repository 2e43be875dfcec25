"""Speaking a text so that it leaves while it is made, as a worker does it. Runs in a worker only.

The same gate, vault, engine and publication as `speaking`; the door out is `watermark.stream`. Each sentence asks the
gate again, and shows by its write to the job that the run still owns it: a withdrawal takes the run away in its own
transaction. The mark is registered, the stream's row open and a leaf written before the first byte leaves, so a stream
that breaks can be traced all the same.

A listener that leaves in the middle ends the speaking, not the accounts: what was made so far is sealed, published and
counted like every output, or leaving just before the end would make listening free. One that leaves before any speech
has left costs nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import transaction

from cloning import drift, gate, jobs, mounted, relay, speaking, streams
from cloning.engine.versions import STARTER
from cloning.errors import ListenerLeft, SoundsLikeAnother, StreamInterrupted
from cloning.masks import wearing
from cloning.models import SpeechRequest, SpeechStream
from cloning.speaking import ACTOR
from cloning.states import StreamState
from cloning.warm import shelf
from cloning.worker import Reporter, Run, RunLost
from consent.models import Consent
from foundation.audit import log
from watermark.services import issue_mark

if TYPE_CHECKING:
    from watermark.models import IssuedMark
    from watermark.stream import StreamSeal

COMPARED_SECONDS: Final = 3.0
"""Speech that is compared with protected people in the middle of a stream: once, as soon as there is so much."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Float mono at ``rate`` Hz. ``last``: it ends sentence number ``sentence`` of ``sentences`` (0: not known)."""

    pcm: np.ndarray
    rate: int
    sentence: int = 0
    sentences: int = 0
    last: bool = False


def is_asked(run: Run) -> bool:
    """Is the run's request to be streamed?"""
    return SpeechStream.objects.filter(request__job_id=run.job_id).exists()


def stream(run: Run) -> None:
    """Streams the job's request. Raises what gate, vault, engine and seal refuse, StreamInterrupted, ListenerLeft and
    RunLost."""
    request = speaking.asked(run)
    if request.stream.state != StreamState.WAITING:
        raise StreamInterrupted
    sender = relay.Sender(run.job_id)
    try:
        sender.check()
    except relay.NobodyListens as error:
        raise ListenerLeft from error
    Reporter(run)("opening the voice", 0.0)
    with closing(pieces(speaking.opened(request), request)) as spoken:
        _Stream(run, request, sender, next(spoken).rate).run(spoken)


def pieces(data: bytes, request: SpeechRequest) -> Generator[Spoken]:
    """The request's speech, beginning with an empty piece that tells its rate. ``data``: the voice in the clear."""
    import torch

    from cloning.engine.shift import shifted

    torch.set_num_threads(settings.VOUCH_TRAINING_THREADS)
    version, mask = request.voice.version, wearing.worn(request)
    if version == STARTER:
        ready = shelf.ready(data, request.voice_id)
        asked = speaking.for_starter(request, request.text)
        made = _starter(ready.rate, ready.pieces(asked, move=mask.style))
    else:
        made = _mounted(mounted.deployed(version).stream(version, data, speaking.for_mounted(request, request.text)))
    if not (mask.pitch or mask.formants):
        yield from made
        return
    # Moving pitch and formants needs a sentence whole.
    waiting: list[np.ndarray] = []
    for one in made:
        waiting.append(one.pcm)
        if one.last:
            pcm = shifted(np.concatenate(waiting), one.rate, **mask.shift)
            yield Spoken(pcm, one.rate, one.sentence, one.sentences, last=True)
            waiting = []
        elif not len(one.pcm):
            yield one


def _starter(rate: int, made: Iterator[Any]) -> Iterator[Spoken]:
    yield Spoken(np.zeros(0, np.float32), rate)
    for one in made:
        yield Spoken(one.pcm, rate, one.sentence, one.sentences, one.last)


def _mounted(made: Iterator[tuple[np.ndarray, int]]) -> Iterator[Spoken]:
    for number, (wave, rate) in enumerate(made):
        yield Spoken(wave, rate, max(number - 1, 0), last=number > 0)


class _Stream:
    """One stream under way."""

    def __init__(self, run: Run, request: SpeechRequest, sender: relay.Sender, rate: int) -> None:
        from watermark.stream import StreamSeal

        self.job_run, self.request, self.sender, self.rate = run, request, sender, rate
        self.output_id = uuid.uuid4()
        self.mark: IssuedMark = issue_mark(output_ref=str(self.output_id), rehearsal=request.voice.rehearsal)
        self.report = Reporter(run)
        self.terms = speaking.terms(request, self.mark, self.output_id)
        self.seal: StreamSeal = StreamSeal(rate, **self.terms)
        self.sounded: list[np.ndarray] = []
        self.compared = False

    def run(self, spoken: Iterator[Spoken]) -> None:
        """From the label to the publication."""
        head = self.seal.begin()
        _open(self.job_run, self.request, self.output_id, self.mark, self.seal.label_seconds)
        left_early = ""
        try:
            self.sender.facts(relay.START, **self._facts())
            self.sender.sound(head, kind=relay.LABEL)
            for one in spoken:
                self._give(one)
        except relay.NobodyListens as gone:
            if not self.seal.running:
                raise ListenerLeft from gone
            left_early = "client_too_slow" if isinstance(gone, relay.TooSlow) else "client_left"
        self._finish(left_early)

    def _give(self, one: Spoken) -> None:
        out = self.seal.push(one.pcm)
        if len(one.pcm):
            self.sounded.append(one.pcm)
        self.sender.sound(out)
        if not one.last:
            return
        done = (one.sentence + 1) / one.sentences if one.sentences else 0.0
        streams.left(self.request, self.seal.seconds)
        self.sender.facts(
            relay.PROGRESS, sentence=one.sentence + 1, sentences=one.sentences, seconds=round(self.seal.seconds, 2)
        )
        # Between two sentences: may the next one be spoken, and is the run still this worker's?
        self.report("speaking", done * speaking.SYNTHESIS_SHARE)
        self.job_run.write()
        gate.still_speech(actor=ACTOR, request=self.request)
        self._compare()

    def _compare(self) -> None:
        if self.compared or sum(map(len, self.sounded)) < COMPARED_SECONDS * self.rate:
            return
        self.compared = True
        pcm = np.concatenate(self.sounded)
        if drift.would_hold(self.request, drift.listen_to(pcm, self.rate, self.request)):
            raise SoundsLikeAnother

    def _finish(self, left_early: str) -> None:
        self.report("marking and labelling", speaking.SYNTHESIS_SHARE)
        rest, sealed = self.seal.finish()
        pcm = np.concatenate(self.sounded)
        heard = drift.listen_to(pcm, self.rate, self.request)
        speaking.publish(
            self.job_run,
            self.request.id,
            self.output_id,
            self.mark,
            sealed,
            self.seal.seconds,
            heard,
            left_early=left_early,
        )
        if left_early:
            return
        try:
            self.sender.sound(rest)
            self.sender.facts(
                relay.DONE, output=str(self.output_id), sha256=sealed.sha256, label_seconds=sealed.label_seconds,
                seconds=round(self.seal.seconds + sealed.label_seconds, 3),
            )  # fmt: skip
        except relay.NobodyListens:
            return  # it is published: whoever asked can fetch it

    def _facts(self) -> dict[str, Any]:
        from watermark.labels.encode import MEDIA_TYPES

        profile, language = self.terms["label_profile"], self.request.label_language
        spoken = "spoken" in profile.writes
        return {
            "output": str(self.output_id),
            "media_type": MEDIA_TYPES[self.request.container],
            "rate": self.request.rate,
            "label_seconds": round(self.seal.label_seconds, 3),
            "label": profile.line(language).text if spoken else "",
            "label_language": profile.line(language).language if spoken else "",
        }


def _open(run: Run, request: SpeechRequest, output_id: UUID, mark: IssuedMark, label_seconds: float) -> None:
    """The stream's row and its leaf, before a byte leaves. Raises RunLost, StreamInterrupted."""
    from foundation import keys
    from watermark.seal import payload_commitment

    with transaction.atomic():
        Consent.objects.select_for_update(of=("self",)).get(id=request.voice.consent_id)
        _, job = jobs.lock_request(request.id)
        if job.run != run.token:
            raise RunLost(str(run.job_id))
        streams.opened(request, output_ref=output_id)
        log.record(
            kind="stream.opened",
            subject=f"output:{output_id}",
            actor=ACTOR,
            data={
                "voice": str(request.voice_id),
                "consent": str(request.voice.consent_id),
                "licence": str(request.licence_id) if request.licence_id else None,
                "job": str(job.id),
                "payload_commitment": payload_commitment(mark.payload, keys.secret("mark")),
                "label_seconds": round(label_seconds, 3),
            },
            rehearsal=request.voice.rehearsal,
        )
