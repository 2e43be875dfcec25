"""A job's events: what is told, in what order, from where on, to whom, and how many may listen."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cloning import recovery, services
from cloning.models import Job, JobPoint
from cloning.worker import Reporter, claim
from foundation.clock import now
from foundation.identity.actors import Actor
from tests.cloning import factories as make
from vouch.api import jobs
from vouch.api.core import eventstream

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(person: Any) -> Any:
    return person()


@pytest.fixture
def training(owner: Any) -> Job:
    consent = make.consent(owner)
    voice = services.request_voice(actor=Actor.of(owner), consent_id=consent.id, name="Told", language="en")
    return Job.objects.get(voice=voice)


def read(pieces: Iterator[bytes]) -> dict[str, Any]:
    """The next event, as a browser reads it: without comments."""
    event = next(piece for piece in pieces if not piece.startswith(b":"))
    lines = dict(line.split(": ", 1) for line in event.decode().splitlines() if line)
    return {**lines, "data": json.loads(lines["data"])} if "data" in lines else lines


def opened(client: Any, job: Job, **headers: str) -> Iterator[bytes]:
    answer = client.get(f"jobs/{job.id}/events", Accept="text/event-stream", **headers)
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"].startswith("text/event-stream")
    assert (answer["Cache-Control"], answer["X-Accel-Buffering"]) == ("no-store, no-transform", "no")
    pieces: Iterator[bytes] = iter(answer.streaming_content)
    assert read(pieces) == {"retry": "3000"}
    return pieces


def left(answer: Any) -> None:
    """What the server does with an answer when its client has gone (but for the database, which the test shares)."""
    for close in answer._resource_closers:
        close()


def test_a_training_is_told_as_it_happens_and_from_where_one_left_off(owner, api, training, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(jobs, "HEARTBEAT_SECONDS", 0.0)
    client = api(owner)
    pieces = opened(client, training)
    first = read(pieces)
    assert (first["event"], first["data"]["state"], first["data"]["percent"]) == ("progress", "queued", 0.0)
    assert next(pieces) == eventstream.HEARTBEAT  # nothing happened

    run = claim(training.id)
    assert run is not None
    moments = iter(range(0, 100, 2))
    report = Reporter(run, clock=lambda: float(next(moments)))
    report("semantic", 0.25, 60.0, 3.5)
    report("semantic", 0.275, 50.0, float("nan"))  # a step that was not finite moves the bar and is no point
    one = read(pieces)
    assert one["data"] == {
        "job": str(training.id), "state": "running", "stage": "semantic", "percent": 25.0, "seconds_left": 60.0,
        "loss": 3.5, "at": one["data"]["at"],
    }  # fmt: skip
    report("acoustic", 0.5, 20.0, 2.25)
    two = read(pieces)
    assert (two["data"]["percent"], two["data"]["loss"]) == (50.0, 2.25)
    Job.objects.filter(id=training.id).update(
        state="failed", run=None, error_code="worker_lost", error_detail="Gone.", finished_at=now()
    )
    assert b"event: end" in list(pieces)[-1]
    again = opened(client, training, **{"Last-Event-ID": one["id"]})
    assert read(again)["id"] == two["id"]  # what was missed, and nothing twice
    last, end = read(again), read(again)
    assert (last["data"]["state"], last["id"]) == ("failed", two["id"])
    assert (end["event"], end["id"], end["data"]["error_code"]) == ("end", "end", "worker_lost")
    with pytest.raises(StopIteration):
        next(again)
    assert client.get(f"jobs/{training.id}/events", **{"Last-Event-ID": "end"}).status_code == 204
    # An id that is none begins from the beginning.
    anew = opened(client, training, **{"Last-Event-ID": "²; drop"})
    assert [read(anew)["id"] for _ in range(4)] == [one["id"], two["id"], two["id"], "end"]
    assert list(anew) == []
    assert not eventstream._open


def test_a_stream_is_closed_after_a_while_without_an_end(owner, api, training, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "LONGEST_SECONDS", 0.0)
    pieces = opened(api(owner), training)
    assert read(pieces)["event"] == "progress"
    with pytest.raises(StopIteration):
        next(pieces)


def test_no_stream_for_others_and_bounds_for_all(owner, person, api, training, settings) -> None:
    events = f"jobs/{training.id}/events"
    assert api(None).get(events).status_code == 401
    assert api(person()).get(events).status_code == 404
    assert api(owner, scopes=["speak"]).get(events).json()["code"] == "missing_scope"
    assert not eventstream._open

    client = api(owner)
    held = [client.get(events) for _ in range(eventstream.PER_PERSON)]
    refused = client.get(events)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_event_streams")
    assert refused["Retry-After"] == "10"
    for answer in held:  # never begun, or begun: each gives its place back once
        left(answer)
        left(answer)
    settings.VOUCH_EVENT_STREAMS = 1
    one = client.get(events)
    busy = client.get(events)
    assert (busy.status_code, busy.json()["code"]) == (503, "event_streams_busy")
    left(one)
    assert not eventstream._open


def test_a_curve_is_forgotten_after_a_month(training) -> None:
    for age in (recovery.POINTS_KEPT * 2, recovery.POINTS_KEPT / 2):
        JobPoint.objects.create(job=training, stage="semantic", progress=0.1, loss=1.0, at=now() - age)
    assert recovery._old_points() == 1
    assert JobPoint.objects.count() == 1
