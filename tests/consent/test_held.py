"""A challenge that waits for a moderator: what each decision does, and what happens when none comes in time."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from consent import ceremony, examination, tasks
from consent.models import Challenge, Examination
from consent.recordings import passed_challenge
from foundation.audit.models import Leaf
from foundation.clock import move_forward
from foundation.identity.actors import Actor
from safety.models import Case
from safety.protected import Match
from tests.consent.factories import TEMPLATE, answered
from tests.safety import desk

pytestmark = pytest.mark.django_db
SEARCH = {
    "kind": "voice_search",
    "value": 1.0,
    "threshold": 1.0,
    "verdict": "inconclusive",
    "reason": "moderator_looks",
    "advice": {},
    "model": "s-1",
    "details": {},
}


def like() -> Match:
    return Match("protected", str(uuid.uuid4()), "A singer", None, 0.9, 0.8)


def held(person: Any) -> tuple[Challenge, Examination, Case]:
    challenge, found = answered(person)
    assert examination.begin(found.id) is not None
    examination.hold(found.id, evidence=[SEARCH], found_like=[like()], template=TEMPLATE)
    challenge.refresh_from_db()
    found.refresh_from_db()
    return challenge, found, Case.objects.get(id=found.case_ref)


def test_it_waits_with_its_template_and_its_leaf(person: Any) -> None:
    challenge, found, case = held(person())
    assert (challenge.state, found.state, found.verdict, case.state) == ("held", "held", "", "open")
    assert challenge.template.deadline == challenge.custody.deadline
    assert found.advice["en"]
    assert found.advice["zh"]
    assert Leaf.objects.filter(kind="examination.held").count() == 1
    assert examination.begin(found.id) is None
    assert examination.settle_held() == 0


@pytest.mark.parametrize(
    ("decision", "state", "verdict", "reason"),
    [
        ("allow", "passed", "pass", "ok"),
        ("refuse", "refused", "refuse", "refused_by_moderator"),
        ("restrict", "refused", "refuse", "refused_by_moderator"),
    ],
)
def test_the_decision_settles_it_once(person: Any, decision: str, state: str, verdict: str, reason: str) -> None:
    owner = person()
    challenge, found, case = held(owner)
    move_forward(timedelta(hours=30))  # longer than a passed challenge is fresh: it counts from its verdict
    desk.decide(person("moderator"), case, decision)
    assert examination.settle_held(case_id=uuid.uuid4()) == 0
    assert tasks.tidy()["held"] == 1
    assert tasks.tidy()["held"] == 0
    challenge.refresh_from_db()
    found.refresh_from_db()
    assert (challenge.state, found.state, found.verdict, found.reason) == (state, "done", verdict, reason)
    assert found.evidence[-1]["verdict"] == verdict
    assert Leaf.objects.filter(kind="examination.decided").count() == 1
    if verdict == "pass":
        assert passed_challenge(actor=Actor.of(owner), challenge_id=challenge.id) == challenge
    else:
        assert found.advice["zh"]


def test_a_decision_after_the_recording_is_gone_lets_nobody_through(person: Any) -> None:
    challenge, found, case = held(person())
    move_forward(timedelta(hours=72))
    desk.decide(person("moderator"), case, "allow")
    assert examination.settle_held() == 1
    challenge.refresh_from_db()
    found.refresh_from_db()
    assert (challenge.state, found.state, found.reason) == ("inconclusive", "failed", "past_deadline")


def test_without_a_decision_it_ends_with_its_recording(person: Any) -> None:
    challenge, _, case = held(person())
    move_forward(timedelta(hours=72))
    assert examination.settle_held() == 1
    challenge.refresh_from_db()
    case.refresh_from_db()
    assert (challenge.state, case.state) == ("inconclusive", "open")


def test_waiting_counts_against_the_pause_until_it_is_allowed(person: Any) -> None:
    owner = person()
    for _ in range(5):
        case = held(owner)[-1]
    assert ceremony.pause_until(owner.id) is not None
    assert Case.objects.count() == 1
    desk.decide(person("moderator"), case, "allow")
    assert examination.settle_held() == 5
    assert ceremony.pause_until(owner.id) is None
