"""OpenAI's address for speech: the same gate, answered in their shape."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cloning.models import Output, SpeechRequest, Voice
from tests.cloning import factories as make
from tests.cloning.streamed import Script
from tests.vouch.api.test_cloning import finished
from watermark.labels.aigc import read_label

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner(person: Any) -> Any:
    return person()


@pytest.fixture
def voice(owner: Any) -> Voice:
    return make.voice(owner, make.consent(owner))


def ask(client: Any, voice: Any, **more: Any) -> Any:
    wanted = {"model": "tts-1", "input": make.TEXT, "voice": voice, **more}
    return client.post("/v1/audio/speech", {name: value for name, value in wanted.items() if value is not None})


def _queries(act: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as seen:
        assert act().status_code == 200
    return len(seen)


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_the_recording_itself_is_answered_marked_and_labelled(api: Any, owner: Any, voice: Voice, worker: None) -> None:
    answer = ask(api(owner), str(voice.id), instructions="Cheerfully.", speed=1.25)
    data = b"".join(answer.streaming_content)
    output = Output.objects.get()
    assert (answer.status_code, answer["Content-Type"]) == (200, "audio/mpeg")
    assert answer["X-Vouch-Output"] == str(output.id)
    assert answer["X-Vouch-Ignored"] == "instructions"
    assert float(answer["X-Vouch-Label-Seconds"]) > 0
    assert read_label(data, "mp3").produce_id == str(output.id)
    assert output.request.manner == {"speed": 1.25}


@pytest.mark.parametrize("shape", [lambda v: v.name.upper(), lambda v: {"id": str(v.id)}])
def test_a_voice_goes_by_its_name_or_as_an_object(api: Any, owner: Any, voice: Voice, worker: None, shape: Any) -> None:
    assert ask(api(owner), shape(voice), response_format="opus")["Content-Type"] == "audio/ogg"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"response_format": "pcm"}, (422, "format_without_label")),
        ({"stream_format": "sse", "response_format": "flac"}, (422, "container_not_streamed")),
        ({"speed": 3.0}, (422, "manner_invalid")),
        ({"speed": 9.0}, (422, "invalid_fields")),
        ({"voice": "alloy"}, (404, "not_found")),
        ({"voice": 7}, (422, "invalid_fields")),
        ({"input": "..."}, (422, "text_invalid")),
        ({"input": "x" * 4097}, (422, "invalid_fields")),
        ({"model": None}, (422, "invalid_fields")),
    ],
)
def test_what_cannot_be_done_is_refused_by_name_in_their_shape(
    api: Any, owner: Any, voice: Voice, more: dict[str, Any], expected: tuple[int, str]
) -> None:
    answer = ask(api(owner), more.pop("voice", str(voice.id)), **more)
    assert code(answer) == expected
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert not SpeechRequest.objects.exists()


def test_a_stream_is_the_recording_as_it_is_made_plain_or_in_events(
    api: Any, owner: Any, voice: Voice, streamer: Script
) -> None:
    plain = ask(api(owner), str(voice.id), stream_format="audio", response_format="opus", instructions="Softly.")
    assert (plain.status_code, plain["Content-Type"], plain["X-Vouch-Ignored"]) == (200, "audio/ogg", "instructions")
    data = b"".join(plain.streaming_content)
    assert read_label(data, "opus").produce_id == plain["X-Vouch-Output"] == str(Output.objects.get().id)
    told = ask(api(owner), str(voice.id), stream_format="sse")
    lines = b"".join(told.streaming_content).decode().strip().split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    assert events[-1]["type"] == "speech.audio.done"
    sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert read_label(sound, "mp3").produce_id == events[-1]["vouch_output"]
    streamer.between = lambda _: 1 / 0
    broken = ask(api(owner), str(voice.id), stream_format="sse")
    heard = []
    with pytest.raises(ConnectionResetError):
        heard.extend(broken.streaming_content)
    assert json.loads(heard[-1].removeprefix(b"data: "))["error"]["code"] == "internal_error"


def test_nobody_else_speaks_in_a_voice(api: Any, person: Any, voice: Voice) -> None:
    assert code(ask(api(None), str(voice.id))) == (401, "not_signed_in")
    assert code(ask(api(person()), str(voice.id))) == (404, "not_found")
    assert code(ask(api(voice.owner, scopes=["voice:read"]), str(voice.id))) == (403, "missing_scope")
    assert not SpeechRequest.objects.exists()


def test_a_session_alone_is_not_enough(client: Any, owner: Any, voice: Voice) -> None:
    client.force_login(owner)
    answer = client.post("/v1/audio/speech", {"voice": str(voice.id)}, content_type="application/json")
    assert code(answer) == (401, "not_signed_in")


def test_two_voices_of_one_name_are_told_apart_by_their_ids(api: Any, owner: Any, voice: Voice) -> None:
    make.voice(owner, make.consent(owner))
    Voice.objects.update(name="Twin")
    assert code(ask(api(owner), "twin")) == (409, "voice_ambiguous")


def test_a_text_that_is_held_says_so_at_once(api: Any, owner: Any, voice: Voice) -> None:
    held = ask(api(owner), str(voice.id), input="Grandma, I had an accident, please send the money today.")
    assert code(held) == (403, "held")


def test_a_withdrawn_consent_is_refused_by_its_name(api: Any, owner: Any, voice: Voice) -> None:
    from foundation.identity.actors import Actor
    from vouch.consents import withdraw

    withdraw(actor=Actor.of(owner), consent_id=voice.consent_id)
    assert code(ask(api(owner), str(voice.id))) == (403, "consent_withdrawn")


def test_who_has_waited_long_enough_is_told_where_to_look(api: Any, owner: Any, voice: Voice, soon: None) -> None:
    answer = ask(api(owner), str(voice.id))
    assert code(answer) == (503, "still_speaking")
    assert answer["Retry-After"] == "5"
    # OpenAI's clients would send it again by themselves: it would be spoken, and charged, once more.
    assert answer["X-Should-Retry"] == "false"


def test_who_repeats_under_a_key_waits_for_the_same_recording(
    api: Any, owner: Any, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone, body = api(owner), {"model": "any", "input": make.TEXT, "voice": voice.name}
    monkeypatch.setattr("vouch.api.compat.waiting.LONGEST_WAIT", 0.0)
    early = someone.post("/v1/audio/speech", body, Idempotency_Key="k")
    assert (code(early), early["X-Should-Retry"]) == ((503, "still_speaking"), "true")
    finished(SpeechRequest.objects.get())
    whole = someone.post("/v1/audio/speech", body, Idempotency_Key="k")
    assert (whole.status_code, whole["Idempotency-Replayed"]) == (200, "true")
    assert whole["X-Vouch-Output"] == str(Output.objects.get().id)
    other = someone.post("/v1/audio/speech", {**body, "input": "Other."}, Idempotency_Key="k")
    assert code(other) == (422, "idempotency_key_reused")


def test_a_key_is_free_again_when_nothing_came_of_it(api: Any, owner: Any, voice: Voice, worker: None) -> None:
    someone, body = api(owner), {"model": "any", "input": "...", "voice": voice.name}
    assert code(someone.post("/v1/audio/speech", body, Idempotency_Key="k")) == (422, "text_invalid")
    good = someone.post("/v1/audio/speech", {**body, "input": make.TEXT}, Idempotency_Key="k")
    assert (good.status_code, "Idempotency-Replayed" in good) == (200, False)


@pytest.mark.parametrize("form", ["audio", "sse"])
def test_a_repeated_stream_is_its_recording(api: Any, owner: Any, voice: Voice, streamer: Script, form: str) -> None:
    someone = api(owner)
    body = {"model": "any", "input": make.TEXT, "voice": voice.name, "stream_format": form, "response_format": "opus"}
    live = someone.post("/v1/audio/speech", body, Idempotency_Key="k")
    b"".join(live.streaming_content)
    again = someone.post("/v1/audio/speech", body, Idempotency_Key="k")
    data = b"".join(again.streaming_content)
    assert again["Idempotency-Replayed"] == "true"
    if form == "sse":
        events = [json.loads(line.removeprefix("data: ")) for line in data.decode().split("\n\n") if line]
        assert events[-1]["vouch_output"] == str(Output.objects.get().id)
        data = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert hashlib.sha256(data).hexdigest() == Output.objects.get().sha256


def test_null_is_what_was_left_out(api: Any, owner: Any, voice: Voice, worker: None) -> None:
    empty = dict.fromkeys(("response_format", "speed", "instructions", "stream_format", "language"))
    answer = api(owner).post("/v1/audio/speech", {"model": "any", "input": make.TEXT, "voice": voice.name, **empty})
    assert (answer.status_code, answer["Content-Type"]) == (200, "audio/mpeg")


def test_a_refusal_names_the_field_in_one_sentence(api: Any, owner: Any, voice: Voice) -> None:
    said = ask(api(owner), str(voice.id), speed=9.0).json()["error"]
    assert (said["param"], said["type"]) == ("speed", "invalid_request_error")
    assert "speed: Ensure this value is less than or equal to 4.0." in said["message"]


def test_models_and_voices_can_be_listed_and_other_addresses_are_refused_in_their_shape(
    api: Any, person: Any, owner: Any, voice: Voice
) -> None:
    someone = api(owner)
    listed = someone.get("/v1/models").json()
    assert (listed["object"], [model["id"] for model in listed["data"]]) == ("list", ["vouch"])
    assert someone.get("/v1/models/vouch").json() == listed["data"][0]
    assert code(someone.get("/v1/models/tts-9")) == (404, "model_not_found")
    training = make.voice(owner, make.consent(owner))
    Voice.objects.filter(id=training.id).update(state="training")
    licensee = person()
    make.licence(voice.consent, licensee)
    for who in (owner, licensee):
        found = api(who).get("/v1/audio/voices").json()["voices"]
        assert found == [{"id": str(voice.id), "name": voice.name, "language": voice.language}]
    assert api(person()).get("/v1/audio/voices").json() == {"voices": []}
    someone.get("/v1/audio/voices")
    few = _queries(lambda: someone.get("/v1/audio/voices"))
    for _ in range(3):
        make.voice(owner, make.consent(owner))
    assert _queries(lambda: someone.get("/v1/audio/voices")) == few
    first = someone.get("/v1/audio/voices?limit=3")
    rest = someone.get(f"/v1/audio/voices?cursor={first['Next-Cursor']}")
    assert [len(page.json()["voices"]) for page in (first, rest)] == [3, 1]
    for path in ("/v1/models", "/v1/models/vouch", "/v1/audio/voices"):
        assert code(api(None).get(path)) == (401, "not_signed_in")
    for answer in (someone.post("/v1/chat/completions", {}), someone.get("/v1/"), someone.delete("/v1/files/a")):
        assert code(answer) == (404, "not_found")
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert code(someone.get("/v1/audio/speech")) == (405, "method_not_allowed")
