"""Where one is signed in: what is kept of it, and who may end what."""

import uuid
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session

from foundation.audit.models import Leaf
from foundation.errors import NotFound
from foundation.identity import sessions
from foundation.identity.actors import Actor

pytestmark = pytest.mark.django_db


def began(actor: Actor, device: str = "Firefox", address: str = "203.0.113.77") -> Any:
    store = SessionStore()
    store.create()
    return sessions.begin(actor=actor, session_key=store.session_key, device=device, address=address)


@pytest.mark.parametrize(
    ("address", "network"),
    [("203.0.113.77", "203.0.113.0/24"), ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
     ("::ffff:203.0.113.77", "203.0.113.0/24"), ("unknown", ""), ("", "")],
)  # fmt: skip
def test_of_an_address_its_network_is_kept(address: str, network: str) -> None:
    assert sessions.network_of(address) == network


def test_only_sessions_that_still_open_something_are_listed_and_dead_ones_are_forgotten(person: Any) -> None:
    actor = Actor.of(person())
    first, second = began(actor), began(actor, device="x" * 5_000)
    assert list(sessions.sessions_of(actor=actor)) == [second, first]
    assert len(second.device) == 200
    Session.objects.filter(session_key=first.session_key).update(expire_date="2020-01-01T00:00:00Z")
    assert list(sessions.sessions_of(actor=actor)) == [second]
    third = began(actor)
    assert {one.id for one in type(first).objects.all()} == {second.id, third.id}


def test_nobody_ends_what_is_not_theirs_and_what_ends_is_logged_once(person: Any) -> None:
    mine, other = Actor.of(person()), Actor.of(person())
    here, there = began(mine), began(mine)
    for actor in (other, Actor.system("test")):
        with pytest.raises(NotFound):
            sessions.end(actor=actor, session_id=there.id)
    with pytest.raises(NotFound):
        sessions.end(actor=mine, session_id=uuid.uuid4())
    assert sessions.end_others(actor=other, session_key="") == 0
    assert Session.objects.count() == 2
    assert not Leaf.objects.filter(kind="person.sessions_ended").exists()
    sessions.end(actor=mine, session_id=there.id)
    began(mine)
    assert sessions.end_others(actor=mine, session_key=here.session_key) == 1
    assert list(Session.objects.values_list("session_key", flat=True)) == [here.session_key]
    assert Leaf.objects.filter(kind="person.sessions_ended").count() == 2
