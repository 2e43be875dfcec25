"""Protected voices over HTTP; and who may not."""

import uuid

import pytest

from safety.models import ProtectedVoice
from tests.consent import factories as make

pytestmark = pytest.mark.django_db


def problem(response):
    return response.status_code, response.json()["code"]


def test_from_a_challenge_to_a_protection_and_back(person, api):
    owner = person()
    client = api(owner)
    challenge = make.passed_challenge(owner)
    made = client.post("protected-voices", json={"challenge": str(challenge.id)})
    assert made.status_code == 201
    assert (made.json()["basis"], made.json()["state"]) == ("own", "active")
    again = client.post("protected-voices", json={"challenge": str(make.passed_challenge(owner).id)})
    assert problem(again) == (409, "already_protected")
    [row] = client.get("protected-voices").json()
    assert row["id"] == made.json()["id"]
    assert client.delete(f"protected-voices/{row['id']}").json()["state"] == "removed"


def test_who_may_not(person, api):
    owner = person()
    challenge = make.passed_challenge(owner)
    body = {"challenge": str(challenge.id)}
    assert api(None).post("protected-voices", json=body).status_code == 401
    assert api(person(role="auditor")).post("protected-voices", json=body).status_code == 403
    assert api(person()).post("protected-voices", json=body).status_code == 404
    assert not ProtectedVoice.objects.exists()
    mine = api(owner).post("protected-voices", json=body).json()["id"]
    for client in (api(person()), api(person(role="moderator"))):
        assert client.get("protected-voices").json() == []
        assert client.delete(f"protected-voices/{mine}").status_code == 404
    assert api(None).get("protected-voices").status_code == 401
    assert ProtectedVoice.objects.get().state == "active"


@pytest.mark.parametrize("body", [{}, {"challenge": "x"}, {"challenge": str(uuid.uuid4()), "person": "x"}])
def test_a_bad_body_protects_nothing(person, api, body):
    assert api(person()).post("protected-voices", json=body).status_code in (400, 404, 422)
    assert not ProtectedVoice.objects.exists()


def test_a_representative_needs_an_approved_review_of_their_own(person, api):
    client = api(person())
    review = uuid.uuid4()
    announced = {"language": "en", "transcript": "What is said."}
    assert client.post(f"reviews/{review}/protection/recordings", json=announced).status_code == 404
    body = {"recording": str(uuid.uuid4())}
    assert client.post(f"reviews/{review}/protection", json=body).status_code == 404
    assert api(None).post(f"reviews/{review}/protection", json=body).status_code == 401
    assert not ProtectedVoice.objects.exists()
