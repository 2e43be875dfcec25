"""Reports, cases and restrictions over HTTP; and who may not."""

import hashlib
import json
import uuid
from datetime import timedelta

import pytest

from cloning.models import Job
from foundation import clock
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from safety import services
from safety.models import Case, Report, Restriction
from safety.policy import evaluate
from tests.marketplace.factories import ready_voice, speech_of
from vouch.desk import effects

pytestmark = pytest.mark.django_db
TEXT = "Grandma, I had an accident, please send the money today and do not tell anyone."
WINDOW = timedelta(seconds=61)
DECISION = {"decision": "allow", "reason": "A school play.", "clause": "fraud.family-emergency"}


@pytest.fixture
def voice(person):
    return ready_voice(person(), rehearsal=True)


@pytest.fixture
def held(person, voice):
    """A case, and the request that waits for it."""
    customer = person()
    case = services.hold_text(
        requester_id=customer.id,
        voice_ref=str(voice.id),
        text=TEXT,
        text_digest=hashlib.sha256(TEXT.encode()).hexdigest(),
        verdict=evaluate(TEXT, language="en"),
        actor=Actor.of(customer),
    )
    speech_of(voice, customer, case=case.id, state="held")
    return case


def report_on(ref, **fields):
    return {"subject_kind": "output", "subject_ref": str(ref), "text": "<b>That is me.</b>", **fields}


def test_a_report_opens_a_case_and_shows_nothing_of_others(person, api):
    answer = api(person()).post("reports", json=report_on(uuid.uuid4()))
    assert answer.status_code == 201
    assert set(answer.json()) == {"id", "case", "subject_kind", "subject_ref", "created_at"}
    assert Case.objects.get().kind == "report"


def test_the_same_report_sent_again_with_its_idempotency_key_is_the_same_report(person, api):
    client, body = api(person()), report_on(uuid.uuid4())
    first = client.post("reports", json=body, Idempotency_Key="k1")
    second = client.post("reports", json=body, Idempotency_Key="k1")
    assert first.json() == second.json()
    assert Report.objects.count() == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"subject_kind": "planet"},
        {"subject_ref": "../../etc"},
        {"text": ""},
        {"text": "x" * 2_001},
        {"subject_kind": "text", "subject_ref": "7"},
    ],
)
def test_a_malformed_report_is_refused_by_name(person, api, fields):
    answer = api(person()).post("reports", json=report_on(uuid.uuid4(), **fields))
    assert answer.status_code == 422
    assert answer.json()["code"] in ("invalid_fields", "unknown_subject")
    assert not Case.objects.exists()


def test_a_moderator_walks_a_case_from_the_queue_to_its_decision(person, api, held):
    desk = api(person(role="moderator"))
    (row,) = desk.get("cases?state=open").json()
    assert (row["id"], row["rule"], row["severity"]) == (str(held.id), "family.emergency-money", 2)
    assert "text" not in row
    assert desk.get(f"cases/{held.id}").json()["text"] == TEXT
    claimed = desk.post(f"cases/{held.id}/claim")
    assert (claimed.status_code, claimed.json()["state"]) == (200, "claimed")
    ruled = desk.post(f"cases/{held.id}/decide", json=DECISION)
    assert (ruled.status_code, ruled.json()["state"], ruled.json()["decision"]) == (200, "pending", "")
    assert ruled.json()["ruling"]["decision"] == "allow"
    assert desk.get("cases?state=open").json() == []
    assert Job.objects.filter(state="held").exists()  # the effects wait
    clock.move_forward(WINDOW)
    assert effects.settle_due() == 1
    assert desk.get(f"cases/{held.id}").json()["decision"] == "allow"
    assert not Job.objects.filter(state="held").exists()  # the gate was asked again, and answered
    again = desk.post(f"cases/{held.id}/decide", json=DECISION)
    assert (again.status_code, again.json()["code"]) == (409, "case_decided")


def test_reports_are_shown_to_the_moderator_as_they_were_written(person, api):
    case = api(person()).post("reports", json=report_on(uuid.uuid4())).json()["case"]
    (said,) = api(person(role="moderator")).get(f"cases/{case}").json()["said"]
    assert said["text"] == "<b>That is me.</b>"


def test_a_second_moderator_is_told_that_the_case_is_taken(person, api, held):
    api(person(role="moderator")).post(f"cases/{held.id}/claim")
    answer = api(person(role="moderator")).post(f"cases/{held.id}/claim")
    assert (answer.status_code, answer.json()["code"]) == (409, "case_claimed")


def test_the_owner_of_the_voice_does_not_decide_about_it(person, api):
    moderator = person(role="moderator")
    own = ready_voice(moderator)
    body = report_on(own.id, subject_kind="voice")
    case = api(person()).post("reports", json=body).json()["case"]
    answer = api(moderator).post(f"cases/{case}/claim")
    assert (answer.status_code, answer.json()["code"]) == (403, "own_case")
    assert Case.objects.get().state == "open"


@pytest.mark.parametrize("role", ["member", "auditor", "operator", None])
def test_who_is_no_moderator_sees_and_changes_nothing(person, api, held, role):
    client = api(person(role=role) if role else None)
    made = Restriction.objects.count(), Leaf.objects.filter(kind__startswith="case.").count()
    restriction = {
        "subject_kind": "voice",
        "subject_ref": str(uuid.uuid4()),
        "effect": "pause",
        "reason": "x",
        "clause": "y",
    }
    answers = [
        client.get("cases"),
        client.get(f"cases/{held.id}"),
        client.post(f"cases/{held.id}/claim"),
        client.post(f"cases/{held.id}/decide", json=DECISION),
        client.get("restrictions"),
        client.post("restrictions", json=restriction),
        client.post(f"restrictions/{uuid.uuid4()}/lift", json={"reason": "x"}),
    ]
    assert {answer.status_code for answer in answers} == {403 if role else 401}
    assert all(TEXT not in answer.content.decode() for answer in answers)
    assert (Restriction.objects.count(), Leaf.objects.filter(kind__startswith="case.").count()) == made
    held.refresh_from_db()
    assert held.state == "open"


def test_a_moderators_key_without_the_scope_is_refused(person, api, held):
    client = api(person(role="moderator"), scopes=["report"])
    answer = client.post(f"cases/{held.id}/claim")
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


@pytest.mark.parametrize("role", ["auditor", "operator", None])
def test_who_may_not_report_leaves_no_case(person, api, role):
    answer = api(person(role=role) if role else None).post("reports", json=report_on(uuid.uuid4()))
    assert answer.status_code == (403 if role else 401)
    assert not Case.objects.exists()


def test_forged_ids_are_not_found(person, api):
    desk = api(person(role="moderator"))
    for answer in (
        desk.get(f"cases/{uuid.uuid4()}"),
        desk.post(f"cases/{uuid.uuid4()}/claim"),
        desk.post(f"cases/{uuid.uuid4()}/decide", json=DECISION),
        desk.post(f"restrictions/{uuid.uuid4()}/lift", json={"reason": "x"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_restrictions_are_made_listed_and_lifted(person, api):
    desk, ref = api(person(role="moderator")), str(uuid.uuid4())
    body = {"subject_kind": "voice", "subject_ref": ref, "effect": "pause", "reason": "Harm.", "clause": "harm.any"}
    made = desk.post("restrictions", json=body)
    assert made.status_code == 201
    assert desk.post("restrictions", json=body).json()["code"] == "already_restricted"
    assert [row["subject_ref"] for row in desk.get("restrictions?state=active").json()] == [ref]
    (view,) = Leaf.objects.filter(kind="case.viewed")
    assert json.loads(bytes(view.body))["subject"] == f"voice:{ref}"  # the reason names people
    lifted = desk.post(f"restrictions/{made.json()['id']}/lift", json={"reason": "A mistake."})
    assert lifted.json()["state"] == "lifted"
    assert desk.get("restrictions?state=active").json() == []


@pytest.mark.parametrize(
    "decision", [{"decision": "allow"}, {**DECISION, "reason": " "}, {**DECISION, "decision": "burn"}]
)
def test_a_decision_without_reason_clause_or_sense_is_refused(person, api, held, decision):
    desk = api(person(role="moderator"))
    desk.post(f"cases/{held.id}/claim")
    assert desk.post(f"cases/{held.id}/decide", json=decision).status_code == 422
    held.refresh_from_db()
    assert held.state == "claimed"
