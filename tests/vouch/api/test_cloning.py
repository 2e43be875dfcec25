"""The doors to voices, jobs, speech, outputs and tracing: what they answer, and who may not."""

import io
import json
import uuid
from typing import Any

import numpy as np
import pytest
import soundfile

from cloning import jobs, speaking, tracing
from cloning.models import Job, Output, SpeechRequest, TraceJob, Usage, Voice
from cloning.states import JobState
from cloning.worker import claim
from foundation import keys
from foundation.audit.models import Leaf
from foundation.audit.verify import verify_receipt
from foundation.clock import now
from foundation.identity.actors import Actor
from retention.models import CustodyItem
from tests.cloning import factories as make
from watermark.services import issue_mark

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def voice(owner) -> Voice:
    return make.voice(owner, make.consent(owner))


def wav(seconds: float = 1.0) -> bytes:
    rng = np.random.default_rng(1)
    out = io.BytesIO()
    soundfile.write(out, (0.1 * rng.standard_normal(int(16_000 * seconds))).astype(np.float32), 16_000, format="WAV")
    return out.getvalue()


def noise() -> Any:
    """Stands for what synthesis returns: the seal and everything after it are real."""
    from cloning.engine.synthesis import Speech

    pcm = (0.1 * np.random.default_rng(2).standard_normal(16_000 * 4)).astype(np.float32)
    return Speech(pcm=pcm, rate=16_000, seconds=4.0, doubtful=0)


def finished(request: SpeechRequest) -> Output:
    """What a worker does after synthesis, for real: mark, label, sign, store."""
    run = claim(request.job_id)
    assert run is not None
    output_id = uuid.uuid4()
    mark = issue_mark(output_ref=str(output_id), rehearsal=True)
    speech = noise()
    speaking.publish(run, request.id, output_id, mark, speaking._seal(speech, request, mark, output_id), speech.seconds)
    return Output.objects.get(id=output_id)


def speak(client: Any, voice: Voice, /, **more: Any) -> Any:
    return client.post("speech", {**{"voice": str(voice.id), "text": make.TEXT, "language": "en"}, **more})


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


# -- voices -----------------------------------------------------------------------------------------------------------


def test_a_voice_is_asked_for_shown_and_listed(owner, api) -> None:
    under, client = make.consent(owner), api(owner)
    made = client.post("voices", {"consent": str(under.id), "name": "Mine", "language": "en"})
    assert made.status_code == 202
    shown = client.get(f"voices/{made.json()['id']}").json()
    assert (shown["state"], shown["rehearsal"], shown["consent"]) == ("training", True, str(under.id))
    assert [v["id"] for v in client.get("voices").json()] == [shown["id"]]
    job = client.get(f"jobs/{shown['job']}").json()
    assert (job["kind"], job["state"], job["progress"]) == ("train", "queued", 0.0)


def test_versions_show_their_cost_and_only_a_mounted_one_can_be_chosen(owner, api, settings, tmp_path) -> None:
    under, client = make.consent(owner), api(owner)
    offers = {offer["version"]: offer for offer in client.get("voices/versions").json()}
    assert [version for version, offer in offers.items() if offer["offered"]] == ["starter"]
    assert offers["v4"]["missing"]
    assert offers["v4"]["cost"]["real_time_factor"] > offers["v2"]["cost"]["real_time_factor"] > 0
    wanted = {"consent": str(under.id), "name": "Mine", "language": "en"}
    assert code(client.post("voices", {**wanted, "version": "v4"})) == (422, "version_not_offered")
    assert code(client.post("voices", {**wanted, "version": "v9"})) == (422, "invalid_fields")
    (tmp_path / "v4").mkdir()
    settings.VOUCH_BASES = tmp_path
    refused = client.post("voices", {**wanted, "version": "v4"})
    assert code(refused) == (422, "base_incomplete")
    assert "v4/*.ckpt" in refused.json()["detail"]
    assert Voice.objects.count() == 0
    for name in ("v4/s1.ckpt", "v4/s2Gv4.pth", "models/chinese-hubert-base/config.json",
                 "models/chinese-hubert-base/model.safetensors", "models/gsv-v4-pretrained/vocoder.pth"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    made = client.post("voices", {**wanted, "version": "v4"})
    assert made.status_code == 202
    assert (made.json()["version"], made.json()["cost"]) == ("v4", offers["v4"]["cost"])
    assert client.post("voices", {**wanted, "name": "Other"}).json()["version"] == "starter"


def test_a_repeated_request_with_the_same_key_makes_one_voice(owner, api) -> None:
    client, wanted = api(owner), {"consent": str(make.consent(owner).id), "name": "Mine", "language": "en"}
    first = client.post("voices", wanted, Idempotency_Key="a")
    again = client.post("voices", wanted, Idempotency_Key="a")
    assert first.json() == again.json()
    assert (Voice.objects.count(), Job.objects.count()) == (1, 1)


def test_nobody_trains_sees_or_retries_what_is_anothers(owner, person, api, voice) -> None:
    other = api(person())
    job = voice.jobs.get()
    wanted = {"consent": str(voice.consent_id), "name": "Stolen", "language": "en"}
    foreign = [
        other.post("voices", wanted),
        other.get(f"voices/{voice.id}"),
        other.get(f"jobs/{job.id}"),
        other.post(f"jobs/{job.id}/retry"),
    ]
    unknown = [other.post("voices", {**wanted, "consent": str(uuid.uuid4())}), other.get(f"voices/{uuid.uuid4()}")]
    assert {code(r) for r in foreign + unknown} == {(404, "not_found")}
    assert len({r.json()["detail"] for r in foreign + unknown}) == 1
    assert other.get("voices").json() == []
    assert Voice.objects.count() == 1


@pytest.mark.parametrize(
    ("method", "where", "scope"),
    [
        ("get", "voices", "voice:read"),
        ("post", "voices", "voice:write"),
        ("get", "voices/versions", "voice:read"),
        ("post", "speech", "speak"),
        ("get", "outputs/{}", "speak"),
        ("get", "outputs/{}/audio", "speak"),
        ("get", "jobs/{}", "voice:read"),
        ("get", "speech/{}", "speak"),
        ("post", "trace", "trace"),
    ],
)
def test_a_key_without_the_scope_gets_nowhere(owner, api, voice, method, where, scope) -> None:
    narrow = api(owner, ["consent:read"])
    before = Leaf.objects.count()
    response = getattr(narrow, method)(where.format(voice.id))
    assert code(response) == (403, "missing_scope")
    assert response.json()["scope"] == scope
    assert (Leaf.objects.count(), SpeechRequest.objects.count()) == (before, 0)


@pytest.mark.parametrize("where", ["voices", "voices/versions", "speech/{}", "outputs/{}", "jobs/{}"])
def test_strangers_are_asked_to_sign_in(api, where) -> None:
    assert code(api(None).get(where.format(uuid.uuid4()))) == (401, "not_signed_in")


# -- speech -----------------------------------------------------------------------------------------------------------


def test_speech_is_queued_and_shown(owner, api, voice) -> None:
    asked = speak(api(owner), voice, seed=3)
    assert asked.status_code == 202
    shown = api(owner).get(f"speech/{asked.json()['id']}").json()
    assert (shown["state"], shown["case"], shown["seed"], shown["output"]) == ("queued", None, 3, None)
    assert shown["characters"] == len(make.TEXT)
    assert make.TEXT not in json.dumps(shown)


def test_a_text_that_policy_holds_is_accepted_as_held(owner, api, voice) -> None:
    asked = speak(api(owner), voice, text=make.HELD_TEXT)
    assert (asked.status_code, asked.json()["state"]) == (202, "held")
    assert asked.json()["case"]


def test_without_a_licence_403_and_with_one_202(person, owner, api, voice) -> None:
    other = person()
    client = api(other)
    assert code(speak(client, voice)) == (403, "no_licence")
    assert SpeechRequest.objects.count() == 0
    make.licence(voice.consent, other)
    assert speak(client, voice).status_code == 202


@pytest.mark.parametrize(
    "change",
    [
        {"text": ""},
        {"text": "x" * 10_001},
        {"text": "bell\a"},
        {"text": "nul\0"},
        {"text": "lone \ud800"},
        {"text": ["a"]},
        {"language": "tlh"},
        {"seed": -1},
        {"seed": 2**40},
        {"container": "exe"},
        {"voice": "mine"},
    ],
    ids=[
        "empty",
        "too long",
        "bell",
        "nul",
        "surrogate",
        "a list",
        "language",
        "seed below",
        "seed above",
        "container",
        "no id",
    ],
)
def test_malformed_requests_are_422_and_leave_nothing(owner, api, voice, change) -> None:
    response = speak(api(owner), voice, **change)
    assert response.status_code == 422
    assert response.json()["code"] in {"invalid_fields", "text_invalid"}
    assert SpeechRequest.objects.count() == 0


def test_a_megabyte_of_text_is_refused_before_it_is_parsed(owner, api, voice) -> None:
    assert code(speak(api(owner), voice, text="a" * 1_100_000)) == (413, "too_large")


def test_after_the_consent_ended_the_refusal_names_it(owner, api, voice) -> None:
    type(voice.consent).objects.update(state="withdrawn", ended_at=now(), ended_leaf=0)
    assert code(speak(api(owner), voice)) == (403, "consent_withdrawn")


def test_a_failed_job_is_retried_by_its_requester(owner, api, voice) -> None:
    client = api(owner)
    asked = speak(client, voice).json()
    assert code(client.post(f"jobs/{asked['job']}/retry")) == (409, "illegal_transition")
    run = claim(uuid.UUID(asked["job"]))
    assert run is not None
    from cloning.recovery import WorkerLost

    jobs.end_run(job_id=run.job_id, run=run.token, to=JobState.FAILED, error=WorkerLost())
    assert client.get(f"speech/{asked['id']}").json()["error_code"] == "worker_lost"
    assert client.post(f"jobs/{asked['job']}/retry").json()["state"] == "queued"
    assert code(api(owner, ["voice:read"]).post(f"jobs/{asked['job']}/retry")) == (403, "missing_scope")


# -- outputs and tracing ----------------------------------------------------------------------------------------------


def test_an_output_is_delivered_with_its_proof_and_traced_back_by_anybody(person, owner, api, voice) -> None:
    other = person()
    granted = make.licence(voice.consent, other, cap=100)
    client = api(other)
    asked = speak(client, voice).json()
    made = finished(SpeechRequest.objects.get(id=asked["id"]))
    shown = client.get(f"speech/{asked['id']}").json()
    assert (shown["state"], shown["output"]) == ("succeeded", str(made.id))
    granted.refresh_from_db()
    assert (granted.characters_used, granted.characters_reserved) == (len(make.TEXT), 0)
    usage = Usage.objects.get()
    assert (usage.characters, usage.licence_id, usage.consent_id) == (len(make.TEXT), granted.id, voice.consent_id)
    assert SpeechRequest.objects.get().text == ""

    audio = client.get(f"outputs/{made.id}/audio")
    data = b"".join(audio.streaming_content)
    assert audio["Content-Type"] == "audio/wav"
    assert soundfile.info(io.BytesIO(data)).duration == pytest.approx(made.seconds, abs=0.05)
    assert client.get(f"outputs/{made.id}").json()["sha256"] == made.sha256
    receipt = client.get(f"outputs/{made.id}/receipt").json()
    leaf = verify_receipt(receipt, keys.public_key("log"))
    assert (leaf.index, leaf.kind, leaf.subject) == (made.leaf_index, "output.sealed", f"output:{made.id}")

    for method in ("", "/audio", "/receipt"):
        assert code(api(person()).get(f"outputs/{made.id}{method}")) == (404, "not_found")

    stranger = api(None)
    started = stranger.post("trace", content=data)
    assert started.status_code == 202
    tracing.search(uuid.UUID(started.json()["id"]))
    found = stranger.get(f"trace/{started.json()['id']}").json()
    assert (found["state"], len(found["hits"])) == ("done", 1)
    hit = found["hits"][0]
    assert (hit["output"], hit["voice"], hit["use"], hit["consent_state"]) == (
        str(made.id),
        voice.name,
        "licence",
        "active",
    )
    assert found["verdict"] == "ours"
    assert found["label"] == {"audible": True, "metadata": "present"}
    shown_text = json.dumps(found)
    assert not any(secret in shown_text for secret in (str(other.id), str(owner.id), make.TEXT, other.email))

    # The trace shows the consent as it stands now, and the recording was destroyed with the answer.
    type(voice.consent).objects.update(state="withdrawn", ended_at=now(), ended_leaf=0)
    assert stranger.get(f"trace/{found['id']}").json()["hits"][0]["consent_state"] == "withdrawn"
    assert CustodyItem.objects.get(purpose="trace").state == "destroyed"


def test_a_revoked_output_is_not_handed_out(owner, api, voice) -> None:
    from cloning import services

    client = api(owner)
    made = finished(SpeechRequest.objects.get(id=speak(client, voice).json()["id"]))
    services.destroy_voices_for_consent(consent_id=voice.consent_id, actor=make.SYSTEM)
    assert client.get(f"outputs/{made.id}").json()["state"] == "revoked"
    assert code(client.get(f"outputs/{made.id}/audio")) == (410, "output_revoked")


def test_a_part_of_a_recording_and_nothing_when_one_has_it(owner, api, voice) -> None:
    client = api(owner)
    made = finished(SpeechRequest.objects.get(id=speak(client, voice, manner={"speed": 0.8}).json()["id"]))
    assert client.get(f"speech/{made.request_id}").json()["manner"] == {"speed": 0.8}
    path = f"outputs/{made.id}/audio"
    whole = b"".join(client.get(path).streaming_content)
    part = client.get(path, Range="bytes=10-19")
    assert (part.status_code, b"".join(part.streaming_content)) == (206, whole[10:20])
    assert client.get(path, **{"If-None-Match": f'"{made.sha256}"'}).status_code == 304
    assert code(client.get(path, Range=f"bytes={len(whole)}-")) == (416, "range_not_satisfiable")
    assert code(speak(client, voice, manner={"speed": 5})) == (422, "manner_invalid")


def test_an_output_a_moderator_stopped_is_not_handed_out(person, owner, api, voice) -> None:
    from safety.services import restrict

    client = api(owner)
    made = finished(SpeechRequest.objects.get(id=speak(client, voice).json()["id"]))
    restrict(
        actor=Actor.of(person(role="moderator")), subject_kind="output", subject_ref=str(made.id),
        effect="quarantine", reason="reported", clause="policy.abuse",
    )  # fmt: skip
    assert code(client.get(f"outputs/{made.id}/audio")) == (410, "output_revoked")


def test_a_short_recording_without_our_mark_is_traced_to_nothing(api) -> None:
    # Three seconds of noise are too little to say "not ours": tests/vouch/api/test_tracing.py has a miss that is told.
    client = api(None)
    started = client.post("trace", content=wav(3)).json()
    assert client.get(f"trace/{started['id']}").json()["state"] == "queued"
    tracing.search(uuid.UUID(started["id"]))
    tracing.search(uuid.UUID(started["id"]))
    found = client.get(f"trace/{started['id']}").json()
    assert (found["state"], found["verdict"], found["hits"], found["error_code"]) == ("done", "inconclusive", [], "")
    assert found["label"] == {"audible": False, "metadata": "none"}
    assert Leaf.objects.filter(kind="mark.traced").count() == 1


@pytest.mark.parametrize(("content", "error"), [(b"not audio at all" * 10, "not_audio"), (wav(0.1), "untraceable")])
def test_what_cannot_be_traced_says_why(api, content, error) -> None:
    client = api(None)
    started = client.post("trace", content=content).json()
    tracing.search(uuid.UUID(started["id"]))
    found = client.get(f"trace/{started['id']}").json()
    assert (found["state"], found["error_code"]) == ("failed", error)


def test_an_empty_or_enormous_recording_is_refused_at_the_door(api) -> None:
    client = api(None)
    empty = client.client.generic("POST", "/api/v1/trace", b"", "application/octet-stream", CONTENT_LENGTH="0")
    assert code(empty) == (422, "audio_empty")
    huge = client.client.generic(
        "POST", "/api/v1/trace", b"x", "application/octet-stream", CONTENT_LENGTH=str(2 * 2**30)
    )
    assert code(huge) == (413, "too_large")
    assert not TraceJob.objects.exists()
    assert code(client.get(f"trace/{uuid.uuid4()}")) == (404, "not_found")
