"""The client's upload over a bad line: what arrived counts, and nothing arrives twice."""

from typing import Any

import httpx
import numpy as np
import pytest
from django.core.handlers.wsgi import WSGIHandler

from consent.models import Examination, Recording
from foundation.identity.actors import Actor
from retention import custody
from tests.consent.factories import passed_challenge
from vouch.client import Problem, TookTooLong, Unreachable, Vouch
from vouch.client.operations import UPLOAD_PIECE

pytestmark = pytest.mark.django_db(transaction=True)
SOUND = np.random.default_rng(3).bytes(2 * UPLOAD_PIECE + 1234)
SAID = "The ferry leaves at nine."


class BadLine(httpx.BaseTransport):
    """The real API. Of each kind of request that changes something the first answer is lost, once it was carried out;
    ``cut``: from this piece on nothing gets through at all. ``offsets``: where pieces began."""

    def __init__(self, *, lossy: bool = False, cut: int = 99) -> None:
        self.real = httpx.WSGITransport(WSGIHandler())
        self.lossy, self.cut = lossy, cut
        self.lost: set[tuple[str, str]] = set()
        self.offsets: list[int] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH":
            self.offsets.append(int(request.headers["Upload-Offset"]))
            if len(self.offsets) > self.cut:
                raise httpx.ConnectError("no line")
        answer = self.real.handle_request(request)
        whole = httpx.Response(answer.status_code, headers=answer.headers, content=answer.read())
        kind = (request.method, request.url.path.rpartition("/")[2])
        if self.lossy and request.method != "GET" and kind not in self.lost:
            self.lost.add(kind)
            raise httpx.ReadError("the answer was lost")
        return whole


@pytest.fixture
def speaker(person: Any) -> Any:
    return person()


@pytest.fixture
def key(api: Any, speaker: Any) -> str:
    return str(api(speaker).headers["Authorization"].removeprefix("Bearer "))


def arrived(speaker: Any) -> None:
    recording = Recording.objects.get()
    assert recording.state == "received"
    assert Examination.objects.filter(recording=recording).count() == 1
    assert recording.custody is not None
    assert custody.read(item=recording.custody, actor=Actor.of(speaker)) == SOUND


def test_lost_answers_double_nothing(speaker: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vouch.client.drivers.FIRST_WAIT", 0.0)
    line = BadLine(lossy=True)
    with Vouch("http://testserver", key, transport=line) as vouch, pytest.raises(TookTooLong):
        vouch.upload(str(passed_challenge(speaker).id), SAID, SOUND, seconds=0)
    assert line.lost == {("POST", "recordings"), ("PATCH", "upload"), ("POST", "upload")}
    assert line.offsets == [0, 0, UPLOAD_PIECE, 2 * UPLOAD_PIECE]
    arrived(speaker)


def test_another_process_goes_on_and_another_person_cannot(speaker: Any, key: str, person: Any, api: Any) -> None:
    line = BadLine(cut=1)
    with Vouch("http://testserver", key, transport=line, patience=0.0) as vouch, pytest.raises(Unreachable):
        vouch.upload(str(passed_challenge(speaker).id), SAID, SOUND, seconds=0)
    recording = Recording.objects.get()
    stranger = api(person()).headers["Authorization"].removeprefix("Bearer ")
    with Vouch("http://testserver", stranger, transport=BadLine()) as other, pytest.raises(Problem) as refused:
        other.send_content(str(recording.id), SOUND, seconds=0)
    assert refused.value.code == "not_found"
    again = BadLine()
    with Vouch("http://testserver", key, transport=again) as vouch, pytest.raises(TookTooLong):
        vouch.send_content(str(recording.id), SOUND, seconds=0)
    assert again.offsets == [UPLOAD_PIECE, 2 * UPLOAD_PIECE]
    arrived(speaker)
