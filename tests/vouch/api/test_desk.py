"""The desk's acts over HTTP; and who may not."""

import json
import uuid
from datetime import timedelta

import pytest
from django.test import Client

from cloning.models import Job, Voice
from foundation import clock, keys
from foundation.audit.models import Leaf
from foundation.audit.selectors import may_see
from foundation.identity.actors import Actor
from safety import quality, services
from safety.models import Case, Check, Restriction, Ruling
from tests.cloning import factories as make
from tests.marketplace.factories import ready_voice
from tests.safety.desk import hold, reported, rule
from tests.vouch.factors import app_of
from vouch import stepup
from vouch.desk import effects, evidence, signing

pytestmark = pytest.mark.django_db


@pytest.fixture
def factor():
    """``factor(person)`` → a function that gives the next unused code of that person's fresh second factor."""
    return app_of


def wait_and_settle():
    clock.move_forward(timedelta(seconds=61))
    return effects.settle_due()


# -- the working day --------------------------------------------------------------------------------------------------
def test_pulled_ruled_undone_and_ruled_again(person, api):
    case = hold(person())
    desk = api(person(role="moderator"))
    assert [row["waiting"] for row in desk.get("desk/queues").json()] == [1]
    pulled = desk.post("desk/pull").json()
    assert (pulled["case"], pulled["page"]) == (str(case.id), f"/desk/{case.id}")
    body = {"decision": "refuse", "reason": "Fraud.", "clause": case.clause}
    assert desk.post(f"cases/{case.id}/decide", json=body).json()["ruling"]["state"] == "waiting"
    undone = desk.post(f"cases/{case.id}/undo").json()
    assert (undone["state"], undone["ruling"]) == ("claimed", None)
    assert desk.post(f"cases/{case.id}/decide", json={**body, "decision": "allow"}).status_code == 200
    assert wait_and_settle() == 1
    assert desk.get(f"cases/{case.id}").json()["decision"] == "allow"
    late = desk.post(f"cases/{case.id}/undo")
    assert (late.status_code, late.json()["code"]) == (409, "too_late_to_undo")
    empty = desk.post("desk/pull")
    assert (empty.status_code, empty.json()["code"]) == (409, "nothing_waits")


def test_released_notes_and_breaks(person, api):
    case = hold(person())
    desk = api(person(role="moderator"))
    desk.post(f"cases/{case.id}/claim")
    assert desk.post(f"cases/{case.id}/release").status_code == 204
    made = desk.post(f"cases/{case.id}/notes", json={"text": "<script>alert(1)</script>"})
    assert (made.status_code, made.json()["text"]) == (201, "<script>alert(1)</script>")
    desk.post("desk/pull")
    assert desk.post("desk/break", json={"on": True}).json()["on_break_until"]
    case.refresh_from_db()
    assert case.state == "open"
    assert desk.post("desk/pull").json()["code"] == "on_break"
    assert desk.post("desk/break", json={"on": False}).json()["on_break_until"] is None
    assert desk.post("desk/listened", json={"seconds": 20}).json()["seconds_heard"] == 20
    assert desk.post("desk/listened", json={"seconds": 4_000}).status_code == 422


def test_bulk_is_refused_with_the_wrong_count(person, api):
    cases = [str(hold(person()).id) for _ in range(2)]
    desk = api(person(role="moderator"))
    body = {"cases": cases, "count": 3, "decision": "refuse", "reason": "One campaign.", "clause": "fraud.x"}
    assert desk.post("desk/bulk", json=body).json()["code"] == "count_mismatch"
    assert not Ruling.objects.exists()
    assert len(desk.post("desk/bulk", json={**body, "count": 2}).json()) == 2


def test_the_queue_is_read_page_by_page(person, api, monkeypatch):
    from safety import desk as reads

    monkeypatch.setattr(reads, "PAGE", 2)
    made = [str(hold(person()).id) for _ in range(3)]
    desk = api(person(role="moderator"))
    first = desk.get("cases?kind=policy_hold")
    second = desk.get(f"cases?kind=policy_hold&cursor={first['Next-Cursor']}")
    assert [row["id"] for row in first.json() + second.json()] == made
    assert "Next-Cursor" not in second
    assert desk.get("cases?after=nowhere").json()["code"] == "bad_cursor"


def test_every_view_of_a_case_is_a_leaf(person, api):
    case = hold(person())
    moderator = person(role="moderator")
    api(moderator).get(f"cases/{case.id}")
    (leaf,) = Leaf.objects.filter(kind="case.viewed")
    body = json.loads(bytes(leaf.body))
    assert (body["subject"], body["data"]) == (f"case:{case.id}", {"what": "case"})
    assert may_see(Actor.of(moderator), body)


def test_a_sign_of_life_is_no_view_of_its_own(person, api):
    case = hold(person())
    client = api(person(role="moderator"))
    for _ in range(3):
        assert client.post(f"cases/{case.id}/claim").json()["text"] == case.text
    assert Leaf.objects.filter(kind="case.viewed").count() == 1


# -- what cannot be taken back ----------------------------------------------------------------------------------------
def test_destroying_a_voice_takes_two_people_and_their_second_factors(person, api, factor):
    voice = ready_voice(person(), rehearsal=True)
    case = reported(person(), ref=voice.id)
    moderator, senior = person(role="moderator"), person(role="senior")
    one, two = api(moderator), api(senior)
    one.post(f"cases/{case.id}/claim")
    body = {"decision": "destroy", "reason": "Made of a stolen recording.", "clause": "voice.stolen"}
    assert one.post(f"cases/{case.id}/decide", json=body).json()["code"] == "no_second_factor"
    code = factor(moderator)
    assert one.post(f"cases/{case.id}/decide", json=body).json()["code"] == "step_up_needed"
    assert one.post(f"cases/{case.id}/decide", json=body, X_Step_Up="000").json()["code"] == "wrong_code"
    assert not Ruling.objects.exists()
    assert one.post(f"cases/{case.id}/decide", json=body, X_Step_Up=code()).json()["ruling"]["state"] == "second"
    assert wait_and_settle() == 0
    assert two.post(f"cases/{case.id}/second", json={"agree": True}).json()["code"] == "no_second_factor"
    code = factor(senior)
    agreed = two.post(f"cases/{case.id}/second", json={"agree": True}, X_Step_Up=code())
    assert (agreed.status_code, agreed.json()["state"]) == (200, "waiting")
    assert Voice.objects.get(id=voice.id).state == "ready"
    assert wait_and_settle() == 1
    assert Voice.objects.get(id=voice.id).state == "destroyed"
    assert Ruling.objects.get().carried_out_at is not None
    assert effects.settle_due() == 0


def test_a_session_that_has_just_stepped_up_need_not_again(person, factor):
    moderator = person(role="moderator")
    code = factor(moderator)
    case = reported(person())
    services.claim_case(actor=Actor.of(moderator), case_id=case.id, interested=())
    client = Client()
    client.force_login(moderator)
    body = json.dumps({"decision": "destroy", "reason": "x", "clause": "y"})

    def decide():
        return client.post(f"/api/v1/cases/{case.id}/decide", body, content_type="application/json")

    assert decide().json()["code"] == "step_up_needed"
    up = client.post("/api/v1/step-up", json.dumps({"code": code()}), content_type="application/json")
    assert up.status_code == 204
    clock.move_forward(stepup.FRESH + timedelta(seconds=1))
    assert decide().json()["code"] in ("step_up_needed", "case_not_claimed")
    assert not Ruling.objects.exists()


def test_ending_a_licence_takes_two_people_too_for_it_stays_ended(person, api, factor):
    licence = make.licence(make.consent(person(), uses={"own_use": True, "licence_to_others": True}), person())
    case = reported(person(), kind="licence", ref=licence.id)
    moderator, senior = person(role="moderator"), person(role="senior")
    desk, code, seniors_code = api(moderator), factor(moderator), factor(senior)
    desk.post(f"cases/{case.id}/claim")
    body = {"decision": "restrict", "reason": "Used against its terms.", "clause": "licence.terms"}
    assert desk.post(f"cases/{case.id}/decide", json=body).json()["code"] == "step_up_needed"
    many = {**body, "cases": [str(case.id)], "count": 1}
    assert desk.post("desk/bulk", json=many).json()["code"] == "second_person_needed"
    desk.post(f"cases/{case.id}/decide", json=body, X_Step_Up=code())
    assert wait_and_settle() == 0
    agreed = api(senior).post(f"cases/{case.id}/second", json={"agree": True}, X_Step_Up=seniors_code())
    assert agreed.json()["state"] == "waiting"
    assert wait_and_settle() == 1
    licence.refresh_from_db()
    assert (licence.state, licence.ended_reason) == ("ended", "moderation")
    assert Restriction.objects.get().effect == "end"


def test_a_crash_after_the_decision_is_made_good(person, monkeypatch):
    case = hold(person())
    rule(person(role="moderator"), case, "allow")

    def broken(**_):
        raise RuntimeError("the power fails here")

    with monkeypatch.context() as patch:
        patch.setattr(effects, "resume_held", broken)
        assert wait_and_settle() == 0
    case.refresh_from_db()
    assert case.state == "decided"
    assert effects.settle_due() == 1


# -- checks, figures --------------------------------------------------------------------------------------------------
def test_a_check_is_handed_out_like_a_case(person, api, monkeypatch):
    monkeypatch.setattr(quality, "SHARE", 1)
    case = hold(person())
    rule(person(role="moderator"), case, "refuse")
    wait_and_settle()
    desk = api(person(role="moderator"))
    pulled = desk.post("desk/pull").json()
    assert (pulled["case"], pulled["check"]) == (None, str(Check.objects.get().id))
    answer = desk.post(f"desk/checks/{pulled['check']}/decide", json={"decision": "refuse", "clause": "fraud.x"})
    assert answer.status_code == 204
    assert Check.objects.get().decision == "refuse"
    assert (
        desk.post(f"desk/checks/{uuid.uuid4()}/decide", json={"decision": "refuse", "clause": "x"}).status_code == 404
    )


def test_one_pull_in_a_few_is_a_check(person, api, monkeypatch):
    monkeypatch.setattr(quality, "SHARE", 1)
    monkeypatch.setattr(evidence, "CHECK_SHARE", 1)
    decided = hold(person())
    rule(person(role="moderator"), decided, "refuse")
    wait_and_settle()
    hold(person())
    assert api(person(role="moderator")).post("desk/pull").json()["check"]


def test_the_export_verifies_offline_and_only_unchanged(person, api, tmp_path, capsys):
    from vouch import cli

    services.claim_case(
        actor=Actor.of(moderator := person(role="moderator")), case_id=(case := hold(person())).id, interested=()
    )
    services.decide_case(
        actor=Actor.of(moderator), case_id=case.id, decision="refuse", reason="x", clause="y", interested=()
    )
    auditor = api(person(role="auditor"))
    document = auditor.get("desk/export?days=3").json()
    key = keys.public_key("provenance")
    statement = signing.verified(document, key)
    assert len(statement["decisions"]) == 1
    path = tmp_path / "decisions.json"
    path.write_text(json.dumps(document))
    assert cli.main(["verify-export", str(path), "--public-key", key.hex()]) == 0
    assert "INTACT: 1 decisions" in capsys.readouterr().out
    document["statement"]["decisions"][0][3] = "voice"
    with pytest.raises(signing.BadExport):
        signing.verified(document, key)
    path.write_text(json.dumps(document))
    assert cli.main(["verify-export", str(path), "--public-key", key.hex()]) == 1
    assert auditor.get("desk/decisions.csv").content.startswith(b"case,kind,severity")
    assert auditor.get("desk/metrics").json()["decided"] == 1
    assert auditor.get("desk/metrics?days=5000").status_code == 422


# -- who may not ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ["member", "auditor", "operator", None])
def test_who_is_no_moderator_does_nothing_here(person, api, role):
    case = hold(person())
    before = Leaf.objects.count()
    client = api(person(role=role) if role else None)
    answers = [
        client.get("desk/queues"),
        client.post("desk/pull"),
        client.post("desk/bulk", json={"cases": [str(case.id)], "count": 1, "decision": "allow", "reason": "x",
                                       "clause": "y"}),
        client.post("desk/listened", json={"seconds": 5}),
        client.post("desk/break", json={"on": True}),
        client.post(f"desk/checks/{uuid.uuid4()}/decide", json={"decision": "allow", "clause": "y"}),
        client.post(f"cases/{case.id}/release"),
        client.post(f"cases/{case.id}/undo"),
        client.post(f"cases/{case.id}/second", json={"agree": True}),
        client.post(f"cases/{case.id}/notes", json={"text": "x"}),
        client.post(f"cases/{case.id}/reverse", json={"reason": "x"}),
        client.post(f"cases/{case.id}/golden", json={"expected": "allow"}),
        client.get(f"cases/{case.id}/sounds/{uuid.uuid4()}"),
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} == {403 if role else 401}
    case.refresh_from_db()
    assert (case.state, Leaf.objects.exclude(kind="key.api_issued").count()) == ("open", before)


def test_a_moderator_is_no_senior_and_a_member_reads_no_figures(person, api):
    case = hold(person())
    desk = api(person(role="moderator"))
    assert desk.post(f"cases/{case.id}/reverse", json={"reason": "x"}).status_code == 403
    assert desk.post(f"cases/{case.id}/golden", json={"expected": "allow"}).status_code == 403
    for path in ("desk/metrics", "desk/decisions.csv", "desk/export"):
        assert api(person()).get(path).status_code == 403
        assert api(None).get(path).status_code == 401
    assert Case.objects.get().state == "open"
    assert not Job.objects.exists()


def test_forged_ids_are_not_found_here_either(person, api):
    desk = api(person(role="moderator"))
    other = uuid.uuid4()
    answers = [
        desk.post(f"cases/{other}/release"),
        desk.post(f"cases/{other}/undo"),
        desk.post(f"cases/{other}/notes", json={"text": "x"}),
        desk.get(f"cases/{other}/sounds/{other}"),
        desk.get("cases/1%27%20OR%201=1"),
    ]
    assert {answer.status_code for answer in answers} == {404}
