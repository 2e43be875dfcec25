"""Every page asks the database as often for many rows as for few."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, reverse

from tests.vouch.api.test_lists import House
from vouch.web import deskviews, urls

pytestmark = pytest.mark.django_db
DOORS = {"sign-in", "sign-up", "sign-out", "language", "strings"}
"""No pages of somebody who is signed in."""
ROW_BY_ROW = {"/desk/notices"}
"""Each notice that is read is logged, as by the API; a page bounds them."""


def pages(house: House) -> list[str]:
    plain = [one for one in urls.urlpatterns if isinstance(one, URLPattern) and "<" not in str(one.pattern)]
    found = [reverse(f"web:{one.name}") for one in plain if one.name not in DOORS]
    found += [reverse(f"web:{name}", args=[house.voice.id]) for name in ("voice", "batch")]
    return [*found, reverse("web:licence", args=[house.licence.id])]


def opens(client: Client, path: str) -> bool:
    return client.get(path).status_code == 200


@pytest.mark.timeout(900)
def test_no_page_needs_a_query_more_for_more_rows(person: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deskviews, "COUNTED_FOR", 0)  # the queues are counted each time, not when some seconds are over
    house = House(person)
    house.more()
    house.more()
    people = [house.owner, house.senior, *(person(role=role) for role in ("auditor", "operator"))]
    clients = {one.role: Client() for one in people}
    for one in people:
        clients[one.role].force_login(one)
    # Who opens what; and what is written once is written now: a checkpoint.
    doors = [(role, path) for role, client in clients.items() for path in pages(house) if opens(client, path)]
    assert {path for _, path in doors} == set(pages(house))

    def asked() -> dict[tuple[str, str], int]:
        counts = {}
        for role, path in doors:
            with CaptureQueriesContext(connection) as seen:
                assert opens(clients[role], path), (role, path)
            counts[role, path] = len(seen)
        return counts

    few = asked()
    for _ in range(3):
        house.more()
    many = asked()
    more = {door: (few[door], n) for door, n in many.items() if n > few[door] and door[1] not in ROW_BY_ROW}
    assert more == {}
    assert max(n for (_, path), n in many.items() if path not in ROW_BY_ROW) < 40
