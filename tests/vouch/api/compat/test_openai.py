"""OpenAI's address for speech: the same gate, answered in their shape."""

import base64
import json
from typing import Any

import pytest

from cloning.models import Output, SpeechRequest, Voice
from tests.cloning import factories as make
from tests.cloning.streamed import Script
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
