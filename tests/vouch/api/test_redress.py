"""Statements, appeals, notices and the second factor over HTTP; and who may not."""

import json
import uuid

import pytest

from foundation.audit.models import Leaf
from foundation.identity import second_factor
from safety import notices
from safety.models import Appeal, Notice, Statement
from tests.marketplace.factories import ready_voice
from tests.safety.desk import hold, settled
from tests.safety.test_notices import FORM

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(person):
    customer = person()
    settled(person(role="moderator"), hold(customer), "refuse", reason="<b>Fraud</b>")
    return customer


def test_a_person_reads_why_and_appeals_and_another_decides(person, api, told):
    mine = api(told)
    (statement,) = mine.get("statements-of-reasons").json()
    assert {"en", "zh"} == statement["words"].keys()
    assert statement["facts"]["facts"] == "<b>Fraud</b>"
    made = mine.post(f"statements-of-reasons/{statement['id']}/appeal", json={"text": "A school play."})
    assert (made.status_code, made.json()["state"]) == (201, "open")
    again = mine.post(f"statements-of-reasons/{statement['id']}/appeal", json={"text": "Again."})
    assert (again.status_code, again.json()["code"]) == (409, "appeal_exists")
    desk = api(person(role="moderator"))
    (row,) = desk.get("appeals").json()
    assert desk.post(f"appeals/{row['id']}/messages", json={"text": "Which one?"}).status_code == 201
    assert mine.post(f"appeals/{row['id']}/messages", json={"text": "By the river."}).status_code == 201
    body = {"outcome": "overturned", "reason": "A play."}
    assert desk.post(f"appeals/{row['id']}/decide", json=body).json()["outcome"] == "overturned"
    thread = mine.get(f"appeals/{row['id']}").json()["messages"]
    assert [one["from_desk"] for one in thread] == [False, True, False, True]
    assert mine.get(f"statements-of-reasons/{statement['id']}").json()["appeal"] == row["id"]


def test_reading_somebodys_appeal_at_the_desk_is_logged(person, api, told):
    statement = Statement.objects.get()
    made = api(told).post(f"statements-of-reasons/{statement.id}/appeal", json={"text": "No."}).json()["id"]
    api(told).get(f"appeals/{made}")
    assert not Leaf.objects.filter(kind="case.viewed").exists()
    api(person(role="moderator")).get(f"appeals/{made}")
    assert json.loads(bytes(Leaf.objects.get(kind="case.viewed").body))["data"]["what"] == "appeal"


def test_the_list_of_appeals_is_a_view_of_each_thread_in_it(person, api, told):
    statement = Statement.objects.get()
    made = api(told).post(f"statements-of-reasons/{statement.id}/appeal", json={"text": "No."}).json()["id"]
    (row,) = api(person(role="moderator")).get("appeals").json()
    assert row["messages"][0]["text"] == "No."
    assert json.loads(bytes(Leaf.objects.get(kind="case.viewed").body))["subject"] == f"appeal:{made}"


def test_who_owns_the_voice_neither_sees_nor_judges_its_appeals_and_notices(person, api):
    owner, customer = person(role="moderator"), person()
    voice = ready_voice(owner, rehearsal=True)
    settled(person(role="moderator"), hold(customer, voice=str(voice.id)), "refuse")
    statement = Statement.objects.get()
    made = api(customer).post(f"statements-of-reasons/{statement.id}/appeal", json={"text": "No."}).json()["id"]
    notices.receive(**{**FORM, "subject_kind": "voice", "subject_ref": str(voice.id)})
    notice, mine = Notice.objects.get(), api(owner)
    assert mine.get("appeals").json() == mine.get("notices").json() == []
    for answer in (
        mine.get(f"appeals/{made}"),
        mine.post(f"appeals/{made}/messages", json={"text": "x"}),
        mine.post(f"appeals/{made}/decide", json={"outcome": "upheld", "reason": "x"}),
        mine.post(f"notices/{notice.id}/triage", json={"follow": False, "answer": "x"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "own_case")
    other = api(person(role="moderator"))
    assert [one["id"] for one in other.get("appeals").json()] == [made]
    assert [one["id"] for one in other.get("notices").json()] == [str(notice.id)]


@pytest.mark.parametrize("role", ["member", "moderator", "auditor", "operator", None])
def test_who_may_not_appeal_for_somebody_else(person, api, told, role):
    statement = Statement.objects.get()
    client = api(person(role=role) if role else None)
    answers = [
        client.get(f"statements-of-reasons/{statement.id}"),
        client.post(f"statements-of-reasons/{statement.id}/appeal", json={"text": "x"}),
        client.post(f"statements-of-reasons/{statement.id}/counter-notice", json={"text": "x", "signature": "y"}),
        client.get(f"appeals/{uuid.uuid4()}"),
    ]
    expected = {"member": 404, "moderator": 404, None: 401}.get(role, 403)
    assert {answer.status_code for answer in answers} == {expected}
    assert not Appeal.objects.exists()


@pytest.mark.parametrize("role", ["member", "auditor", "operator", None])
def test_who_may_not_decide_appeals_or_notices(person, api, role):
    client = api(person(role=role) if role else None)
    answers = [
        client.get("appeals"),
        client.post(f"appeals/{uuid.uuid4()}/decide", json={"outcome": "upheld", "reason": "x"}),
        client.post(f"notices/{uuid.uuid4()}/triage", json={"follow": True}),
    ]
    assert {answer.status_code for answer in answers} == {403 if role else 401}
    assert client.get("notices").status_code == 403


def test_anybody_sends_a_notice_and_looks_at_it_with_its_secret(person, api):
    outside, desk = api(None), api(person(role="moderator"))
    made = outside.post("notices", json=FORM)
    assert made.status_code == 201
    notice, token = made.json()["id"], made.json()["token"]
    assert "sender_name" not in made.json()
    assert outside.get(f"notices/{notice}").status_code == 404
    assert outside.get(f"notices/{notice}", **{"X-Notice-Token": "x"}).status_code == 404
    seen = look(outside, notice, token)
    assert (seen.status_code, seen.json()["state"]) == (200, "received")
    (row,) = desk.get("notices").json()
    assert row["claim"] == FORM["claim"]
    assert Leaf.objects.filter(kind="case.viewed").count() == 1
    followed = desk.post(f"notices/{notice}/triage", json={"follow": True})
    assert followed.json()["state"] == "triaged"
    again = desk.post(f"notices/{notice}/triage", json={"follow": True})
    assert (again.status_code, again.json()["code"]) == (409, "notice_wrong_state")


def look(client, notice, token):
    return client.get(f"notices/{notice}", **{"X-Notice-Token": token})


@pytest.mark.parametrize(
    "more", [{"good_faith": False}, {"individual": ""}, {"form": "x"}, {"sender_email": "x"}, {"claim": "x" * 2_001}]
)
def test_an_incomplete_notice_is_refused_by_name(api, more):
    answer = api(None).post("notices", json={**FORM, **more})
    assert (answer.status_code, answer.json()["code"] in ("invalid_fields", "notice_incomplete")) == (422, True)
    assert not Notice.objects.exists()


def test_a_second_factor_needs_the_password_and_a_code(person, api):
    one = person(role="moderator")
    one.set_password("a long enough password")
    one.save()
    client = api(one)
    assert client.get("second-factor").json() == {"set_up": False}
    assert client.post("second-factor", json={"password": "x"}).json()["code"] == "wrong_password"
    made = client.post("second-factor", json={"password": "a long enough password"})
    assert made.json()["address"].startswith("otpauth://totp/")
    assert "issuer=Vouch" in made.json()["address"]
    assert client.post("second-factor/confirm", json={"code": "x"}).json()["code"] == "wrong_code"
    assert client.post("step-up", json={"code": "123456"}).json()["code"] == "no_second_factor"
    assert api(None).post("second-factor", json={"password": "x"}).status_code == 401
    assert not second_factor.is_set_up(one.id)
