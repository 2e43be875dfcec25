"""Jobs that ended are told to webhooks: once, signed, to nobody but who asked; and again when they end again."""

import json
from typing import Any

import pytest

from cloning import services
from cloning.models import Job, Voice
from foundation import clock
from foundation.clock import now
from foundation.identity.actors import Actor
from marketplace.hooks import services as hooks
from marketplace.hooks.models import Delivery
from marketplace.payments import signing
from tests.cloning import factories as make
from tests.marketplace import factories as market
from tests.marketplace.hooks.test_hooks import Server
from vouch import jobevents
from vouch.api import tasks

pytestmark = pytest.mark.django_db
KINDS = ["training.done", "speech.done", "job.failed"]


@pytest.fixture
def owner(person: Any) -> Any:
    return person()


@pytest.fixture
def endpoint(owner: Any) -> Any:
    return hooks.add_endpoint(actor=Actor.of(owner), url="https://hooks.example.org/jobs", kinds=KINDS)


def heard() -> list[tuple[str, dict[str, Any]]]:
    """What the receiver gets, with its signature checked."""
    server = Server()
    said = []
    for delivery in Delivery.objects.filter(state="waiting").order_by("made_at"):
        assert server.attempt(delivery) == "delivered"
        sent = server.got[-1]
        secret = hooks.secret_of(delivery.endpoint)
        signing.check(sent.content, sent.headers["Vouch-Signature"], secret, int(clock.now().timestamp()))
        body = json.loads(sent.content)
        said.append((body["kind"], body["data"]))
    return said


def test_a_training_and_a_speech_that_are_done_are_told_once(owner: Any, endpoint: Any, person: Any) -> None:
    stranger = person()
    other = hooks.add_endpoint(actor=Actor.of(stranger), url="https://hooks.example.org/other", kinds=KINDS)
    voice: Voice = make.voice(owner, make.consent(owner))
    output = market.preview_for(voice)
    Job.objects.filter(id=output.request.job_id).update(finished_at=now())
    assert tasks.tell_jobs() == 2
    assert tasks.tell_jobs() == 0
    told = dict(heard())
    training = voice.jobs.get(kind="train")
    assert told == {
        "training.done": {
            "job": str(training.id), "kind": "train", "state": "succeeded", "error_code": "", "voice": str(voice.id),
            "speech": None, "output": None,
        },
        "speech.done": {
            "job": str(output.request.job_id), "kind": "speak", "state": "succeeded", "error_code": "",
            "voice": str(voice.id), "speech": str(output.request_id), "output": str(output.id),
        },
    }  # fmt: skip
    assert not Delivery.objects.filter(endpoint=other).exists()


def test_a_job_that_failed_is_told_and_told_again_when_it_fails_again(owner: Any, endpoint: Any) -> None:
    consent = make.consent(owner)
    voice = services.request_voice(actor=Actor.of(owner), consent_id=consent.id, name="V", language="en")
    job = voice.jobs.get()
    assert tasks.tell_jobs() == 0  # it has not ended
    for number in (1, 2):
        Job.objects.filter(id=job.id).update(
            state="failed", error_code="worker_lost", error_detail="words for people", finished_at=now()
        )
        assert tasks.tell_jobs() == 1
        told = heard()
        assert [(kind, data["state"], data["error_code"]) for kind, data in told] == [
            ("job.failed", "failed", "worker_lost")
        ]
        assert "words for people" not in str(told)
        if number == 1:
            Voice.objects.filter(id=voice.id).update(state="failed")
            services.retry_job(actor=Actor.of(owner), job_id=job.id)
            assert tasks.tell_jobs() == 0
    assert Delivery.objects.count() == 2


def test_what_nobody_listens_to_is_marked_and_leaves_nothing(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make.voice(owner, make.consent(owner))
    monkeypatch.setattr(jobevents, "BATCH", 1)
    assert tasks.tell_jobs() == 1
    assert not Delivery.objects.exists()
    job = Job.objects.get()
    assert job.told_at == job.finished_at


def test_a_person_subscribes_to_known_events_at_public_addresses(owner: Any, api: Any) -> None:
    client = api(owner)
    made = client.post("webhooks", {"url": "https://hooks.example.org/x", "kinds": KINDS})
    assert (made.status_code, made.json()["kinds"]) == (201, sorted(KINDS))
    assert (
        client.post("webhooks", {"url": "https://10.0.0.1/x", "kinds": KINDS}).json()["code"] == "bad_webhook_address"
    )
    assert client.post("webhooks", {"url": "https://a.example.org/", "kinds": ["job.begun"]}).status_code == 422
