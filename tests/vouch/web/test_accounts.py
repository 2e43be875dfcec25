"""Signing in, up and out."""

import pytest
from django.core.cache import cache
from django.test import Client

from foundation.audit.models import Leaf
from foundation.identity.models import Person
from vouch.api.core import throttling
from vouch.web import accounts

pytestmark = pytest.mark.django_db
NEW = {"email": "Ada@Example.org", "display_name": "Ada", "password": "correct horse 42"}


@pytest.fixture(autouse=True)
def doors_unused():
    """Limits count by address, and every test has the same one."""
    cache.clear()
    store = throttling._redis()
    for name in store.scan_iter("limit:web.*"):
        store.delete(name)


def signed_in(client):
    return "_auth_user_id" in client.session


def test_signing_up_makes_a_member_signs_them_in_and_is_logged():
    client = Client()
    answer = client.post("/sign-up", NEW)
    made = Person.objects.get(email="ada@example.org")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert made.role == "member"
    assert signed_in(client)
    assert Leaf.objects.filter(kind="person.registered").count() == 1


def test_a_form_cannot_make_a_moderator():
    Client().post("/sign-up", {**NEW, "role": "moderator"})
    assert Person.objects.get().role == "member"


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"password": "short"}, "at least 10"), ({"password": "password123"}, "common"), ({"email": "x"}, "valid email")],
)
def test_a_bad_sign_up_says_why_and_makes_nobody(fields, said):
    answer = Client().post("/sign-up", {**NEW, **fields})
    assert said in answer.content.decode()
    assert not Person.objects.exists()


def test_an_address_can_be_used_once():
    Client().post("/sign-up", NEW)
    again = Client()
    assert "exists" in again.post("/sign-up", NEW).content.decode()
    assert not signed_in(again)


def test_signing_in_goes_back_to_where_one_wanted_to_be():
    Client().post("/sign-up", NEW)
    client = Client()
    answer = client.post("/sign-in", {"username": "ada@example.org", "password": NEW["password"], "next": "/consent"})
    assert answer["Location"] == "/consent"
    assert signed_in(client)


@pytest.mark.parametrize("door", ["/sign-in", "/sign-up"])
@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_next_never_leads_to_another_site(door, target):
    if door == "/sign-in":
        Client().post("/sign-up", NEW)
    fields = {**NEW, "username": NEW["email"], "next": target}
    assert Client().post(door, fields)["Location"] == "/"


def test_a_wrong_password_and_an_unknown_address_read_the_same():
    Client().post("/sign-up", NEW)
    wrong = Client().post("/sign-in", {"username": NEW["email"], "password": "wrong wrong"})
    unknown = Client().post("/sign-in", {"username": "nobody@example.org", "password": "wrong wrong"})
    assert wrong.status_code == unknown.status_code == 200
    assert "address or the password is wrong" in wrong.content.decode()
    assert "address or the password is wrong" in unknown.content.decode()


def test_guessing_is_stopped_even_with_the_right_password():
    Client().post("/sign-up", NEW)
    for _ in range(accounts.SIGN_INS_PER_MINUTE):
        Client().post("/sign-in", {"username": NEW["email"], "password": "wrong wrong"})
    client = Client()
    answer = client.post("/sign-in", {"username": NEW["email"], "password": NEW["password"]})
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1
    assert not signed_in(client)


def test_a_limiter_that_is_down_keeps_the_door_shut(monkeypatch, settings):
    Client().post("/sign-up", NEW)
    settings.REDIS_URL = "redis+socket:///nonexistent/socket"
    throttling._redis.cache_clear()
    client = Client()
    try:
        answer = client.post("/sign-in", {"username": NEW["email"], "password": NEW["password"]})
    finally:
        throttling._redis.cache_clear()
    assert answer.status_code == 503
    assert not signed_in(client)


def test_signing_out_needs_a_post():
    client = Client()
    client.post("/sign-up", NEW)
    assert client.get("/sign-out").status_code == 405
    assert signed_in(client)
    client.post("/sign-out")
    assert not signed_in(client)


def test_a_form_from_another_site_is_refused():
    client = Client(enforce_csrf_checks=True)
    assert client.post("/sign-up", NEW).status_code == 403
    assert not Person.objects.exists()
