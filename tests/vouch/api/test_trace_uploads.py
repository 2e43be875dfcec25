"""A recording to be traced, in pieces: broken off and gone on with, ended once, and nobody else's."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from cloning import trace_rules, tracing
from cloning.models import TraceJob
from foundation.clock import move_forward
from retention import custody
from retention.models import CustodyItem
from retention.sweeping import sweep
from tests.cloning import factories as make

pytestmark = pytest.mark.django_db
WHOLE = bytes(range(256)) * 20
END = {"sha256": hashlib.sha256(WHOLE).hexdigest()}


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def send(client: Any, address: str, offset: Any, data: bytes) -> Any:
    return client.patch(address, content=data, Upload_Offset=str(offset))


def begun(client: Any) -> str:
    made = client.post("trace/uploads")
    assert (made.status_code, made.json()["offset"]) == (201, 0)
    return f"trace/uploads/{made.json()['id']}"


@pytest.mark.parametrize("signed_in", [True, False])
def test_it_goes_on_where_it_was_and_is_searched_once(api: Any, person: Any, signed_in: bool) -> None:
    caller = person() if signed_in else None
    client = api(caller)
    address = begun(client)
    assert send(client, address, 0, WHOLE[:1000]).json() == {"offset": 1000}
    again = send(client, address, 0, WHOLE[:1000])
    assert (*problem(again), again.json()["offset"]) == (409, "wrong_offset", 1000)
    assert client.get(address).json() == {"offset": 1000}
    assert send(client, address, 1000, WHOLE[1000:]).json() == {"offset": len(WHOLE)}
    assert not TraceJob.objects.exists()
    asked = client.post(address, json=END)
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    job = TraceJob.objects.get()
    assert (str(job.id), job.requester) == (asked.json()["id"], caller)
    assert job.caller != ""
    assert not caller or job.caller == trace_rules.caller_tag(str(caller.pk))
    assert job.sent_at is not None
    assert custody.read(item=job.recording, actor=make.SYSTEM) == WHOLE
    assert job.recording.deadline - job.recording.received_at <= tracing.KEPT
    # The answer was lost: asked again it is the same trace, and nothing more can be added.
    assert client.get(address).json() == {"offset": len(WHOLE)}
    assert client.post(address, json=END).json()["id"] == str(job.id)
    assert problem(send(client, address, len(WHOLE), b"x")) == (409, "custody_closed")
    assert TraceJob.objects.count() == 1
    tracing.search(job.id)
    assert client.get(f"trace/{job.id}").json()["error_code"] == "not_audio"
    assert CustodyItem.objects.get(purpose="trace").state == "destroyed"


def test_what_differs_is_destroyed_and_nothing_is_no_recording(api: Any) -> None:
    client = api(None)
    address = begun(client)
    assert problem(client.post(address, json=END)) == (422, "audio_empty")
    send(client, address, 0, WHOLE[:-1] + b"!")
    assert problem(client.post(address, json=END)) == (422, "content_differs")
    assert CustodyItem.objects.get(purpose="trace").state == "destroyed"
    assert problem(send(client, address, len(WHOLE), b"x")) == (410, "past_deadline")
    assert not TraceJob.objects.exists()


def test_too_much_is_refused_and_what_is_left_alone_goes(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = api(None)
    address = begun(client)
    monkeypatch.setattr(tracing, "MAX_BYTES", 2_000)
    assert problem(send(client, address, 0, WHOLE)) == (413, "too_large")
    assert send(client, address, 0, WHOLE[:2_000]).status_code == 200
    assert problem(send(client, address, 2_000, b"x")) == (413, "too_large")
    move_forward(timedelta(hours=1, minutes=1))
    sweep()
    assert CustodyItem.objects.get(purpose="trace").state == "destroyed"
    assert problem(client.post(address, json=END)) == (410, "past_deadline")


@pytest.mark.parametrize("offset", ["", "-1", "1.5", "x", "9" * 13])
def test_an_offset_that_is_none_is_refused(api: Any, offset: str) -> None:
    client = api(None)
    assert problem(send(client, begun(client), offset, b"x")) == (422, "bad_offset")


def test_nobody_elses_upload_is_one(api: Any, person: Any) -> None:
    owner = api(person())
    address = begun(owner)
    held = make.held(person())
    for client in (api(person()), api(None)):
        for answer in (client.get(address), send(client, address, 0, b"x"), client.post(address, json=END)):
            assert problem(answer) == (404, "not_found")
    # Nor is any other recording that is held.
    assert problem(send(owner, f"trace/uploads/{held.id}", 0, b"x")) == (404, "not_found")
    assert owner.get(address).json() == {"offset": 0}
