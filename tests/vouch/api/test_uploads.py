"""A training recording in pieces: broken off, gone on with, and what is no honest piece."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from consent import uploads
from consent.models import Examination, Recording
from foundation.clock import move_forward
from foundation.identity.actors import Actor
from retention import custody
from retention.models import CustodyItem
from retention.sweeping import sweep
from tests.consent.factories import passed_challenge

pytestmark = pytest.mark.django_db
WHOLE = bytes(range(256)) * 20
DIGEST = hashlib.sha256(WHOLE).hexdigest()


@pytest.fixture
def announced(api: Any, person: Any) -> tuple[Any, str, Any]:
    """A client, the address of an upload, and the person."""
    speaker = person()
    challenge = passed_challenge(speaker)
    given = {"challenge": str(challenge.id), "language": "en", "transcript": "The ferry leaves at nine."}
    made = api(speaker).post("recordings", json=given).json()
    return api(speaker), f"recordings/{made['id']}/upload", speaker


def send(client: Any, address: str, offset: Any, data: bytes) -> Any:
    return client.patch(address, content=data, Upload_Offset=str(offset))


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_an_upload_that_broke_off_goes_on_where_it_was(announced: Any) -> None:
    client, address, speaker = announced
    assert client.get(address).json() == {"offset": 0}
    assert send(client, address, 0, WHOLE[:1000]).json() == {"offset": 1000}
    # The answer got lost: sent again it is refused, and says where to go on.
    again = send(client, address, 0, WHOLE[:1000])
    assert (*problem(again), again.json()["offset"]) == (409, "wrong_offset", 1000)
    assert problem(send(client, address, 2000, WHOLE[2000:])) == (409, "wrong_offset")
    assert client.get(address).json() == {"offset": 1000}
    assert send(client, address, 1000, WHOLE[1000:]).json() == {"offset": len(WHOLE)}
    assert not Examination.objects.filter(recording__isnull=False).exists()
    done = client.post(address, json={"sha256": DIGEST})
    assert done.status_code == 202
    recording = Recording.objects.get()
    assert str(Examination.objects.get(recording=recording).id) == done.json()["examination"]
    assert custody.read(item=recording.custody, actor=Actor.of(speaker)) == WHOLE
    assert recording.custody.deadline - recording.custody.received_at == timedelta(hours=72)
    for late in (client.get(address), send(client, address, 0, b"x"), client.post(address, json={"sha256": DIGEST})):
        assert problem(late) == (409, "recording_already_received")


def test_what_is_not_what_was_to_be_sent_is_destroyed_and_can_be_sent_again(announced: Any) -> None:
    client, address, _ = announced
    assert problem(client.post(address, json={"sha256": DIGEST})) == (422, "audio_empty")
    send(client, address, 0, WHOLE[:-1] + b"!")
    assert problem(client.post(address, json={"sha256": DIGEST})) == (422, "content_differs")
    assert Recording.objects.get().custody.state == "destroyed"
    assert client.get(address).json() == {"offset": 0}
    send(client, address, 0, WHOLE)
    assert client.post(address, json={"sha256": DIGEST.upper()}).status_code == 202


def test_what_was_left_alone_is_swept_and_a_whole_upload_takes_its_place(announced: Any) -> None:
    client, address, _ = announced
    send(client, address, 0, WHOLE[:10])
    move_forward(timedelta(hours=2))
    sweep()
    assert CustodyItem.objects.get(purpose="training").state == "destroyed"
    assert client.get(address).json() == {"offset": 0}
    send(client, address, 0, WHOLE[:10])
    assert client.put(address.replace("upload", "content"), content=WHOLE).status_code == 202
    states = sorted(CustodyItem.objects.filter(purpose="training").values_list("state", flat=True))
    assert states == ["destroyed", "destroyed", "held"]
    assert custody.matches(Recording.objects.get().custody, WHOLE)


@pytest.mark.parametrize("offset", ["", "x", "-1", "1.5", "٣", "9" * 13])
def test_an_offset_that_is_none_is_refused(announced: Any, offset: str) -> None:
    client, address, _ = announced
    assert send(client, address, offset.encode().decode("latin-1"), b"x").status_code in (400, 422)
    assert Recording.objects.get().custody is None


def test_too_much_is_refused_and_what_was_there_stays(announced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client, address, _ = announced
    assert problem(send(client, address, 0, b"x" * (uploads.MAX_PIECE + 1))) == (413, "too_large")
    monkeypatch.setattr(uploads, "MAX_BYTES", 20)
    send(client, address, 0, WHOLE[:15])
    assert problem(send(client, address, 15, WHOLE[15:30])) == (413, "too_large")
    assert problem(send(client, address, 15, b"")) == (411, "length_required")
    assert client.get(address).json() == {"offset": 15}


def test_nobody_else_sends_or_ends_it(announced: Any, api: Any, person: Any) -> None:
    client, address, _ = announced
    send(client, address, 0, WHOLE)
    for other, status in ((api(person()), 404), (api(None), 401), (api(person(), scopes=["consent:read"]), 403)):
        assert other.get(address).status_code == status
        assert send(other, address, len(WHOLE), b"more").status_code == status
        assert other.post(address, json={"sha256": DIGEST}).status_code == status
    assert client.get(address).json() == {"offset": len(WHOLE)}
