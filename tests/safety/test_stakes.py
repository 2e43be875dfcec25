"""Nobody judges what they have a stake in: not the case, and not what comes after it, appeal, reversal or notice."""

import importlib
import inspect
import pkgutil
import uuid

import pytest

import safety
from foundation.identity.actors import Actor
from safety import appeals, errors, notices, quality, reversals, services, views_log
from safety.models import Appeal, Case, Note, Notice, Statement
from tests.safety.desk import hold, nobody, reported, settled
from tests.safety.test_notices import FORM

pytestmark = pytest.mark.django_db

JUDGING = {
    "appeals.appeal_for", "appeals.decide", "appeals.may_judge", "appeals.say", "claims.claim_case", "claims.pull",
    "guards.is_own", "guards.refuse_own", "notices.triage", "quality.make_golden", "quality.take",
    "restrictions.lift", "reversals.reverse_as_senior", "rulings.decide_case", "rulings.rule", "rulings.rule_many",
    "rulings.second", "views_log.note",
}  # fmt: skip
"""What must be told; more may be."""


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
        lambda: appeals.decide(actor=actor, appeal_id=appealed.id, outcome="upheld", reason="It was.", stakes=nobody),
        lambda: appeals.say(actor=actor, appeal_id=appealed.id, text="It was you.", stakes=nobody),
        lambda: appeals.appeal_for(actor=actor, appeal_id=appealed.id, stakes=nobody),
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
    decided = appeals.decide(actor=actor, appeal_id=appealed.id, outcome="overturned", reason="x", stakes=nobody)
    assert decided.decided_by == owner


def test_a_reversal_is_not_for_who_reported_it_nor_for_the_voice_s_owner(appealed, reporter, person):
    case_id, senior = appealed.statement.case_id, person(role="senior")
    with pytest.raises(errors.OwnCase):
        reversals.reverse_as_senior(actor=Actor.of(reporter), case_id=case_id, reason="x", interested=())
    with pytest.raises(errors.OwnCase):
        reversals.reverse_as_senior(actor=Actor.of(senior), case_id=case_id, reason="x", interested={senior.id})
    assert (
        reversals.reverse_as_senior(actor=Actor.of(senior), case_id=case_id, reason="x", interested=()).reverses_id
        == case_id
    )


def test_a_note_is_left_by_nobody_with_a_stake(person):
    case, owner = hold(person()), person(role="moderator")
    with pytest.raises(errors.OwnCase):
        views_log.note(actor=Actor.of(owner), case_id=case.id, text="Let it through.", interested={owner.id})
    assert not Note.objects.exists()


def test_a_golden_case_is_not_made_by_who_has_a_stake_in_it(person, reporter):
    case = hold(reporter)
    settled(person(role="moderator"), case, "refuse")
    with pytest.raises(errors.OwnCase):
        quality.make_golden(actor=Actor.of(reporter), case_id=case.id, expected="allow", interested=())
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
    assert quality.take(actor=Actor.of(owner), stakes=nobody) is not None


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


def judging():
    """Every function of the room that is told who has a stake, by its name."""
    for module in pkgutil.iter_modules(safety.__path__, "safety."):
        for name, found in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            if found.__module__ == module.name and not name.startswith("_"):
                for parameter in inspect.signature(found).parameters.values():
                    if parameter.name in ("interested", "stakes"):
                        yield f"{module.name.removeprefix('safety.')}.{name}", parameter


def test_no_service_takes_it_for_granted_that_nobody_has_a_stake():
    """A caller who forgets to say is stopped, rather than letting everybody decide."""
    assert {name for name, _ in judging()} >= JUDGING
    assert [name for name, parameter in judging() if parameter.default is not inspect.Parameter.empty] == []


@pytest.mark.parametrize(
    ("service", "fields"),
    [
        (services.claim_case, {}),
        (services.rule, {"decision": "allow", "reason": "x", "clause": "y"}),
        (services.decide_case, {"decision": "allow", "reason": "x", "clause": "y"}),
    ],
)
def test_a_forgotten_stake_decides_nothing(person, service, fields):
    moderator, case = person(role="moderator"), hold(person())
    if fields:
        services.claim_case(actor=Actor.of(moderator), case_id=case.id, interested=nobody())
    before = Case.objects.values().get()
    with pytest.raises(TypeError, match="interested"):
        service(actor=Actor.of(moderator), case_id=case.id, **fields)
    assert Case.objects.values().get() == before
