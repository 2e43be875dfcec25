"""A person's own recordings over HTTP: until the deadline, and the proof after it."""

from datetime import timedelta
from typing import Any

import pytest

from foundation import keys
from foundation.clock import move_forward, now
from foundation.identity.actors import Actor
from retention import certificates, custody
from retention.models import CustodyItem, LegalHold
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


def hold_of(item: CustodyItem) -> dict[str, Any]:
    return {"item": str(item.id), "reason": "Order 17/26", "expires_at": (now() + timedelta(days=9)).isoformat()}


@pytest.mark.django_db
def test_two_operators_hold_a_recording_and_its_subject_sees_why(person: Any, api: Any) -> None:
    owner = person()
    item = received(owner)
    one, other = api(person("operator")), api(person("operator"))
    asked = one.post("custody/holds", hold_of(item))
    assert (asked.status_code, asked.json()["state"]) == (201, "requested")
    hold = asked.json()["id"]
    same = one.post(f"custody/holds/{hold}/approve")
    assert (same.status_code, same.json()["code"]) == (403, "hold_takes_two")
    assert other.post(f"custody/holds/{hold}/approve").json()["state"] == "active"
    (seen,) = api(owner).get("custody").json()
    assert [shown["reason"] for shown in seen["legal_holds"]] == ["Order 17/26"]
    refused = api(owner).get(f"custody/{item.id}/content")
    assert (refused.status_code, refused.json()["code"]) == (409, "under_legal_hold")
    assert one.get("custody/overview").json()["holds"][0]["id"] == hold
    asked = one.post(f"custody/holds/{hold}/end").json()
    assert (asked["state"], asked["ended_reason"]) == ("active", "")
    assert one.post(f"custody/holds/{hold}/end").status_code == 403
    assert other.post(f"custody/holds/{hold}/end").json()["ended_reason"] == "released"
    assert b"".join(api(owner).get(f"custody/{item.id}/content").streaming_content) == SOUND


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["member", "moderator", "auditor"])
def test_nobody_else_orders_or_ends_a_hold(person: Any, api: Any, role: str) -> None:
    owner = person()
    item = received(owner)
    operator, client = api(person("operator")), api(person(role))
    assert client.post("custody/holds", hold_of(item)).status_code == 403
    assert not LegalHold.objects.exists()
    hold = operator.post("custody/holds", hold_of(item)).json()["id"]
    for verb in ("approve", "end"):
        assert client.post(f"custody/holds/{hold}/{verb}").status_code == 403
    assert LegalHold.objects.get().state == "requested"
    assert client.get(f"custody/subjects/{owner.id}").status_code == 403
    assert client.get("custody/overview").status_code == (200 if role == "auditor" else 403)
    assert api(None).get("custody/overview").status_code == 401


@pytest.mark.django_db
def test_an_operator_finds_what_stands_of_a_person_without_its_content(person: Any, api: Any) -> None:
    owner = person()
    item = received(owner)
    received(person())
    (found,) = api(person("operator")).get(f"custody/subjects/{owner.id}").json()
    assert found["id"] == str(item.id)
    assert set(found) == {"id", "purpose", "state", "received_at", "deadline"}


@pytest.mark.django_db
def test_the_overview_shows_what_is_overdue_while_no_sweeper_runs(person: Any, api: Any) -> None:
    item = received(person())
    move_forward(timedelta(hours=73))
    shown = api(person("operator")).get("custody/overview").json()
    assert [one["id"] for one in shown["overdue"]] == [str(item.id)]
    custody.sweep()
    shown = api(person("auditor")).get("custody/overview").json()
    assert shown["overdue"] == []
    assert shown["swept_at"] is not None
    assert (shown["incidents"][0]["kind"], shown["incidents"][0]["item"]) == ("overdue", str(item.id))


@pytest.mark.django_db
def test_the_schedule_is_public(api: Any) -> None:
    rows = api(None).get("retention/schedule").json()["rows"]
    assert {"recording": 72, "trace": 1}.items() <= {row["id"]: row["hours"] for row in rows}.items()
