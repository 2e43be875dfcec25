"""Tracing by strangers, moderators and people who ask too often; the signed report."""

import copy
import io
import json
import uuid
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import soundfile
import time_machine
from django.test import Client

from cloning import recovery, trace_page, trace_proof, trace_report, trace_rules, tracing
from cloning.models import Output, SpeechRequest, TraceJob
from foundation import keys
from foundation.audit.models import Leaf
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from safety.models import Case
from safety.services import restrict
from tests.cloning import factories as make
from watermark.labels.aigc import AigcLabel, write_label

pytestmark = pytest.mark.django_db
RATE = 32_000
FIGURES = {"start_s", "end_s", "score", "false_positive_bound"}


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


@pytest.fixture
def made(person: Any) -> Output:
    """An output under a licence; its sound is of no matter here."""
    from cloning import services

    owner, licensee = person(), person()
    voice = make.voice(owner, make.consent(owner))
    licence = make.licence(voice.consent, licensee)
    request = services.request_speech(
        actor=Actor.of(licensee), voice_id=voice.id, text=make.TEXT, language="en", seed=1, container="wav"
    )
    key = vault.create_key(kind="output", owner_ref="x", actor=make.SYSTEM)
    sealed = vault.store(key=key, kind="output", owner_ref="x", data=b"sound", not_after=None, actor=make.SYSTEM)
    return Output.objects.create(
        request=request, voice=voice, licence=licence, requester=licensee, sealed=sealed, media_type="audio/wav",
        sha256="0" * 64, seconds=4.0, label_seconds=1.5, mark_payload=7, provenance={}, leaf_index=0, rehearsal=True,
    )  # fmt: skip


def traced(*outputs: Any, caller: str = "", **more: Any) -> TraceJob:
    """A trace that ended now, as search() leaves it."""
    job = TraceJob.objects.create(caller=caller and trace_rules.caller_tag(caller))
    hits = [
        {"output": str(one), "start_s": 1.0, "end_s": 3.5, "score": 12.3, "false_positive_bound": 1e-9}
        for one in outputs
    ]
    facts = {
        "sha256": "ab" * 32, "bytes": 12_000, "seconds": 5.0, "rate": 48_000, "form": "opus", "kbit_s": 24.1,
        "audible_label": False, "metadata_label": "none", "issued": 3, "method": {"name": "m", "release": "1"},
        "outline": [0, 50, 100, 20], **more,
    }  # fmt: skip
    tracing._finish(job.id, tracing.TraceState.DONE, hits=hits, facts=facts)
    job.refresh_from_db()
    return job


# -- what strangers see -----------------------------------------------------------------------------------------------


def test_a_stranger_learns_what_it_is_and_the_figures_later(api, made) -> None:
    job = traced(made.id)
    found = api(None).get(f"trace/{job.id}").json()
    assert found["verdict"] == "ours"
    hit = found["hits"][0]
    assert (hit["use"], hit["consent_state"], hit["licence_state"], hit["output_state"]) == (
        "licence", "active", "active", "live",
    )  # fmt: skip
    assert not FIGURES & set(hit)
    secrets = (str(made.requester_id), str(made.voice.owner_id), make.TEXT, made.requester.email, str(made.request_id))
    assert not any(secret in json.dumps(found) for secret in secrets)
    with time_machine.travel(now() + trace_rules.DETAIL_DELAY, tick=False):
        later = api(None).get(f"trace/{job.id}").json()["hits"][0]
    assert {name: later[name] for name in FIGURES} == {
        "start_s": 1.0, "end_s": 3.5, "score": 12.3, "false_positive_bound": 1e-9,
    }  # fmt: skip
    assert not any(secret in json.dumps(later) for secret in secrets)


def test_a_revoked_output_says_so_and_so_does_one_that_a_moderator_stopped(api, made, person) -> None:
    from cloning import services
    from safety.services import restrict

    job = traced(made.id)
    restrict(
        actor=Actor.of(person(role="moderator")), subject_kind="output", subject_ref=str(made.id),
        effect="quarantine", reason="reported", clause="policy.abuse",
    )  # fmt: skip
    assert api(None).get(f"trace/{job.id}").json()["hits"][0]["output_state"] == "quarantined"
    services.destroy_voices_for_consent(consent_id=made.voice.consent_id, actor=make.SYSTEM)
    type(made.voice.consent).objects.update(state="withdrawn", ended_at=now(), ended_leaf=0)
    hit = api(None).get(f"trace/{job.id}").json()["hits"][0]
    assert (hit["output_state"], hit["consent_state"]) == ("revoked", "withdrawn")


def test_a_mark_of_nothing_delivered_is_shown_as_that(api) -> None:
    found = api(None).get(f"trace/{traced(uuid.uuid4()).id}").json()
    assert (found["verdict"], found["hits"][0]["output_state"]) == ("unknown_mark", "never_delivered")


def test_a_withdrawn_recording_that_is_still_about_becomes_one_case(made, person) -> None:
    traced(made.id)
    assert not Case.objects.exists()
    restrict(
        actor=Actor.of(person("moderator")), subject_kind="output", subject_ref=str(made.id), effect="quarantine",
        reason="x", clause="y",
    )  # fmt: skip
    traced(made.id)
    traced(made.id, uuid.uuid4())
    case = Case.objects.get()
    assert (case.kind, case.rule, case.subject_ref) == ("trace", "trace.withdrawn-output", str(made.id))


def test_a_transplanted_mark_becomes_a_case(made) -> None:
    job = TraceJob.objects.create()
    hit = {"output": str(made.id), "start_s": 0.0, "end_s": 2.0, "score": 9.0, "false_positive_bound": 1e-9}
    tracing._finish(job.id, tracing.TraceState.DONE, hits=[{**hit, "sound": "other"}], facts={})
    assert Case.objects.get().rule == "trace.transplanted-mark"


def test_a_mark_laid_on_other_sound_points_at_nobody(api, made, person) -> None:
    job = traced(made.id)
    job.hits[0]["sound"] = "other"
    job.save()
    found = api(None).get(f"trace/{job.id}").json()
    assert (found["verdict"], found["hits"][0]["output_state"]) == ("transplanted", "transplanted")
    assert str(made.id) not in json.dumps(found)
    moderator = api(person("moderator"))
    assert moderator.get(f"trace/{job.id}/evidence").json()["hits"][0]["mark_of"] == str(made.id)
    report = moderator.get(f"trace/{job.id}/report").json()
    assert (report["statement"]["verdict"], str(made.id) in json.dumps(report)) == ("transplanted", False)
    assert moderator.get(f"trace/{job.id}/report.pdf").status_code == 200


# -- against use as an oracle -----------------------------------------------------------------------------------------


def test_whoever_keeps_finding_waits_and_cannot_tell_from_the_wait(api, made) -> None:
    for _ in range(trace_rules.FREE_FINDS):
        assert traced(made.id, caller="192.0.2.1").answer_at <= now()
    hit, miss = traced(made.id, caller="192.0.2.1"), traced(caller="192.0.2.1")
    answers = [api(None).get(f"trace/{job.id}").json() for job in (hit, miss)]
    for answer, job in zip(answers, (hit, miss), strict=True):
        assert answer.pop("id") == str(job.id)
        assert answer.pop("ready_at") is not None
    assert answers[0] == answers[1]
    assert (answers[0]["state"], answers[0]["verdict"], answers[0]["hits"]) == ("waiting", None, [])
    with time_machine.travel(now() + trace_rules.WAIT, tick=False):
        assert [api(None).get(f"trace/{job.id}").json()["verdict"] for job in (hit, miss)] == ["ours", "not_found"]


def test_others_and_those_who_find_nothing_do_not_wait(made) -> None:
    for _ in range(trace_rules.FREE_FINDS + 2):
        traced(made.id, caller="192.0.2.1")
        assert traced(caller="192.0.2.2").answer_at <= now()
    assert traced(made.id, caller="192.0.2.2").answer_at <= now()


def test_callers_are_counted_by_address_or_person_and_moderators_are_not(api, person) -> None:
    noise = wav()
    for who, counted in ((None, True), (person(), True), (person("moderator"), False)):
        started = api(who).post("trace", content=noise).json()
        assert bool(TraceJob.objects.get(id=started["id"]).caller) is counted


def test_a_day_has_a_limit(api, person, monkeypatch) -> None:
    from vouch.api import tracing as door

    monkeypatch.setattr(door, "TRACES_PER_DAY", 2)
    client, noise = api(person()), wav()
    answers = [client.post("trace", content=noise) for _ in range(3)]
    assert [one.status_code for one in answers] == [202, 202, 429]
    assert TraceJob.objects.count() == 2


def test_tags_and_outlines_are_forgotten(made) -> None:
    job = traced(made.id, caller="192.0.2.1")
    recovery._traces()
    job.refresh_from_db()
    assert job.caller
    with time_machine.travel(now() + trace_rules.CALLERS_KEPT + timedelta(minutes=1), tick=False):
        recovery._traces()
    job.refresh_from_db()
    assert job.caller == ""
    assert "outline" not in job.facts
    assert job.facts["sha256"] == "ab" * 32


def test_somebody_signed_in_may_send_sound_with_the_csrf_token_and_not_without(person) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(person())
    client.get("/trace")
    token, sound = client.cookies["csrftoken"].value, wav()

    def send(**headers: str) -> Any:
        return client.generic("POST", "/api/v1/trace", sound, "application/octet-stream", headers=headers)

    assert send().status_code == 403
    assert send(**{"X-CSRFToken": "x" * 64}).status_code == 403
    assert not TraceJob.objects.exists()
    assert send(**{"X-CSRFToken": token}).status_code == 202
    assert TraceJob.objects.get().recording.size == len(sound)


# -- moderators -------------------------------------------------------------------------------------------------------


def test_a_moderator_sees_everything_at_once(api, made, person) -> None:
    found = api(person("moderator")).get(f"trace/{traced(made.id).id}/evidence").json()
    hit = found["hits"][0]
    assert (hit["score"], hit["requester"]["id"]) == (12.3, str(made.requester_id))
    assert (hit["owner"]["id"], hit["request"]["id"]) == (str(made.voice.owner_id), str(made.request_id))
    assert found["recording"]["outline"] == [0, 50, 100, 20]
    assert make.TEXT not in json.dumps(found)
    assert [one["data"] for one in views()] == [{"what": "trace"}]


def views() -> list[dict[str, Any]]:
    return [json.loads(bytes(leaf.body)) for leaf in Leaf.objects.filter(kind="case.viewed").order_by("index")]


def test_the_page_of_a_trace_is_a_view_too(made, person) -> None:
    client, job = Client(), traced(made.id)
    client.force_login(person("moderator"))
    assert client.get(f"/desk/traces/{job.id}").status_code == 200
    assert [one["subject"] for one in views()] == [f"trace:{job.id}"]


def test_nobody_else_does(api, made, person) -> None:
    job = traced(made.id)
    assert code(api(None).get(f"trace/{job.id}/evidence")) == (401, "not_signed_in")
    for who in (made.requester, made.voice.owner, person("auditor")):
        response = api(who).get(f"trace/{job.id}/evidence")
        assert code(response) == (403, "missing_scope")
        assert str(made.request_id) not in response.content.decode()


# -- the report -------------------------------------------------------------------------------------------------------


def test_the_report_is_signed_says_what_was_not_measured_and_verifies_offline(api, made, person) -> None:
    job = traced(made.id)
    report = api(person("moderator")).get(f"trace/{job.id}/report").json()
    statement = trace_proof.verified(report, keys.public_key("provenance"))
    assert (statement["verdict"], statement["recording"]["sha256"]) == ("ours", "ab" * 32)
    assert statement["matches"][0]["false_positive_bound"] == 1e-9
    assert statement["measured_error"] == trace_report.measured_error(statement["recording"])
    assert statement["method"]["payloads_searched"] == 3
    assert str(made.requester_id) not in json.dumps(report)
    leaf = Leaf.objects.get(kind="mark.reported")
    assert json.loads(bytes(leaf.body))["data"]["verdict"] == "ours"

    for change in (
        lambda r: r["statement"].update(verdict="not_found"),
        lambda r: r["statement"]["matches"][0].update(score=99.0),
        lambda r: r.update(signature="00" * 64),
        lambda r: r.update(algorithm="none"),
        lambda r: r.pop("statement"),
    ):
        forged = copy.deepcopy(report)
        change(forged)
        with pytest.raises(trace_proof.BadReport):
            trace_proof.verified(forged, keys.public_key("provenance"))
    with pytest.raises(trace_proof.BadReport):
        trace_proof.verified(report, keys.public_key("log"))


def test_vouch_verify_report(api, made, person, tmp_path, capsys) -> None:
    from vouch import cli

    report = api(person("moderator")).get(f"trace/{traced(made.id).id}/report").json()
    file, key = tmp_path / "report.json", keys.public_key("provenance").hex()
    file.write_text(json.dumps(report))
    assert cli.main(["verify-report", str(file), "--public-key", key]) == cli.INTACT
    assert "INTACT: ours" in capsys.readouterr().out
    report["statement"]["verdict"] = "not_found"
    for text in (json.dumps(report), "{}", "no JSON", "[" * 100_000, " " * (trace_proof.MAX_BYTES + 1)):
        file.write_text(text)
        assert cli.main(["verify-report", str(file), "--public-key", key]) == cli.BROKEN
    assert cli.main(["verify-report", str(tmp_path / "none"), "--public-key", key]) == cli.TROUBLE


def test_a_stranger_has_the_report_when_the_figures_are_shown(api, made) -> None:
    job = traced(made.id)
    early = api(None).get(f"trace/{job.id}/report")
    assert code(early) == (409, "trace_not_ready")
    assert "1e-09" not in early.content.decode()
    assert code(api(None).get(f"trace/{job.id}/report.pdf")) == (409, "trace_not_ready")
    assert not Leaf.objects.filter(kind="mark.reported").exists()
    with time_machine.travel(now() + trace_rules.DETAIL_DELAY, tick=False):
        assert api(None).get(f"trace/{job.id}/report").status_code == 200
    assert code(api(None).get(f"trace/{TraceJob.objects.create().id}/report")) == (409, "trace_not_ready")
    assert code(api(None).get(f"trace/{uuid.uuid4()}/report")) == (404, "not_found")


@pytest.mark.parametrize("language", ["en", "zh", "xx"])
def test_the_page_to_print(api, made, person, language) -> None:
    job = traced(*[made.id] * 5)
    answer = api(person("moderator")).get(f"trace/{job.id}/report.pdf?language={language}")
    assert (answer["Content-Type"], answer.content[:5]) == ("application/pdf", b"%PDF-")


def test_the_page_holds_the_longest_report(made) -> None:
    """Nothing is drawn below the sheet."""
    report = trace_report.report(
        actor=Actor("x", "m", frozenset({"moderate"}), "m"), trace_id=traced(*[made.id] * 9).id
    )
    rows = trace_page._rows(report, trace_page._WORDS["en"])
    lines = sum(len(trace_page.pdf.wrap(text, 8.5, 355.0, font)) or 1 for _, text, font in rows)
    assert 124 + 11.5 * lines + 3 * len(rows) < trace_page.pdf.HEIGHT - 30


# -- bad input --------------------------------------------------------------------------------------------------------


def wav(wave: Any = None, rate: int = 16_000, **more: Any) -> bytes:
    if wave is None:
        wave = 0.1 * np.random.default_rng(1).standard_normal(rate * 2)
    out = io.BytesIO()
    soundfile.write(out, np.asarray(wave, np.float32), rate, format="WAV", **more)
    return out.getvalue()


def sine(rate: int = RATE, seconds: float = 3.0) -> Any:
    return 0.4 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)


def foreign_label() -> bytes:
    label = AigcLabel.produced(provider_code="001191110000000000000000000", content_id="theirs")
    return write_label(wav(sine(), RATE), "wav", label)


BAD = {
    "silence": (lambda: wav(np.zeros(3 * RATE), RATE), "untraceable"),
    "0.2 s": (lambda: wav(sine(seconds=0.2), RATE), "untraceable"),
    "clipped square": (lambda: wav(np.sign(sine()), RATE), "inconclusive"),
    "pure tone": (lambda: wav(sine(), RATE), "inconclusive"),
    "DC": (lambda: wav(np.full(3 * RATE, 0.5), RATE), "untraceable"),
    "four channels": (lambda: wav(np.stack([sine()] * 4, 1), RATE), "inconclusive"),
    "192 kHz": (lambda: wav(sine(192_000), 192_000), "inconclusive"),
    "truncated": (lambda: wav(sine(), RATE)[:30_000], "audio_truncated"),
    "not audio": (lambda: b"not audio at all" * 10, "not_audio"),
    "foreign label": (foreign_label, "inconclusive"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_recordings_have_named_answers(api, name) -> None:
    make_it, expected = BAD[name]
    client = api(None)
    started = client.post("trace", content=make_it()).json()
    tracing.search(uuid.UUID(started["id"]))
    found = client.get(f"trace/{started['id']}").json()
    assert (found["error_code"] or found["verdict"]) == expected
    assert found["hits"] == []
    if name == "foreign label":
        assert found["label"]["metadata"] == "present"
    assert SpeechRequest.objects.count() == 0
