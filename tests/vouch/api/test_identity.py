"""Accounts and keys over HTTP, the one error shape, idempotency, and the rehearsal clock."""

import pytest

from foundation.clock import now, rehearsal_offset
from foundation.identity.models import ApiKey, Person
from tests.client import Api

pytestmark = pytest.mark.django_db
NEW = {"email": "ada@example.org", "display_name": "Ada", "password": "correct horse battery"}


def test_registering_gives_a_working_key(api):
    made = api(None).post("people", NEW)
    assert made.status_code == 201, made.content
    me = Api(made.json()["key"]).get("me").json()
    assert me["email"] == "ada@example.org"
    assert me["role"] == "member"


def test_registering_cannot_choose_a_role(api):
    made = api(None).post("people", {**NEW, "role": "moderator"})
    assert made.status_code == 201
    assert Person.objects.get(email="ada@example.org").role == "member"


def test_an_address_registers_once(api):
    assert api(None).post("people", NEW).status_code == 201
    second = api(None).post("people", NEW)
    assert (second.status_code, second.json()["code"]) == (409, "email_taken")
    assert Person.objects.count() == 1


def test_errors_have_one_shape(api):
    problem = api(None).post("people", {"email": "no"})
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert {"type", "title", "status", "code", "detail", "advice", "request_id"} <= problem.json().keys()


def test_nobody_gets_in_without_a_key_or_with_a_wrong_one(api):
    assert api(None).get("me").status_code == 401
    assert api(None).get("me", Authorization="Bearer vk_x_y").status_code == 401


def test_malformed_json_is_named(api, person):
    answer = api(person()).post("keys", content=b"{")
    assert answer.json()["code"] in {"malformed_json", "unsupported_media_type"}
    assert answer.status_code in {400, 415}


def test_a_body_over_a_mebibyte_is_refused(api, person):
    answer = api(person()).client.post(
        "/api/v1/people", data='{"email":"' + "a" * 1_100_000 + '"}', content_type="application/json"
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_key_of_somebody_else_cannot_be_revoked(api, person):
    victim = person()
    api(victim)
    key = ApiKey.objects.get(person=victim)
    assert api(person()).delete(f"keys/{key.id}").status_code == 404
    key.refresh_from_db()
    assert key.revoked_at is None


def test_the_clock_moves_for_an_operator_in_rehearsal_only(api, person, settings):
    before = now()
    assert api(person()).post("rehearsal/clock", {"advance_hours": 5}).status_code == 403
    assert rehearsal_offset().total_seconds() == 0
    assert api(person("operator")).post("rehearsal/clock", {"advance_hours": 5}).status_code == 200
    assert (now() - before).total_seconds() > 5 * 3600 - 1
    settings.REHEARSAL = False
    assert rehearsal_offset().total_seconds() == 0
    assert api(person("operator")).post("rehearsal/clock", {"advance_hours": 5}).status_code == 404
