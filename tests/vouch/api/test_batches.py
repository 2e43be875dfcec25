"""Batches by the API: each line passes the gate like a sentence of its own, and what comes of it can be taken home."""

import base64
import csv
import hashlib
import io
import json
import uuid
import zipfile
from typing import Any

import numpy as np
import pytest
from django.db import IntegrityError, transaction

from cloning import jobs, speaking
from cloning.batches import advancing, narration, services
from cloning.batches.models import Batch, Line
from cloning.engine.synthesis import Speech
from cloning.models import Job, Output, SpeechRequest, Usage, Voice
from cloning.states import JobState
from cloning.worker import claim
from foundation.audit.models import Leaf
from foundation.errors import VouchError
from tests.cloning import factories as make
from vouch import consents, subjects
from watermark.labels import encode
from watermark.services import issue_mark

pytestmark = pytest.mark.django_db
THREE = "text,file\nGood morning to you.,morning\nThe train leaves at nine.,\nGood night.,Night\n"
RATE = 16_000


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def voice(owner) -> Voice:
    return make.voice(owner, make.consent(owner))


def ask(client: Any, voice: Voice, content: str = THREE, /, **more: Any) -> Any:
    asked = {"voice": str(voice.id), "kind": "files", "format": "csv", "language": "en", "content": content}
    return client.post("batches", {**asked, **more})


def moved(batch: Any) -> list[str]:
    """What a worker does when the batch is handed to it; the states of its lines."""
    advancing.advance(uuid.UUID(batch["id"]))
    return list(Line.objects.filter(batch_id=batch["id"]).order_by("number").values_list("state", flat=True))


def noise(seconds: float) -> Any:
    return (0.1 * np.random.default_rng(2).standard_normal(int(RATE * seconds))).astype(np.float32)


def spoken(request: SpeechRequest, seconds: float = 4.0) -> Output:
    """What a worker does around synthesis, for real; a narration's lines are joined as it joins them."""
    run = claim(request.job_id)
    assert run is not None
    lines = narration.parts(request)
    pcm = noise(seconds)
    if lines:
        pcm, _, placed = narration.joined(lines, lambda n, text: (noise(seconds + n), RATE))
        narration.keep_places(request, placed)
    speech = Speech(pcm=pcm, rate=RATE, seconds=len(pcm) / RATE, doubtful=0)
    output_id = uuid.uuid4()
    mark = issue_mark(output_ref=str(output_id), rehearsal=True)
    sealed = speaking._seal(speech, request, mark, output_id)
    speaking.publish(run, request.id, output_id, mark, sealed, speech.seconds)
    return Output.objects.get(id=output_id)


def broken(request: SpeechRequest) -> None:
    run = claim(request.job_id)
    assert run is not None
    jobs.end_run(job_id=run.job_id, run=run.token, to=JobState.FAILED, error=VouchError("Broke.", code="silence"))


def requests(batch: Any) -> list[SpeechRequest]:
    return list(SpeechRequest.objects.filter(batch_lines__batch_id=batch["id"]).order_by("batch_lines__number"))


def test_a_table_is_looked_at_spoken_tried_again_and_taken_home(owner, api, voice) -> None:
    client = api(owner)
    shown = client.post(
        "batches/preview", {"format": "csv", "content_base64": base64.b64encode(THREE.encode()).decode()}
    ).json()
    assert shown["rows"][0]["text"] == "Good morning to you."
    assert Batch.objects.count() == 0
    table = THREE + "???,\n" + make.HELD_TEXT.replace(",", "") + ",\n"
    batch = ask(client, voice, table).json()
    assert (batch["progress"]["total"], batch["progress"]["lines"]["refused"]) == (5, 1)
    assert client.get(f"batches/{batch['id']}/zip").json()["code"] == "nothing_to_download"
    assert moved(batch) == ["asked", "asked", "asked", "refused", "held"]
    first, second, third, held = requests(batch)
    assert not Line.objects.filter(batch_id=batch["id"]).exclude(text="").exists()

    broken(second)
    spoken(first), spoken(third)
    assert moved(batch) == ["done", "failed", "done", "refused", "held"]
    assert client.post(f"batches/{batch['id']}/lines/1/retry").json()["code"] == "line_not_failed"
    assert client.post(f"batches/{batch['id']}/lines/9/retry").json()["code"] == "not_found"
    assert client.post(f"batches/{batch['id']}/lines/2/retry").status_code == 202
    spoken(second)
    assert moved(batch) == ["done", "done", "done", "refused", "held"]
    assert client.get(f"batches/{batch['id']}").json()["state"] == "running"
    jobs.cancel(job_id=held.job_id, error=VouchError("no", code="policy_refused"), actor=make.SYSTEM)
    moved(batch)
    over = client.get(f"batches/{batch['id']}").json()
    assert (over["state"], over["progress"]["share"]) == ("done", 1.0)
    assert Usage.objects.count() == Output.objects.count() == 3

    lines = client.get(f"batches/{batch['id']}/lines").json()
    assert [(line["error_code"], bool(line["output"])) for line in lines] == [
        ("", True), ("", True), ("", True), ("text_invalid", False), ("policy_refused", False),
    ]  # fmt: skip
    withdrawn = Output.objects.get(id=lines[1]["output"])
    withdrawn.state = "revoked"
    withdrawn.save()
    answer = client.get(f"batches/{batch['id']}/zip")
    pieces = list(answer.streaming_content)
    assert len(pieces) > 3
    archive = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert archive.testzip() is None
    manifest = json.loads(archive.read("manifest.json"))
    assert [row["file"] for row in manifest["lines"]] == ["morning.wav", "", "Night.wav", "", ""]
    assert [row["output_state"] for row in manifest["lines"]] == ["live", "revoked", "live", "", ""]
    for row in (manifest["lines"][0], manifest["lines"][2]):
        assert hashlib.sha256(archive.read(row["file"])).hexdigest() == row["sha256"]
        assert json.loads(archive.read(row["receipt"]))["leaf"]["index"] >= 0
    rows = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode())))
    assert [row["line"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert rows[3]["error_code"] == "text_invalid"
    assert make.TEXT not in archive.read("manifest.json").decode()


SRT = (
    "1\n00:00:01,000 --> 00:00:04,000\nGood morning to you.\n\n"
    "2\n00:00:02,000 --> 00:00:05,000\nThe train leaves at nine.\n\n"
    "3\n00:00:30,000 --> 00:00:20,000\nBackwards.\n\n"
    "4\n00:00:20,000 --> 00:00:25,000\nGood night.\n"
)


def test_a_narration_is_one_recording_with_one_label_one_mark_and_one_use(owner, api, voice) -> None:
    client = api(owner)
    batch = ask(client, voice, SRT, format="srt", kind="narration").json()
    assert moved(batch) == ["asked", "asked", "refused", "asked"]
    (request,) = set(requests(batch))
    assert request.text == "Good morning to you.\nThe train leaves at nine.\nGood night."
    output = spoken(request, 3.0)
    assert moved(batch) == ["done", "done", "refused", "done"]
    shown = client.get(f"batches/{batch['id']}").json()
    assert (shown["state"], shown["output"]) == ("done", str(output.id))
    lines = client.get(f"batches/{batch['id']}/lines").json()
    assert [(one["at_ms"], one["late_ms"]) for one in lines] == [(1000, 0), (4100, 2100), (None, None), (20_000, 0)]
    assert lines[2]["error_code"] == "time_backwards"
    assert Usage.objects.get().characters == len(request.text)
    sound = client.get(f"outputs/{output.id}/audio")
    wave, rate = encode.decode(b"".join(sound.streaming_content))
    # Twenty seconds, the last line of five, and exactly one label.
    assert len(wave) / rate == pytest.approx(25.0 + output.label_seconds, abs=0.05)
    assert output.seconds == pytest.approx(25.0 + output.label_seconds, abs=0.01)
    names = zipfile.ZipFile(io.BytesIO(b"".join(client.get(f"batches/{batch['id']}/zip").streaming_content))).namelist()
    assert names == ["narration.wav", f"receipts/{output.id}.json", "manifest.json", "manifest.csv"]


def test_chapters_are_joined_with_longer_pauses_and_a_changed_line_is_not_spoken(owner, api, voice) -> None:
    text = "# One\nFirst line.\nSecond line.\n# Two\nThird line.\n"
    batch = ask(api(owner), voice, text, format="text", kind="narration", pause_ms=500, chapter_pause_ms=3000).json()
    moved(batch)
    request = requests(batch)[0]
    lines = narration.parts(request)
    _, _, placed = narration.joined(lines, lambda n, text: (noise(1.0), RATE))
    assert [one.at_ms for one in placed] == [0, 1500, 5500]
    Line.objects.filter(batch_id=batch["id"], number=2).update(text_digest="0" * 64)
    with pytest.raises(VouchError) as refusal:
        narration.parts(request)
    assert refusal.value.code == "text_changed"


def test_a_voice_withdrawn_in_the_middle_ends_every_line_that_is_left(owner, api, voice) -> None:
    content = "text\n" + "".join(f"This is line number {n}.\n" for n in range(7))
    client = api(owner)
    batch = ask(client, voice, content).json()
    assert moved(batch) == ["asked"] * advancing.WINDOW + ["waiting"] * 3
    done = spoken(requests(batch)[0])
    consents.withdraw(actor=make.Actor.of(owner), consent_id=voice.consent_id)
    assert moved(batch) == ["done", *["cancelled"] * 3, *["refused"] * 3]
    assert set(Line.objects.exclude(error_code="").values_list("error_code", flat=True)) == {"consent_withdrawn"}
    assert client.get(f"batches/{batch['id']}").json()["state"] == "done"
    done.refresh_from_db()
    assert done.state == "revoked"
    assert client.post(f"batches/{batch['id']}/retry").json()["code"] == "line_not_failed"


def test_a_batch_is_cancelled_and_nothing_more_of_it_is_spoken(owner, api, voice) -> None:
    client = api(owner)
    batch = ask(client, voice).json()
    moved(batch)
    broken(requests(batch)[0])
    assert moved(batch) == ["failed", "asked", "asked"]
    with pytest.raises(subjects.WorkInProgress):
        subjects.erase(actor=make.Actor.of(owner))
    assert client.post(f"batches/{batch['id']}/cancel").json()["state"] == "cancelled"
    assert moved(batch) == ["failed", "cancelled", "cancelled"]
    assert set(Job.objects.filter(kind="speak").values_list("state", flat=True)) == {"failed", "cancelled"}
    assert client.post(f"batches/{batch['id']}/cancel").status_code == 200
    assert client.post(f"batches/{batch['id']}/retry").json()["code"] == "batch_over"
    assert Leaf.objects.filter(kind="batch.cancelled").count() == 1


def test_a_licence_is_asked_line_by_line_and_never_widened(owner, person, api, voice) -> None:
    customer = person()
    make.licence(voice.consent, customer, cap=40)
    client = api(customer)
    batch = ask(client, voice).json()
    assert moved(batch) == ["asked", "refused", "asked"]
    assert Line.objects.get(number=2).error_code == "licence_cap"
    assert sum(one.reserved for one in requests(batch)) == 31
    named = ask(client, voice, licence=str(uuid.uuid4()))
    assert (named.status_code, named.json()["code"]) == (403, "no_licence")


def test_nobody_speaks_sees_ends_or_takes_what_is_anothers(owner, person, api, voice) -> None:
    private = make.voice(owner, make.consent(owner, uses={"own_use": True}), name="Private")
    mine = ask(api(owner), voice).json()
    other = api(person())
    where = f"batches/{mine['id']}"
    foreign = [
        ask(other, private), other.get(where), other.get(f"{where}/lines"), other.get(f"{where}/zip"),
        other.post(f"{where}/retry"), other.post(f"{where}/lines/1/retry"), other.post(f"{where}/cancel"),
    ]  # fmt: skip
    assert {(one.status_code, one.json()["code"]) for one in foreign} == {(404, "not_found")}
    assert other.get("batches").json() == []
    assert [one["id"] for one in api(owner).get("batches").json()] == [mine["id"]]
    weak = api(owner, scopes=["voice:read"])
    assert {one.status_code for one in (ask(weak, voice), weak.get(where), weak.post(f"{where}/cancel"))} == {403}
    assert ask(api(None), voice).status_code == 401
    assert Batch.objects.get().state == "running"


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"content": ""}, 422, "empty_table"),
        ({"content": "text\n???\n"}, 422, "empty_table"),
        ({"content": "text\n" + "a\n" * 100_000}, 422, "too_many_lines"),
        ({"content": "x" * 600_000}, 422, "table_too_large"),
        ({"content": None, "content_base64": "###"}, 422, "content_invalid"),
        ({"content_base64": "YQ=="}, 422, "content_missing"),
        ({"kind": "narration", "content": "text\n" + ("word " * 500 + "\n") * 5}, 422, "narration_too_long"),
        ({"kind": "song"}, 422, "invalid_fields"),
        ({"language": "zh"}, 403, "consent_scope"),
        ({"pause_ms": 10_001}, 422, "invalid_fields"),
        ({"manner": {"speed": 9}}, 422, "manner_invalid"),
    ],
)
def test_what_is_wrong_with_the_whole_is_refused_at_once(owner, api, voice, more, status, code) -> None:
    more = {name: value for name, value in more.items() if value is not None}
    asked = {"voice": str(voice.id), "kind": "files", "format": "csv", "language": "en", "content": THREE, **more}
    if "content_base64" in more and more["content_base64"] == "###":
        del asked["content"]
    answer = api(owner).post("batches", asked)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert Batch.objects.count() == 0


def test_a_line_of_fifty_megabytes_is_refused_before_it_is_read(owner, api, voice) -> None:
    answer = ask(api(owner), voice, "text\n" + "x" * 50_000_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_batches_have_a_quota_and_their_states_are_the_databases_too(owner, api, voice) -> None:
    client = api(owner)
    for _ in range(services.MAX_RUNNING):
        assert ask(client, voice).status_code == 202
    over = ask(client, voice)
    assert (over.status_code, over.json()["code"], over["Retry-After"]) == (429, "batch_quota", "60")
    for wrong in ({"state": "sung"}, {"state": "done"}, {"state": "refused"}, {"state": "refused", "error_code": "x"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Line.objects.update(**wrong)
    with pytest.raises(IntegrityError), transaction.atomic():
        Batch.objects.update(state="done")
    Batch.objects.update(looked_at=make.now() - 2 * advancing.LOOK_AGAIN_AFTER)
    assert (advancing.look_again(), advancing.look_again()) == (services.MAX_RUNNING, 0)
