"""What the policy knows of who asks: counted from what really happened, and only as long as it says."""

from datetime import timedelta

import pytest

from cloning import policy_facts, services
from foundation import clock
from foundation.identity.actors import Actor
from tests.cloning import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def voice(owner):
    return make.voice(owner, make.consent(owner, days=300))


def ask(requester, voice, text: str) -> None:
    services.request_speech(actor=Actor.of(requester), voice_id=voice.id, text=text, language="en")


def facts(requester, voice) -> dict:
    return policy_facts.known(voice=voice, licence=None, requester_id=requester.id)


def test_requests_are_counted_by_the_hour_and_their_outcomes_by_the_month(owner, voice) -> None:
    for text in (make.TEXT, make.TEXT.replace("nine", "ten"), make.HELD_TEXT):
        ask(owner, voice, text)
    found = facts(owner, voice)
    assert found["requester.requests_last_hour"] == 3
    assert [found[f"history.{one}_30d"] for one in ("allowed", "held", "refused")] == [2, 1, 0]
    clock.move_forward(timedelta(minutes=61))
    found = facts(owner, voice)
    assert (found["requester.requests_last_hour"], found["history.allowed_30d"]) == (0, 2)
    clock.move_forward(timedelta(days=29, hours=22))
    assert facts(owner, voice)["history.allowed_30d"] == 2
    clock.move_forward(timedelta(minutes=59))
    assert {facts(owner, voice)[f"history.{one}_30d"] for one in ("allowed", "held", "refused")} == {0}


def test_what_others_ask_counts_for_them_alone(person, owner, voice) -> None:
    ask(owner, voice, make.TEXT)
    stranger = facts(person(), voice)
    assert stranger["requester.requests_last_hour"] == stranger["history.allowed_30d"] == 0
    assert (stranger["requester.is_owner"], facts(owner, voice)["requester.is_owner"]) == (False, True)


def test_ages_are_whole_days_that_went_by(owner, voice) -> None:
    clock.move_forward(timedelta(days=6, hours=23))
    found = facts(owner, voice)
    assert (found["requester.account_age_days"], found["voice.age_days"]) == (6, 6)
    clock.move_forward(timedelta(hours=2))
    assert facts(owner, voice)["requester.account_age_days"] == 7


def test_a_licence_says_what_is_left_of_it(person, owner, voice) -> None:
    customer = person()
    licence = make.licence(voice.consent, customer, cap=100)
    found = policy_facts.known(voice=voice, licence=licence, requester_id=customer.id)
    assert (found["licence.held"], found["licence.characters_left"], found["licence.age_days"]) == (True, 100, 0)
    licence.characters_used, licence.characters_reserved = 60, 30
    assert policy_facts.known(voice=voice, licence=licence, requester_id=customer.id)["licence.characters_left"] == 10
    assert facts(customer, voice)["licence.held"] is False
