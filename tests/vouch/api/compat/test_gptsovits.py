"""GPT-SoVITS's address for speech: upstream's parameters, our gate."""

import base64
from typing import Any

import pytest

from cloning.models import Output, SpeechRequest, SpeechStream, Voice
from tests.cloning import factories as make
from tests.cloning.streamed import Script

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner(person: Any) -> Any:
    return person()


@pytest.fixture
def voice(owner: Any) -> Voice:
    return make.voice(owner, make.consent(owner))


def fields(voice: Voice, **more: Any) -> dict[str, Any]:
    return {"text": make.TEXT, "text_lang": "en", "ref_audio_path": str(voice.id), **more}


def code(response: Any) -> tuple[int, str]:
    assert set(response.json()) == {"message", "code", "advice"}
    return response.status_code, response.json()["code"]


def test_upstreams_parameters_reach_the_engine(api: Any, owner: Any, voice: Voice, worker: None) -> None:
    more = {
        "top_k": 5, "top_p": 0.9, "temperature": 0.7, "repetition_penalty": 1.2, "speed_factor": 0.9, "seed": 11,
        "fragment_interval": 0.1, "media_type": "ogg", "batch_size": 4, "prompt_text": "What it says.",
        "prompt_lang": "en", "parallel_infer": True, "streaming_mode": False, "sample_steps": 8,
    }  # fmt: skip
    answer = api(owner).post("/tts", fields(voice, **more))
    assert (answer.status_code, answer["Content-Type"]) == (200, "audio/ogg")
    assert answer["X-Vouch-Ignored"] == "sample_steps"
    request = Output.objects.get().request
    assert request.seed == 11
    assert request.manner == {
        "top_k": 5, "top_p": 0.9, "temperature": 0.7, "repetition_penalty": 1.2, "speed": 0.9, "pause": 0.1,
    }  # fmt: skip


def test_a_client_that_knows_only_an_address_puts_the_key_there(
    api: Any, client: Any, owner: Any, voice: Voice, worker: None
) -> None:
    key = api(owner).headers["Authorization"].removeprefix("Bearer ")
    basic = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
    answer = client.get("/tts", fields(voice, text_lang="auto"), headers={"Authorization": basic})
    assert (answer.status_code, answer["Content-Type"]) == (200, "audio/wav")


def test_a_streaming_mode_sends_it_while_it_is_made(api: Any, owner: Any, voice: Voice, streamer: Script) -> None:
    answer = api(owner).post("/tts", fields(voice, streaming_mode=1, media_type="ogg", super_sampling=True))
    assert (answer.status_code, answer["Content-Type"], answer["X-Vouch-Ignored"]) == (
        200,
        "audio/ogg",
        "super_sampling",
    )
    assert b"".join(answer.streaming_content)[:4] == b"OggS"
    assert SpeechStream.objects.get().state == "sealed"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"ref_audio_path": "refs/somebody.wav"}, (422, "reference_refused")),
        ({"ref_audio_path": "somebody.WAV"}, (422, "reference_refused")),
        ({"aux_ref_audio_paths": ["more"]}, (422, "reference_refused")),
        ({"media_type": "raw"}, (422, "format_without_label")),
        ({"streaming_mode": 2, "media_type": "aac"}, (422, "container_not_streamed")),
        ({"text_lang": "ja"}, (422, "unsupported_language")),
        ({"top_k": 0}, (422, "manner_invalid")),
        ({"speed_factor": 4.0}, (422, "manner_invalid")),
        ({"fragment_interval": float("1e9")}, (422, "manner_invalid")),
        ({"text": ""}, (422, "invalid_fields")),
        ({"ref_audio_path": "nobody"}, (404, "not_found")),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    api: Any, owner: Any, voice: Voice, more: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert code(api(owner).post("/tts", fields(voice, **more))) == expected
    assert not SpeechRequest.objects.exists()


def test_nobody_else_speaks_in_a_voice(api: Any, client: Any, person: Any, owner: Any, voice: Voice) -> None:
    assert code(api(None).post("/tts", fields(voice))) == (401, "not_signed_in")
    assert code(api(person()).post("/tts", fields(voice))) == (404, "not_found")
    for wrong in ("Basic !!!", "Basic " + base64.b64encode(b"nobody:x").decode(), "Basic"):
        assert code(client.get("/tts", fields(voice), headers={"Authorization": wrong})) == (401, "not_signed_in")
    client.force_login(owner)
    assert code(client.get("/tts", fields(voice))) == (401, "not_signed_in")
    assert not SpeechRequest.objects.exists()
