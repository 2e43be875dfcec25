"""GPT-SoVITS's address for speech: upstream's parameters, our gate."""

import base64
from typing import Any

import pytest

from cloning.models import Output, SpeechRequest, SpeechStream, Voice
from tests.cloning import factories as make
from tests.cloning.streamed import Script
from vouch.api.compat.gptsovits import Tts

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
        *(
            ({"text_lang": mode}, (422, "unsupported_language"))
            for mode in ("ja", "ko", "yue", "all_ja", "all_ko", "all_yue", "auto_yue", "klingon")
        ),
        ({"streaming_mode": 4}, (422, "invalid_fields")),
        ({"text_lang": ""}, (422, "invalid_fields")),
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


@pytest.mark.parametrize("mode", [False, 0, "false", "0"])
def test_modes_of_upstreams_that_send_the_whole(api: Any, owner: Any, voice: Voice, worker: None, mode: Any) -> None:
    answer = api(owner).post("/tts", fields(voice, streaming_mode=mode, text_lang="AUTO"))
    assert int(answer["Content-Length"]) == len(b"".join(answer.streaming_content)) > 1000


@pytest.mark.parametrize("mode", [True, 1, 2, 3, "true"])
def test_modes_of_upstreams_that_send_it_in_parts(
    api: Any, owner: Any, voice: Voice, streamer: Script, mode: Any
) -> None:
    answer = api(owner).post("/tts", fields(voice, streaming_mode=mode))
    assert "Content-Length" not in answer
    assert b"".join(answer.streaming_content)[:4] == b"RIFF"


def test_every_parameter_of_upstreams_is_known_and_what_changes_the_sound_is_named(
    api: Any, owner: Any, voice: Voice, worker: None
) -> None:
    upstream = {
        "text", "text_lang", "ref_audio_path", "aux_ref_audio_paths", "prompt_lang", "prompt_text", "top_k", "top_p",
        "temperature", "text_split_method", "batch_size", "batch_threshold", "split_bucket", "speed_factor",
        "fragment_interval", "seed", "media_type", "streaming_mode", "parallel_infer", "repetition_penalty",
        "sample_steps", "super_sampling", "overlap_length", "min_chunk_length",
    }  # fmt: skip
    assert set(Tts().fields) == upstream
    more = {"overlap_length": 4, "min_chunk_length": 8, "text_split_method": "cut0", "batch_size": 9, "prompt_lang": ""}
    answer = api(owner).post("/tts", fields(voice, **more))
    assert answer["X-Vouch-Ignored"] == "min_chunk_length, overlap_length, text_split_method"


def test_a_refusal_names_the_field_in_upstreams_message(api: Any, owner: Any) -> None:
    said = api(owner).post("/tts", {"text": "Hello."}).json()
    assert said["message"].startswith("Some fields are missing or wrong. text_lang: This field is required.")
    assert "ref_audio_path: This field is required." in said["message"]


def test_what_upstream_lets_everybody_set_is_refused_in_its_shape(api: Any, client: Any, owner: Any) -> None:
    someone = api(owner)
    for path, expected in (
        ("/set_refer_audio?refer_audio_path=a.wav", "reference_refused"),
        ("/set_gpt_weights?weights_path=a.ckpt", "weights_refused"),
        ("/set_sovits_weights?weights_path=a.pth", "weights_refused"),
        ("/control?command=exit", "control_refused"),
    ):
        assert code(someone.get(path)) == (422, expected)
        assert code(client.get(path)) == (401, "not_signed_in")
    assert code(someone.post("/control", {"command": "restart"})) == (422, "control_refused")


def test_the_same_key_speaks_once(api: Any, owner: Any, voice: Voice, worker: None) -> None:
    first, second = (api(owner).post("/tts", fields(voice), Idempotency_Key="k") for _ in range(2))
    assert first["X-Vouch-Output"] == second["X-Vouch-Output"]
    assert ("Idempotency-Replayed" in first, second["Idempotency-Replayed"]) == (False, "true")
    assert SpeechRequest.objects.count() == 1


def test_nobody_else_speaks_in_a_voice(api: Any, client: Any, person: Any, owner: Any, voice: Voice) -> None:
    assert code(api(None).post("/tts", fields(voice))) == (401, "not_signed_in")
    assert code(api(person()).post("/tts", fields(voice))) == (404, "not_found")
    for wrong in ("Basic !!!", "Basic " + base64.b64encode(b"nobody:x").decode(), "Basic"):
        assert code(client.get("/tts", fields(voice), headers={"Authorization": wrong})) == (401, "not_signed_in")
    client.force_login(owner)
    assert code(client.get("/tts", fields(voice))) == (401, "not_signed_in")
    # HEAD is no GET that speaks, is charged and is heard by nobody.
    assert client.head("/tts", fields(voice), headers=api(owner).headers).status_code == 405
    assert not SpeechRequest.objects.exists()
