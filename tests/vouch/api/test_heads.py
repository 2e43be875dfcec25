"""HEAD: what GET says of itself, at GET's price in rights and at none in work."""

from typing import Any

import pytest

from cloning.models import SpeechRequest, Voice
from foundation.vault import services as vault
from tests.cloning import factories as make
from tests.vouch.api.test_cloning import finished
from vouch.api.core import eventstream

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def voice(person: Any) -> Voice:
    owner = person()
    return make.voice(owner, make.consent(owner))


def head(client: Any, path: str, **headers: str) -> Any:
    return client.client.head(f"/api/v1/{path}", headers={**client.headers, **headers})


def test_it_says_what_get_would_and_opens_no_sound(api: Any, voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    someone = api(voice.owner)
    asked = someone.post("speech", {"voice": str(voice.id), "text": make.TEXT, "language": "en"})
    output = finished(SpeechRequest.objects.get(id=asked.json()["id"]))
    path = f"outputs/{output.id}/audio"
    whole = someone.get(path)
    b"".join(whole.streaming_content)
    opened: list[Any] = []
    monkeypatch.setattr(vault, "read_stream", lambda **asked: opened.append(asked) or iter(()))
    answer = head(someone, path)
    for name in ("Content-Length", "Content-Type", "ETag", "Accept-Ranges", "X-Vouch-AI-Generated"):
        assert answer[name] == whole[name], name
    assert b"".join(answer.streaming_content) == b""
    assert head(someone, path, **{"If-None-Match": whole["ETag"]}).status_code == 304
    assert head(api(voice.owner, ["voice:read"]), path).status_code == 403


def test_it_waits_for_no_event_and_holds_no_place(api: Any, voice: Voice) -> None:
    someone = api(voice.owner)
    asked = someone.post("speech", {"voice": str(voice.id), "text": make.TEXT, "language": "en"}).json()
    for _ in range(2 * eventstream.PER_PERSON):
        answer = head(someone, f"jobs/{asked['job']}/events")
        assert (answer.status_code, b"".join(answer.streaming_content)) == (200, b"")
        answer.close()
    assert head(someone, "speech/socket").status_code == 405
