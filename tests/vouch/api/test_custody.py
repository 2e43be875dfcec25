"""A person's own recordings over HTTP: until the deadline, and the proof after it."""

from datetime import timedelta
from typing import Any

import pytest

from foundation import keys
from foundation.clock import move_forward
from foundation.identity.actors import Actor
from retention import certificates, custody
from retention.models import CustodyItem
from retention.purposes import Purpose

SOUND = b"<html>what somebody said</html>" * 5_000


def received(subject: Any) -> CustodyItem:
    return custody.receive(
        stream=[SOUND], purpose=Purpose.TRAINING, subject=subject, actor=Actor.of(subject), max_bytes=10**6
    )


@pytest.mark.django_db
def test_my_recording_is_mine_to_fetch_until_its_deadline(person: Any, api: Any) -> None:
    owner = person()
    item = received(owner)
    client = api(owner)
    (listed,) = client.get("custody").json()
    assert listed == client.get(f"custody/{item.id}").json()
    assert (listed["state"], listed["purpose"], listed["size"]) == ("held", "training", len(SOUND))
    content = client.get(f"custody/{item.id}/content")
    assert b"".join(content.streaming_content) == SOUND
    assert content.headers["Content-Type"] == "application/octet-stream"
    assert "attachment" in content.headers["Content-Disposition"]
    move_forward(timedelta(hours=72))
    gone = client.get(f"custody/{item.id}/content")
    assert (gone.status_code, gone.json()["code"]) == (410, "past_deadline")


@pytest.mark.django_db
def test_nobody_else_sees_it(person: Any, api: Any) -> None:
    item = received(person())
    for stranger in (person(), person("moderator")):
        client = api(stranger)
        assert client.get("custody").json() == []
        for path in ("", "/content", "/certificate"):
            response = client.get(f"custody/{item.id}{path}")
            assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert api(None).get(f"custody/{item.id}/content").status_code == 401
    assert api(item.subject, scopes=["speak"]).get(f"custody/{item.id}/content").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_the_certificate_comes_after_destruction_and_holds(person: Any, api: Any) -> None:
    owner = person()
    item = received(owner)
    client = api(owner)
    early = client.get(f"custody/{item.id}/certificate")
    assert (early.status_code, early.json()["code"]) == (409, "not_destroyed")
    move_forward(timedelta(hours=72))
    assert custody.sweep() == 1
    certificate = client.get(f"custody/{item.id}/certificate").json()
    assert certificates.verify(certificate, keys.public_key("log"))["item"] == str(item.id)
    assert client.get(f"custody/{item.id}").json()["destroyed_reason"] == "deadline"
