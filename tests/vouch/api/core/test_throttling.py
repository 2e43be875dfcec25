"""Quotas by key, person, address and door: what is counted together, what an answer says, and when it is refused."""

import uuid
from typing import Any

import pytest

from foundation.identity import services
from foundation.identity.actors import Actor

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(settings: Any) -> str:
    """The first half of one that nobody else's test comes from."""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    return f"2001:db8:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:3]}"


def refused(answer: Any, quota: str) -> None:
    said = answer.json()
    assert (answer.status_code, said["code"], said["quota"]) == (429, "too_many", quota)
    assert 1 <= int(answer["Retry-After"]) == said["retry_after"] <= 60
    assert answer["RateLimit"].startswith(f'"{quota}";r=0;t=')
    assert "headers" not in said


def test_each_key_each_person_and_each_address_has_its_own_quota(person, api, settings, address) -> None:
    settings.VOUCH_RATE_KEY, settings.VOUCH_RATE_PERSON, settings.VOUCH_RATE_ADDRESS = 2, 5, 6
    here, there = {"X-Forwarded-For": f"{address}::1"}, {"X-Forwarded-For": f"{address}0::1"}
    owner = person()
    one, two, three = api(owner), api(owner), api(owner)
    first = one.get("me", **here)
    assert first["RateLimit-Policy"] == '"key";q=2;w=60'
    assert first["RateLimit"].startswith('"key";r=1;t=')
    assert one.get("me", **here).status_code == 200
    refused(one.get("me", **here), "key")  # a refused call counts too: the third of the person
    assert two.get("me", **here).status_code == 200
    assert two.get("me", **here).status_code == 200
    refused(three.get("me", **there), "person")
    other = api(person())
    assert other.get("me", **here).status_code == 200
    refused(other.get("me", **here), "address")
    assert other.get("me", **{"X-Forwarded-For": f"{address}1::1"}).status_code == 429  # its key has used its two


def test_a_session_counts_with_the_keys_of_the_same_person(person, api, settings, client, address) -> None:
    settings.VOUCH_RATE_PERSON = 2
    owner = person()
    client.force_login(owner)
    headers = {"X-Forwarded-For": f"{address}::1"}
    assert client.get("/api/v1/me", headers=headers).status_code == 200
    assert api(owner).get("me", **headers).status_code == 200
    refused(client.get("/api/v1/me", headers=headers), "person")


def test_who_has_not_signed_in_counts_by_address(api, settings, address) -> None:
    settings.VOUCH_RATE_ANONYMOUS = 1
    anybody = api(None)
    assert anybody.get("log/public-key", **{"X-Forwarded-For": f"{address}::1"}).status_code == 200
    refused(anybody.get("log/public-key", **{"X-Forwarded-For": f"{address}::1"}), "anonymous")
    # What a client writes before our proxy's entry changes nothing.
    refused(anybody.get("log/public-key", **{"X-Forwarded-For": f"192.0.2.1, {address}::1"}), "anonymous")
    assert anybody.get("log/public-key", **{"X-Forwarded-For": f"{address}1::1"}).status_code == 200


def test_a_subscriber_of_ipv6_has_one_quota_whatever_address_they_choose(api, settings, address) -> None:
    settings.VOUCH_RATE_ANONYMOUS = 2
    anybody = api(None)
    for last in ("1", "ffff:1", "abcd:2:3"):
        answer = anybody.get("log/public-key", **{"X-Forwarded-For": f"{address}::{last}"})
    refused(answer, "anonymous")
    number = uuid.uuid4().int % 250
    for same in (f"198.51.100.{number}", f"::ffff:198.51.100.{number}"):
        assert anybody.get("log/public-key", **{"X-Forwarded-For": same}).status_code == 200
    refused(anybody.get("log/public-key", **{"X-Forwarded-For": f"198.51.100.{number}"}), "anonymous")


def test_a_door_of_its_own_is_told_when_it_is_the_fullest(person, api) -> None:
    answer = api(person()).get("second-factor")
    assert answer["RateLimit-Policy"] == '"Factor";q=10;w=60'
    assert answer["RateLimit"].startswith('"Factor";r=9;t=')


def test_redis_away_shuts_the_door(person, api, monkeypatch) -> None:
    from redis import Redis

    from vouch.api.core import throttling

    monkeypatch.setattr(throttling, "_redis", lambda: Redis(unix_socket_path="/nonexistent"))
    answer = api(person()).get("me")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer["Retry-After"]) == answer.json()["retry_after"] == 5


def test_every_too_many_and_every_unavailable_says_when_to_ask_again() -> None:
    """All classes of such refusals there are: the one handler writes the header from what they say."""
    from foundation.errors import TooMany, Unavailable, VouchError
    from vouch import problems
    from vouch.api.core.errors import body, handler

    problems.catalogue()  # imports every room
    found = [kind for kind in problems.kinds(VouchError) if kind.status in (429, 503)]
    assert len(found) > 15
    assert all(issubclass(kind, TooMany | Unavailable) for kind in found)
    for kind in found:
        answer = handler(kind(), {})
        assert int(answer["Retry-After"]) == answer.data["retry_after"] >= 1, kind
    assert handler(found[0](retry_after=7), {})["Retry-After"] == "7"
    assert body(Unavailable(), "")["retry_after"] == 5, "a WebSocket has no headers"


def test_a_revoked_key_spends_nobodys_quota(person, api) -> None:
    owner = person()
    key, plain = services.issue_api_key(actor=Actor.system("test"), person=owner, name="old")
    services.revoke_api_key(actor=Actor.of(owner), key_id=str(key.id))
    from tests.client import Api

    answer = Api(plain).get("me")
    assert answer.status_code == 401
    assert "RateLimit" not in answer
