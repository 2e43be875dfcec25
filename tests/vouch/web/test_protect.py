"""The page on which a person forbids the cloning of their voice: what it offers whom."""

from typing import Any

import pytest
from django.test import Client

from consent import protection
from foundation.identity.actors import Actor
from tests.cloning import factories as cloning
from tests.consent.factories import passed_challenge

pytestmark = pytest.mark.django_db


def page(person: Any, path: str = "/protect") -> str:
    client = Client()
    client.force_login(person)
    return client.get(path).content.decode()


def test_without_a_protection_the_challenge_is_offered(person: Any) -> None:
    body = page(person())
    assert 'id="challenge-start"' in body
    assert 'id="lift"' not in body


def test_with_one_it_can_be_lifted_and_my_data_says_so(person: Any) -> None:
    owner = person()
    made = protection.forbid_own(actor=Actor.of(owner), challenge_id=passed_challenge(owner).id)
    body = page(owner)
    assert f'data-protection="{made.id}"' in body
    assert 'id="challenge-start"' not in body
    assert "Your voice is protected since" in page(owner, "/me")
    assert "Not protected" in page(person(), "/me")
    protection.lift(actor=Actor.of(owner), protected_id=made.id)
    assert 'id="challenge-start"' in page(owner)


def test_who_has_consented_is_told_to_withdraw_first(person: Any) -> None:
    owner = person()
    cloning.consent(owner)
    body = page(owner)
    assert 'id="consented"' in body
    assert 'id="challenge-start"' not in body


@pytest.mark.parametrize("role", ["auditor", "operator"])
def test_staff_without_a_voice_here_do_not_open_it(person: Any, role: str) -> None:
    client = Client()
    assert client.get("/protect").status_code == 302
    client.force_login(person(role=role))
    assert client.get("/protect").status_code == 403
