"""The room's whole job with the real engine: speech in, a voice, speech out, traced. And a worker that dies."""

import io
import json
import threading
from typing import Any

import numpy as np
import pytest
import soundfile
from django.db.models import F

from cloning import recovery, services, tasks, trace_answers, tracing, training
from cloning.errors import VoiceDestroyed
from cloning.manner import Manner
from cloning.models import Job, Output, SpeechRequest, TraceJob, Usage, Voice
from cloning.worker import LOST_AFTER, Heart, RunLost, claim
from demo.flite.speaker import speak as flite
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.errors import ClearanceNeeded
from retention.models import CustodyItem
from tests.cloning import factories as make

pytestmark = pytest.mark.django_db(transaction=True)

LINES = (
    "The weather is lovely this morning and the train leaves at nine.",
    "Nobody knew why the green door had been left open all night.",
    "Please bring the long ladder and two buckets of paint.",
    "A quiet river runs behind the old stone mill.",
)


@pytest.fixture(scope="module")
def speech() -> list[tuple[bytes, str]]:
    """Four sentences of a synthetic speaker as WAV files with their transcripts."""
    made = []
    for line in LINES:
        wave, rate = flite(line, voice="slt")
        out = io.BytesIO()
        soundfile.write(out, wave, rate, format="WAV", subtype="PCM_16")
        made.append((out.getvalue(), line))
    return made


class Killed(BaseException):
    """What SIGKILL looks like from inside: nothing gets to clean up."""


class Steps(threading.Event):
    """Training asks before every step whether its run was lost; this counts, and kills the worker at one of them."""

    def __init__(self, deadly: int | None = None) -> None:
        super().__init__()
        self.asked, self._deadly = 0, deadly

    def is_set(self) -> bool:
        self.asked += 1
        if self.asked == self._deadly:
            raise Killed
        return super().is_set()


def train(job: Job, steps: Steps) -> None:
    run = claim(job.id)
    assert run is not None
    heart = Heart(run)
    heart.lost = steps
    with heart:
        training.train(run, heart)


def test_a_worker_dies_in_training_another_resumes_and_the_voice_speaks(person, speech) -> None:
    owner = person()
    made = services.request_voice(
        actor=Actor.of(owner), consent_id=make.consent(owner, speech=speech).id, name="Mine", language="en"
    )
    job = made.jobs.get()

    # The first worker dies in the second stage. Its checkpoint is in custody, and nothing else is.
    deadly = training.TINY_STEPS
    with pytest.raises(Killed):
        train(job, Steps(deadly))
    job.refresh_from_db()
    made.refresh_from_db()
    assert (job.state, made.state, made.weights_id) == ("running", "training", None)
    checkpoint = CustodyItem.objects.get(id=job.checkpoint_id)
    assert (checkpoint.kind, checkpoint.state) == (training.CHECKPOINT, "held")
    assert checkpoint.deadline == min(r.custody.deadline for r in made.consent.recordings.select_related("custody"))
    assert CustodyItem.objects.filter(kind=training.CHECKPOINT, state="held").count() == 1

    Job.objects.filter(id=job.id).update(heartbeat_at=F("heartbeat_at") - 2 * LOST_AFTER)
    assert recovery.recover() == 1
    rest = Steps()
    train(job, rest)
    assert 0 < rest.asked < deadly
    job.refresh_from_db()
    made.refresh_from_db()
    assert (job.state, job.attempts, job.progress, made.state) == ("succeeded", 2, 1.0, "ready"), job.error_detail
    assert not CustodyItem.objects.filter(kind=training.CHECKPOINT, state="held").exists()
    # Nobody reads the weights without a clearance.
    with pytest.raises(ClearanceNeeded):
        vault.read(sealed_object=made.weights, actor=make.SYSTEM)

    spoken = _speaks(owner, made)
    _is_traced(spoken)


@pytest.mark.long
def test_a_checkpoint_of_another_release_is_left_and_the_training_begins_anew(person, speech, monkeypatch) -> None:
    owner = person()
    made = services.request_voice(
        actor=Actor.of(owner), consent_id=make.consent(owner, speech=speech).id, name="Mine", language="en"
    )
    job = made.jobs.get()
    with pytest.raises(Killed):
        train(job, Steps(training.TINY_STEPS))
    job.refresh_from_db()
    assert job.checkpoint is not None
    monkeypatch.setattr(training, "TINY_RATE", training.TINY_RATE * 0.99)
    Job.objects.filter(id=job.id).update(heartbeat_at=F("heartbeat_at") - 2 * LOST_AFTER)
    assert recovery.recover() == 1
    whole = Steps()
    train(job, whole)
    assert whole.asked >= training.TINY_STEPS
    job.refresh_from_db()
    made.refresh_from_db()
    assert (job.state, made.state) == ("succeeded", "ready"), job.error_detail
    assert not CustodyItem.objects.filter(kind=training.CHECKPOINT, state="held").exists()


def _speaks(owner: Any, voice: Voice) -> Output:
    request = services.request_speech(
        actor=Actor.of(owner),
        voice_id=voice.id,
        text=make.TEXT,
        language="en",
        seed=5,
        container="flac",
        manner=Manner(pitch=3.0, formants=-1.0),
    )
    tasks.speak.run(str(request.job_id))
    job = Job.objects.get(id=request.job_id)
    assert job.state == "succeeded", (job.error_code, job.error_detail)
    tasks.speak.run(str(request.job_id))
    made = Output.objects.get(request=request)
    assert Usage.objects.get(output=made).characters == len(make.TEXT)
    assert SpeechRequest.objects.get(id=request.id).text == ""
    leaf = json.loads(bytes(Leaf.objects.get(index=made.leaf_index).body))
    assert (leaf["kind"], leaf["rehearsal"], leaf["data"]["sha256"]) == ("output.sealed", True, made.sha256)
    return made


def _is_traced(made: Output) -> None:
    data = vault.read(sealed_object=made.sealed, actor=make.SYSTEM)
    wave, _ = soundfile.read(io.BytesIO(data))
    assert np.abs(wave).max() > 0.01
    asked = tracing.request_trace(actor=make.SYSTEM, stream=[data])
    tasks.trace.run(str(asked.id))
    answer = trace_answers.joined(TraceJob.objects.get(id=asked.id))
    assert [hit["output"] for hit in answer] == [str(made.id)]
    assert answer[0]["consent_state"] == "active"


def test_a_worker_that_was_not_told_of_the_withdrawal_is_stopped_by_the_gate(person, speech) -> None:
    owner = person()
    under = make.consent(owner, speech=speech)
    made = services.request_voice(actor=Actor.of(owner), consent_id=under.id, name="Mine", language="en")
    run = claim(made.jobs.get().id)
    assert run is not None
    services.cancel_jobs_for_consent(consent_id=under.id, actor=make.SYSTEM)
    services.destroy_voices_for_consent(consent_id=under.id, actor=make.SYSTEM)
    with pytest.raises(VoiceDestroyed), Heart(run) as heart:
        training.train(run, heart)
    made.refresh_from_db()
    assert (made.state, made.weights_id) == ("destroyed", None)


def test_a_withdrawal_in_the_middle_of_a_training_stops_it_and_leaves_no_voice(person, speech) -> None:
    owner = person()
    under = make.consent(owner, speech=speech)
    made = services.request_voice(actor=Actor.of(owner), consent_id=under.id, name="Mine", language="en")

    class Withdraw(Steps):
        def is_set(self) -> bool:
            if self.asked == 3:
                services.cancel_jobs_for_consent(consent_id=under.id, actor=make.SYSTEM)
                self.set()
            return super().is_set()

    steps = Withdraw()
    with pytest.raises(RunLost):
        train(made.jobs.get(), steps)
    assert steps.asked == 4
    made.refresh_from_db()
    assert (made.jobs.get().state, made.weights_id) == ("cancelled", None)


def test_speech_that_cannot_train_a_voice_fails_the_job_with_the_engines_reason(person, speech) -> None:
    owner = person()
    made = services.request_voice(
        actor=Actor.of(owner), consent_id=make.consent(owner, speech=speech[:1]).id, name="Short", language="en"
    )
    tasks.train.run(str(made.jobs.get().id))
    job = made.jobs.get()
    made.refresh_from_db()
    assert (job.state, job.error_code, made.state) == ("failed", "too_little_speech", "failed")
