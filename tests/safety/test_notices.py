"""Notices from outside: what they must hold, their clocks, and what may be answered."""

import uuid
from datetime import timedelta

import pytest

from foundation import clock
from foundation.audit.models import Leaf
from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor
from safety import errors, notices, selectors
from safety.models import Case, Notice, Statement
from tests.safety.desk import kinds, nobody, settled

pytestmark = pytest.mark.django_db
OUTPUT = "5b1f6f5e-33f0-4f6c-9a39-3f2b7d8f1c11"
FORM = {
    "form": "no_fakes", "subject_kind": "output", "subject_ref": OUTPUT, "sender_name": "Ida Ohnesorg",
    "sender_email": "ida@example.org", "sender_address": "1 Harbour Lane", "sender_phone": "+1 555 0100",
    "individual": "Ida Ohnesorg", "standing": "self", "claim": "That is my voice. I never agreed to this.",
    "good_faith": True, "accurate": True, "signature": "/Ida Ohnesorg/",
}  # fmt: skip


def receive(**more):
    return notices.receive(**{**FORM, **more})


def taken_down(person):
    """A notice that was followed; (notice, its secret, the person it hit, their statement)."""
    found, token = receive()
    moderator, hit = person(role="moderator"), person()
    triaged = notices.triage(actor=Actor.of(moderator), notice_id=found.id, follow=True, stakes=nobody)
    settled(moderator, triaged.case, "restrict", about=hit.id)
    assert notices.follow_case(case_id=triaged.case_id) == 1
    return found, token, hit, Statement.objects.get()


def quarantined():
    return selectors.active_restrictions(subjects=[("output", OUTPUT)])


def test_a_notice_has_its_clocks_and_its_secret(person):
    found, token = receive()
    assert found.triage_due_at - found.received_at == timedelta(hours=24)
    assert found.action_due_at - found.received_at == timedelta(hours=72)
    assert notices.state_of(notice_id=found.id, token=token) == found
    for wrong in ("", "x", token[:-1]):
        with pytest.raises(NotFound):
            notices.state_of(notice_id=found.id, token=wrong)
    bodies = b"".join(bytes(leaf.body) for leaf in Leaf.objects.all())
    assert b"Ida" not in bodies
    assert b"ida@" not in bodies


@pytest.mark.parametrize(
    "more",
    [
        {"good_faith": False},
        {"accurate": False},
        {"individual": " "},
        {"sender_address": ""},
        {"sender_phone": ""},
        {"standing": "agent"},
        {"standing": "neighbour"},
        {"form": "letter"},
        {"subject_kind": "person"},
    ],
)
def test_an_incomplete_notice_is_refused_by_name(more):
    with pytest.raises(errors.NoticeIncomplete) as refused:
        receive(**more)
    assert refused.value.extra["missing"]
    assert not Notice.objects.exists()


def test_an_article_16_notice_asks_for_less():
    found, _ = receive(form="dsa", individual="", sender_address="", sender_phone="")
    assert found.form == "dsa"


@pytest.mark.parametrize("more", [{"claim": " "}, {"signature": ""}])
def test_a_notice_says_something_and_is_signed(more):
    with pytest.raises(errors.NoReason):
        receive(**more)


@pytest.mark.parametrize("ref", ["7", "../../x", "'; DROP TABLE"])
def test_a_forged_subject_is_refused(ref):
    with pytest.raises(errors.UnknownSubject):
        receive(subject_ref=ref)


def test_a_followed_notice_becomes_one_case_and_ends_with_it(person):
    found, token, _, _ = taken_down(person)
    found.refresh_from_db()
    assert (found.state, len(quarantined())) == ("acted", 1)
    assert notices.view(notices.state_of(notice_id=found.id, token=token))["answer"]
    assert notices.follow_case(case_id=found.case_id) == 0
    assert [one for one in kinds() if one.startswith("notice.")] == [
        "notice.received", "notice.triaged", "notice.ended",
    ]  # fmt: skip


def test_two_notices_about_one_recording_share_a_case(person):
    moderator = Actor.of(person(role="moderator"))
    first, second = receive()[0], receive()[0]
    one = notices.triage(actor=moderator, notice_id=first.id, follow=True, stakes=nobody)
    two = notices.triage(actor=moderator, notice_id=second.id, follow=True, stakes=nobody)
    assert one.case_id == two.case_id
    with pytest.raises(errors.NoticeNotOpen):
        notices.triage(actor=moderator, notice_id=first.id, follow=True, stakes=nobody)


def test_a_notice_is_declined_with_an_answer(person):
    moderator = Actor.of(person(role="moderator"))
    found, _ = receive()
    with pytest.raises(errors.NoReason):
        notices.triage(actor=moderator, notice_id=found.id, follow=False, stakes=nobody)
    declined = notices.triage(
        actor=moderator, notice_id=found.id, follow=False, answer="It is your own recording.", stakes=nobody
    )
    assert (declined.state, Case.objects.count()) == ("declined", 0)


@pytest.mark.parametrize("role", ["member", "auditor", "operator"])
def test_nobody_else_reads_or_triages(person, role):
    found, _ = receive()
    actor = Actor.of(person(role=role))
    with pytest.raises(NotAllowed):
        notices.queue(actor=actor)
    with pytest.raises(NotAllowed):
        notices.triage(actor=actor, notice_id=found.id, follow=True, stakes=nobody)
    with pytest.raises(NotFound):
        notices.triage(actor=Actor.of(person(role="moderator")), notice_id=uuid.uuid4(), follow=True, stakes=nobody)
    found.refresh_from_db()
    assert found.state == "received"


# -- the counter-notice -----------------------------------------------------------------------------------------------
def test_a_counter_notice_that_is_not_answered_brings_the_recording_back(person):
    found, _, hit, statement = taken_down(person)
    notices.counter(actor=Actor.of(hit), statement_id=statement.id, text="It is my own voice.", signature="/H/")
    assert notices.restore_due() == 0
    clock.move_forward(notices.RESTORE_AFTER + timedelta(seconds=1))
    assert notices.restore_due() == 1
    assert notices.restore_due() == 0
    found.refresh_from_db()
    assert (found.state, quarantined()) == ("restored", [])


def test_a_sender_who_goes_to_court_keeps_it_down(person):
    found, token, hit, statement = taken_down(person)
    notices.counter(actor=Actor.of(hit), statement_id=statement.id, text="It is mine.", signature="/H/")
    with pytest.raises(NotFound):
        notices.pursue(notice_id=found.id, token="x")
    notices.pursue(notice_id=found.id, token=token)
    clock.move_forward(notices.RESTORE_AFTER + timedelta(seconds=1))
    assert notices.restore_due() == 0
    assert len(quarantined()) == 1


def test_only_the_person_it_hit_counters_and_once(person):
    _, _, hit, statement = taken_down(person)
    fields = {"statement_id": statement.id, "text": "Mine.", "signature": "/H/"}
    with pytest.raises(NotFound):
        notices.counter(actor=Actor.of(person()), **fields)
    notices.counter(actor=Actor.of(hit), **fields)
    with pytest.raises(errors.NoticeNotOpen):
        notices.counter(actor=Actor.of(hit), **fields)
