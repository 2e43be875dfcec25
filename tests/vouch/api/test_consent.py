"""The ceremony, recordings, consents and licences over HTTP; and who may not."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from consent.models import Challenge, Consent, Examination, Recording
from foundation import keys
from foundation.audit.models import Leaf
from foundation.clock import move_forward
from retention.models import CustodyItem
from tests.consent.factories import SECOND, answered, consent, decide, passed_challenge, passed_recording

pytestmark = pytest.mark.django_db
GIGABYTES = 2 * 1024**3


def problem(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def body(challenge: Challenge, *given: Recording, **more: Any) -> dict[str, Any]:
    return {
        "challenge": str(challenge.id),
        "recordings": [str(one.id) for one in given],
        "uses": {"own_use": True},
        "languages": ["en"],
        "term_days": 30,
        "text_version": "en-1",
        "biometric_release": True,
        **more,
    }


def test_a_person_walks_through_the_ceremony(person: Any, api: Any) -> None:
    owner = person()
    client = api(owner)
    opened = client.post("challenges")
    assert opened.status_code == 201
    challenge = opened.json()
    assert len(challenge["words"]) == 6
    move_forward(timedelta(seconds=1))
    assert client.put(f"challenges/{challenge['id']}/chunks/0", content=SECOND).json() == {"next": 1}
    queued = client.post(f"challenges/{challenge['id']}/answer")
    assert queued.status_code == 202
    found = client.get(f"examinations/{queued.json()['examination']}").json()
    assert (found["state"], found["verdict"], found["challenge"]) == ("queued", "", challenge["id"])

    decide(Examination.objects.get())
    assert client.get("scripts/en").json()["sentences"][0].endswith(".")
    assert len(client.get("scripts/zh").json()["sentences"]) == 20
    announced = client.post(
        "recordings", json={"challenge": challenge["id"], "language": "en", "transcript": "What is said."}
    )
    assert announced.status_code == 201
    recording = announced.json()["id"]
    sent = client.put(f"recordings/{recording}/content", content=b"a sound file")
    assert sent.status_code == 202
    decide(Examination.objects.get(id=sent.json()["examination"]), seconds=61.5)
    assert (
        client.get(f"recordings/{recording}").json() | {"state": "passed", "seconds": 61.5}
        == client.get(f"recordings/{recording}").json()
    )

    made = client.post("consents", json=body(Challenge.objects.get(), Recording.objects.get()))
    assert made.status_code == 201
    assert made.json()["rehearsal"] is True
    assert [one["id"] for one in client.get("consents").json()] == [made.json()["id"]]
    taken = client.post(f"consents/{made.json()['id']}/withdraw")
    assert taken.status_code == 200
    assert taken.json()["state"] == "withdrawn"
    assert {"consent.withdrawn", "template.destroyed", "recording.destroyed"} <= {
        one["what"] for one in taken.json()["consequences"]
    }
    assert client.get(f"consents/{made.json()['id']}").json()["state"] == "withdrawn"
    assert problem(client.post(f"consents/{made.json()['id']}/withdraw")) == (409, "consent_ended")


@pytest.mark.django_db(transaction=True)
def test_the_receipt_is_given_to_its_owner_alone(person: Any, api: Any) -> None:
    from consent import receipts

    given = consent(person())
    receipt = api(given.person).get(f"consents/{given.id}/receipt").json()
    assert receipts.verify(receipt, keys.public_key("log"))["id"] == str(given.id)
    assert problem(api(person()).get(f"consents/{given.id}/receipt")) == (404, "not_found")


def test_withdrawing_cancels_jobs_and_destroys_voices_in_the_same_act(person: Any, api: Any) -> None:
    from cloning.services import request_voice
    from foundation.identity.actors import Actor

    given = consent(person())
    voice = request_voice(actor=Actor.of(given.person), consent_id=given.id, name="Mine", language="en")
    whats = {
        one["what"]: one["ref"]
        for one in api(given.person).post(f"consents/{given.id}/withdraw").json()["consequences"]
    }
    assert whats["voice.destroyed"] == str(voice.id)
    assert "job.cancelled" in whats
    voice.refresh_from_db()
    assert voice.state == "destroyed"
    assert voice.key.state == "destroyed"


def test_consent_texts_are_public_and_hashed(db: None, api: Any) -> None:
    texts = api(None).get("consent-texts").json()
    kinds = {"{}-1", "biometric-{}-1", "represented-{}-1", "unmeasured-{}-1"}
    assert {text["version"] for text in texts} == {kind.format(code) for kind in kinds for code in ("en", "zh")}
    assert all(len(text["sha256"]) == 64 and text["text"] for text in texts)


def test_a_second_and_a_late_answer_are_refused(person: Any, api: Any) -> None:
    owner = person()
    challenge, _ = answered(owner)
    assert problem(api(owner).post(f"challenges/{challenge.id}/answer")) == (409, "challenge_already_answered")
    opened = api(owner).post("challenges").json()["id"]
    move_forward(timedelta(seconds=121))
    assert problem(api(owner).put(f"challenges/{opened}/chunks/0", content=SECOND)) == (410, "challenge_expired")
    assert problem(api(owner).post(f"challenges/{opened}/answer")) == (410, "challenge_expired")
    assert Examination.objects.count() == 1


def test_a_flood_gets_429_with_a_time_to_wait(person: Any, api: Any) -> None:
    client = api(person())
    challenge = client.post("challenges").json()["id"]
    client.put(f"challenges/{challenge}/chunks/0", content=SECOND)
    response = client.put(f"challenges/{challenge}/chunks/1", content=SECOND * 2)
    assert problem(response) == (429, "faster_than_live")
    assert response.headers["Retry-After"] == "1"


def test_five_failures_give_429(person: Any, api: Any) -> None:
    owner = person()
    for _ in range(5):
        decide(answered(owner, seconds=1)[1], "refuse", reason="wrong_words")
    response = api(owner).post("challenges")
    assert problem(response) == (429, "pause_after_failures")
    assert int(response.headers["Retry-After"]) <= 61


def test_what_belongs_to_another_does_not_exist(person: Any, api: Any) -> None:
    owner, client = person(), api(person())
    given = consent(owner)
    challenge, found = answered(owner)
    announced = Recording.objects.get(challenge=given.challenge)
    before = CustodyItem.objects.count(), Leaf.objects.count(), Examination.objects.count()
    nobody = uuid.uuid4()
    for response in [
        client.put(f"challenges/{challenge.id}/chunks/2", content=SECOND),
        client.put(f"challenges/{nobody}/chunks/0", content=SECOND),
        client.post(f"challenges/{challenge.id}/answer"),
        client.get(f"examinations/{found.id}"),
        client.post("recordings", json={"challenge": str(given.challenge_id), "language": "en", "transcript": "x"}),
        client.get(f"recordings/{announced.id}"),
        client.put(f"recordings/{announced.id}/content", content=b"sound"),
        client.put(f"recordings/{nobody}/content", content=b"sound"),
        client.post("consents", json=body(given.challenge, announced)),
        client.get(f"consents/{given.id}"),
        client.get(f"consents/{given.id}/receipt"),
        client.post(f"consents/{given.id}/withdraw"),
        client.get(f"consents/{nobody}"),
    ]:
        assert problem(response) == (404, "not_found")
        # The same words for an unknown id and a foreign one: no oracle.
        assert {k: v for k, v in response.json().items() if k != "request_id"} == {
            k: v for k, v in client.get(f"consents/{nobody}").json().items() if k != "request_id"
        }
    assert client.get("consents").json() == client.get("licences").json() == []
    assert (CustodyItem.objects.count(), Leaf.objects.count(), Examination.objects.count()) == before


def test_without_a_key_or_its_scope_nothing_happens(person: Any, api: Any) -> None:
    owner = person()
    given = consent(owner)
    reader = api(owner, scopes=["consent:read"])
    before = Leaf.objects.count(), CustodyItem.objects.count()
    calls = [
        ("post", "challenges"),
        ("put", f"challenges/{given.challenge_id}/chunks/0"),
        ("post", f"challenges/{given.challenge_id}/answer"),
        ("post", "recordings"),
        ("put", f"recordings/{given.recordings.get().id}/content"),
        ("post", "consents"),
        ("post", f"consents/{given.id}/withdraw"),
        ("get", "licences"),
    ]
    for verb, path in calls:
        assert problem(getattr(reader, verb)(path)) == (403, "missing_scope")
        assert problem(getattr(api(None), verb)(path)) == (401, "not_signed_in")
    speaker = api(owner, scopes=["speak"])
    issued = 1  # the key of the line above leaves a leaf of its own
    for path in ("consents", f"consents/{given.id}", f"examinations/{given.challenge.examination.id}", "scripts/en"):
        assert problem(speaker.get(path)) == (403, "missing_scope")
    assert (Leaf.objects.count(), CustodyItem.objects.count()) == (before[0] + issued, before[1])
    assert Consent.objects.get().state == "active"


def test_two_gigabytes_are_refused_before_a_byte_is_read(person: Any, api: Any) -> None:
    challenge = passed_challenge(person())
    client = api(challenge.person)
    made = client.post("recordings", json={"challenge": str(challenge.id), "language": "en", "transcript": "Words."})
    path = f"/api/v1/recordings/{made.json()['id']}/content"
    before = CustodyItem.objects.count()
    response = client.client.generic(
        "PUT", path, b"", "application/octet-stream", headers=client.headers, CONTENT_LENGTH=str(GIGABYTES)
    )
    assert problem(response) == (413, "too_large")
    no_length = client.client.generic("PUT", path, b"", "application/octet-stream", headers=client.headers)
    assert no_length.status_code in (411, 422)
    chunk = client.client.generic(
        "PUT",
        f"/api/v1/challenges/{client.post('challenges').json()['id']}/chunks/0",
        b"",
        "application/octet-stream",
        headers=client.headers,
        CONTENT_LENGTH=str(GIGABYTES),
    )
    assert problem(chunk) == (413, "too_large")
    assert CustodyItem.objects.count() == before
    assert Recording.objects.get().state == "awaiting"


def test_an_empty_recording_is_refused_and_may_be_sent_again(person: Any, api: Any) -> None:
    challenge = passed_challenge(person())
    client = api(challenge.person)
    made = client.post("recordings", json={"challenge": str(challenge.id), "language": "en", "transcript": "Words."})
    path = f"recordings/{made.json()['id']}/content"
    response = client.client.generic(
        "PUT", f"/api/v1/{path}", b"", "application/octet-stream", headers=client.headers, CONTENT_LENGTH="0"
    )
    assert problem(response) == (422, "audio_empty")
    assert client.put(path, content=b"sound").status_code == 202
    assert problem(client.put(path, content=b"sound")) == (409, "recording_already_received")


@pytest.mark.parametrize(
    "change",
    [
        {"uses": "all"},
        {"uses": {"own_use": "perhaps"}},
        {"recordings": []},
        {"recordings": ["not-an-id"]},
        {"term_days": 100_000},
        {"languages": []},
        {"challenge": "1"},
        {"biometric_release": None},
    ],
)
def test_wrong_fields_are_named(person: Any, api: Any, change: dict[str, Any]) -> None:
    challenge = passed_challenge(person())
    response = api(challenge.person).post("consents", json={**body(challenge, passed_recording(challenge)), **change})
    assert problem(response) == (422, "invalid_fields")
    assert next(iter(change)) in response.json()["fields"]
    assert not Consent.objects.exists()


def test_the_same_idempotency_key_gives_one_consent(person: Any, api: Any) -> None:
    challenge = passed_challenge(person())
    client, wanted = api(challenge.person), body(challenge, passed_recording(challenge))
    first = client.post("consents", json=wanted, Idempotency_Key="once")
    again = client.post("consents", json=wanted, Idempotency_Key="once")
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert Consent.objects.count() == 1


def test_a_licensee_sees_and_gives_up_a_licence(person: Any, api: Any) -> None:
    from consent import licences
    from foundation.identity.actors import Actor

    given, customer = consent(person()), person()
    made = licences.grant_licence(
        actor=Actor.system("test"), consent=given, licensee=customer, scope={}, characters_cap=10
    )
    assert [one["id"] for one in api(customer).get("licences").json()] == [str(made.id)]
    assert [one["id"] for one in api(given.person).get("licences").json()] == [str(made.id)]
    assert problem(api(person()).post(f"licences/{made.id}/end")) == (404, "not_found")
    assert api(customer).post(f"licences/{made.id}/end").json()["state"] == "ended"


def test_what_a_withdrawal_ends_is_said_before_and_is_what_ends(person: Any, api: Any) -> None:
    from cloning.services import request_voice
    from consent.licences import grant_licence
    from foundation.identity.actors import Actor

    given = consent(person())
    request_voice(actor=Actor.of(given.person), consent_id=given.id, name="Mine", language="en")
    grant_licence(actor=Actor.system("test"), consent=given, licensee=person(), scope={}, characters_cap=10)
    client = api(given.person)
    before = client.get(f"consents/{given.id}/consequences").json()
    after = client.post(f"consents/{given.id}/withdraw").json()

    def what(answer: Any) -> set[tuple[str, int]]:
        return {(one["what"], one["count"]) for one in answer["consequences"]}

    assert what(before) == what(after)
    assert all(one["at"] is None for one in before["consequences"])
    assert all(one["at"] and one["says"].keys() == {"en", "zh"} for one in after["consequences"])
    assert before["remains"] == after["remains"]
    assert client.get(f"consents/{given.id}/consequences").json()["consequences"] == []
    other = consent(person())
    assert problem(client.get(f"consents/{other.id}/consequences")) == (404, "not_found")


def test_the_act_is_the_key_or_the_session_it_was_done_through(person: Any, api: Any) -> None:
    from django.test import Client

    from consent.acts import Act

    owner = person()
    challenge = passed_challenge(owner)
    client = api(owner)
    made = client.post("consents", json=body(challenge, passed_recording(challenge))).json()
    statement = Consent.objects.get(id=made["id"]).statement
    key = client.headers["Authorization"].removeprefix("Bearer ")
    given_at = Consent.objects.get(id=made["id"]).given_at
    assert statement["act"] == Act("key", key).statement(statement["salt"], given_at)

    browser = Client()
    browser.force_login(owner)
    owner.refresh_from_db()
    challenge = passed_challenge(owner)
    made = browser.post(
        "/api/v1/consents", body(challenge, passed_recording(challenge)), content_type="application/json"
    ).json()
    found = Consent.objects.get(id=made["id"])
    act = Act("session", browser.session.session_key or "", owner.last_login)
    assert found.statement["act"] == act.statement(found.statement["salt"], found.given_at)


def test_a_consent_is_renewed_and_its_voice_goes_on(person: Any, api: Any) -> None:
    from cloning.services import request_voice
    from foundation.identity.actors import Actor

    former = consent(person())
    voice = request_voice(actor=Actor.of(former.person), consent_id=former.id, name="Mine", language="en")
    challenge = passed_challenge(former.person)
    terms = {key: value for key, value in body(challenge).items() if key != "recordings"}
    assert problem(api(person()).post(f"consents/{former.id}/renew", json=terms)) == (404, "not_found")
    answer = api(former.person).post(f"consents/{former.id}/renew", json=terms)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["consent"]["version"], made["consent"]["former"]) == (2, str(former.id))
    assert {"consent.renewed", "template.destroyed", "voice.carried"} <= {one["what"] for one in made["consequences"]}
    voice.refresh_from_db()
    assert str(voice.consent_id) == made["consent"]["id"]
    assert api(former.person).get(f"consents/{former.id}").json()["state"] == "renewed"


def test_the_receipts_other_forms_are_its_owners_alone(person: Any, api: Any) -> None:
    from consent import compact

    given = consent(person())
    client = api(given.person)
    text = client.get(f"consents/{given.id}/receipt.txt").content.decode()
    assert compact.verify(text, keys.public_key("log")).consent_id == given.id
    page = client.get(f"consents/{given.id}/receipt.pdf?language=zh")
    assert page.content.startswith(b"%PDF-1.4")
    assert page["Content-Disposition"] == f'attachment; filename="consent-{given.id}.pdf"'
    assert b"<svg " in client.get(f"consents/{given.id}/receipt.svg").content
    for form in ("txt", "pdf", "svg"):
        assert api(person()).get(f"consents/{given.id}/receipt.{form}").status_code == 404
        assert api(None).get(f"consents/{given.id}/receipt.{form}").status_code == 401


def test_no_consent_without_challenge_or_review(person: Any, api: Any) -> None:
    challenge = passed_challenge(person())
    terms = body(challenge, passed_recording(challenge))
    del terms["challenge"]
    assert problem(api(challenge.person).post("consents", json=terms)) == (422, "challenge_not_passed")
    assert not Consent.objects.exists()
