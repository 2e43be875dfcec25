"""Nobody judges what they have a stake in: not the case, and not what comes after it, appeal, reversal or notice."""

import uuid

import pytest

from foundation.identity.actors import Actor
from safety import appeals, errors, notices, quality, reversals, views_log
from safety.models import Appeal, Note, Notice, Statement
from tests.safety.desk import hold, reported, settled
from tests.safety.test_notices import FORM

pytestmark = pytest.mark.django_db


@pytest.fixture
def reporter(person):
    return person(role="senior")


@pytest.fixture
def appealed(person, reporter):
    """An appeal against what came of a report that a senior moderator made."""
    about = person()
    case = reported(reporter, kind="person", ref=about.id)
    settled(person(role="moderator"), case, "restrict", about=about.id)
    return appeals.appeal(actor=Actor.of(about), statement_id=Statement.objects.get().id, text="It was not me.")


def untouched(appeal):
    appeal.refresh_from_db()
    return (appeal.state, appeal.messages.count()) == ("open", 1)


def test_who_reported_it_does_not_hear_the_appeal(appealed, reporter):
    actor = Actor.of(reporter)
    assert list(appeals.queue(actor=actor)) == []
    for act in (
        lambda: appeals.decide(actor=actor, appeal_id=appealed.id, outcome="upheld", reason="It was."),
        lambda: appeals.say(actor=actor, appeal_id=appealed.id, text="It was you."),
        lambda: appeals.appeal_for(actor=actor, appeal_id=appealed.id),
    ):
        with pytest.raises(errors.OwnCase):
            act()
    assert untouched(appealed)


def test_nor_does_whoever_the_rooms_above_know_to_have_a_stake(appealed, person):
    owner = person(role="moderator")
    actor = Actor.of(owner)
    for act in (
        lambda: appeals.decide(
            actor=actor, appeal_id=appealed.id, outcome="overturned", reason="x", stakes=lambda case: {owner.id}
        ),
        lambda: appeals.say(actor=actor, appeal_id=appealed.id, text="x", stakes=lambda case: {owner.id}),
        lambda: appeals.appeal_for(actor=actor, appeal_id=appealed.id, stakes=lambda case: {owner.id}),
    ):
        with pytest.raises(errors.OwnCase):
            act()
    assert untouched(appealed)
    decided = appeals.decide(actor=actor, appeal_id=appealed.id, outcome="overturned", reason="x")
    assert decided.decided_by == owner


def test_a_reversal_is_not_for_who_reported_it_nor_for_the_voice_s_owner(appealed, reporter, person):
    case_id, senior = appealed.statement.case_id, person(role="senior")
    with pytest.raises(errors.OwnCase):
        reversals.reverse_as_senior(actor=Actor.of(reporter), case_id=case_id, reason="x")
    with pytest.raises(errors.OwnCase):
        reversals.reverse_as_senior(actor=Actor.of(senior), case_id=case_id, reason="x", interested={senior.id})
    assert reversals.reverse_as_senior(actor=Actor.of(senior), case_id=case_id, reason="x").reverses_id == case_id


def test_a_note_is_left_by_nobody_with_a_stake(person):
    case, owner = hold(person()), person(role="moderator")
    with pytest.raises(errors.OwnCase):
        views_log.note(actor=Actor.of(owner), case_id=case.id, text="Let it through.", interested={owner.id})
    assert not Note.objects.exists()


def test_a_golden_case_is_not_made_by_who_has_a_stake_in_it(person, reporter):
    case = hold(reporter)
    settled(person(role="moderator"), case, "refuse")
    with pytest.raises(errors.OwnCase):
        quality.make_golden(actor=Actor.of(reporter), case_id=case.id, expected="allow")
    senior = person(role="senior")
    with pytest.raises(errors.OwnCase):
        quality.make_golden(actor=Actor.of(senior), case_id=case.id, expected="allow", interested={senior.id})


def test_a_check_is_not_handed_to_who_has_a_stake_in_its_case(person, monkeypatch):
    monkeypatch.setattr(quality, "SHARE", 1)
    case, owner = hold(person()), person(role="moderator")
    settled(person(role="moderator"), case, "refuse")
    case.refresh_from_db()
    assert quality.sample(case) is not None
    assert quality.take(actor=Actor.of(owner), stakes=lambda case: {owner.id}) is None
    assert quality.take(actor=Actor.of(owner)) is not None


def test_a_notice_is_neither_followed_nor_declined_by_whom_it_hits(person):
    hit = person(role="moderator")
    made, _ = notices.receive(**{**FORM, "subject_ref": str(uuid.uuid4())})
    for follow in (True, False):
        with pytest.raises(errors.OwnCase):
            notices.triage(
                actor=Actor.of(hit), notice_id=made.id, follow=follow, answer="No.", stakes=lambda kind, ref: {hit.id}
            )
    assert Notice.objects.get().state == "received"
    assert not Appeal.objects.exists()
