"""Decisions whose effects wait: undo, the second person, the settling, the reversal."""

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from foundation import clock
from foundation.errors import NotAllowed, NotFound, Refused
from foundation.identity.actors import Actor
from safety import errors, reversals, rulings, selectors, services
from safety.models import Case, Restriction, Ruling, Statement, Strike
from tests.safety.desk import DIGEST, VOICE, approved, decide, hold, kinds, nobody, reported, rule, settled
from tests.safety.test_races import together

pytestmark = pytest.mark.django_db


def forbidden(digest=DIGEST):
    return selectors.active_restrictions(subjects=[("text", digest)])


# -- the window -------------------------------------------------------------------------------------------------------
def test_nothing_comes_of_a_ruling_before_its_time(person):
    customer, moderator = person(), person(role="moderator")
    case = hold(customer)
    ruling = rule(moderator, case, "restrict")
    assert ruling.due_at - ruling.made_at == timedelta(seconds=60)
    clock.move_forward(timedelta(seconds=59))
    assert rulings.settle(ruling_id=ruling.id).state == "waiting"
    assert rulings.due() == []
    assert forbidden() == []
    assert not Statement.objects.exists()
    case.refresh_from_db()
    assert (case.state, case.decision) == ("pending", "")
    clock.move_forward(timedelta(seconds=2))
    assert rulings.due() == [ruling.id]
    assert rulings.settle(ruling_id=ruling.id).state == "settled"
    case.refresh_from_db()
    assert (case.state, case.decision, case.decided_by_id) == ("decided", "restrict", moderator.id)
    assert len(forbidden()) == 1
    assert rulings.settle(ruling_id=ruling.id).state == "settled"
    assert (Restriction.objects.count(), Statement.objects.count(), Strike.objects.count()) == (1, 1, 1)
    assert kinds().count("case.decided") == 1


def test_undone_in_time_nothing_has_happened_and_the_case_is_ones_own_again(person):
    moderator = person(role="moderator")
    case = hold(person())
    ruling = rule(moderator, case, "restrict")
    undone = services.undo(actor=Actor.of(moderator), case_id=case.id)
    assert (undone.state, undone.claimed_by_id) == ("claimed", moderator.id)
    clock.move_forward(timedelta(seconds=61))
    assert rulings.settle(ruling_id=ruling.id).state == "undone"
    assert not Restriction.objects.exists()
    assert [one for one in kinds() if one.startswith("ruling.")] == ["ruling.made", "ruling.undone"]
    second = services.rule(
        actor=Actor.of(moderator),
        case_id=case.id,
        decision="allow",
        reason="A play.",
        clause="policy.context",
        interested=(),
    )
    assert (second.state, Ruling.objects.count()) == ("waiting", 2)


def test_too_late_or_somebody_elses_is_not_undone(person):
    moderator, other = person(role="moderator"), person(role="moderator")
    case = hold(person())
    with pytest.raises(NotFound):
        services.undo(actor=Actor.of(moderator), case_id=case.id)
    rule(moderator, case, "allow")
    with pytest.raises(NotFound):
        services.undo(actor=Actor.of(other), case_id=case.id)
    clock.move_forward(timedelta(seconds=61))
    with pytest.raises(errors.TooLateToUndo):
        services.undo(actor=Actor.of(moderator), case_id=case.id)
    rulings.settle(ruling_id=Ruling.objects.get().id)
    with pytest.raises(errors.TooLateToUndo):
        services.undo(actor=Actor.of(moderator), case_id=case.id)
    assert Ruling.objects.get().state == "settled"


def test_a_waiting_ruling_is_no_approval_and_no_refusal(person):
    customer = person()
    case = hold(customer)
    rule(person(role="moderator"), case, "refuse")
    assert approved(customer) is None
    assert hold(customer) == case


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_once_one_decides(person):
    case = hold(person())
    first, second = person(role="moderator"), person(role="moderator")
    services.claim_case(actor=Actor.of(first), case_id=case.id, interested=())

    def ruled(actor, decision):
        return services.rule(actor=actor, case_id=case.id, decision=decision, reason="x", clause="y", interested=())

    calls = [lambda: ruled(Actor.of(first), "allow"), lambda: ruled(Actor.of(first), "refuse")]
    won, lost = together([*calls, lambda: ruled(Actor.of(second), "refuse")])
    assert len(won) == 1
    assert {type(error) for error in lost} <= {errors.CaseDecided, errors.CaseNotClaimed}
    assert Ruling.objects.get() == won[0]


def test_bulk_needs_the_right_number_and_is_all_or_nothing(person):
    moderator = person(role="moderator")
    actor = Actor.of(moderator)
    cases = [hold(person()) for _ in range(3)]
    ids = [case.id for case in cases]
    fields = {"decision": "refuse", "reason": "The same fraud.", "clause": "fraud.family-emergency"}
    for wrong in (2, 4, 0, -1):
        with pytest.raises(errors.CountMismatch):
            services.rule_many(actor=actor, case_ids=ids, count=wrong, **fields, stakes=nobody)
    services.claim_case(actor=Actor.of(person(role="moderator")), case_id=ids[2], interested=())
    with pytest.raises(errors.CaseClaimed):
        services.rule_many(actor=actor, case_ids=ids, count=3, **fields, stakes=nobody)
    with pytest.raises(NotFound):
        services.rule_many(actor=actor, case_ids=[*ids[:2], uuid.uuid4()], count=3, **fields, stakes=nobody)
    assert not Ruling.objects.exists()
    assert len(services.rule_many(actor=actor, case_ids=ids[:2], count=2, **fields, stakes=nobody)) == 2
    with pytest.raises(errors.NeedsSecond):
        services.rule_many(actor=actor, case_ids=ids[2:], count=1, **{**fields, "decision": "ban"}, stakes=nobody)


# -- the second person ------------------------------------------------------------------------------------------------
def test_nobody_bans_alone(person):
    customer, moderator, senior = person(), person(role="moderator"), person(role="senior")
    case = hold(customer)
    ruling = rule(moderator, case, "ban")
    assert (ruling.state, ruling.due_at) == ("second", None)
    clock.move_forward(timedelta(hours=5))
    assert rulings.settle(ruling_id=ruling.id).state == "second"
    with pytest.raises(NotAllowed):
        services.second(actor=Actor.of(person(role="moderator")), case_id=case.id, agree=True, interested=())
    agreed = services.second(actor=Actor.of(senior), case_id=case.id, agree=True, interested=())
    assert agreed.state == "waiting"
    assert not Restriction.objects.exists()
    clock.move_forward(timedelta(seconds=61))
    rulings.settle(ruling_id=ruling.id)
    (ban,) = selectors.active_restrictions(subjects=[("person", str(customer.id))])
    assert ban.effect == "ban"
    with pytest.raises(Refused, match="two people"):
        services.lift(actor=Actor.of(senior), restriction_id=ban.id, reason="x", interested=())


def test_a_senior_is_not_their_own_second_person(person):
    senior = person(role="senior")
    case = reported(person())
    rule(senior, case, "destroy")
    with pytest.raises(errors.NotTheSecond):
        services.second(actor=Actor.of(senior), case_id=case.id, agree=True, interested=())
    with pytest.raises(errors.OwnCase):
        services.second(actor=Actor.of(other := person(role="senior")), case_id=case.id, agree=True,
                        interested={other.id})  # fmt: skip
    with pytest.raises(IntegrityError, match="second_is_another"), transaction.atomic():
        Ruling.objects.update(second_by=senior)
    with pytest.raises(IntegrityError, match="irreversible_has_second"), transaction.atomic():
        Ruling.objects.update(state="settled", due_at=clock.now())


def test_declined_by_the_second_person_the_case_is_open_again(person):
    case = reported(person())
    rule(person(role="moderator"), case, "destroy")
    services.second(actor=Actor.of(person(role="senior")), case_id=case.id, agree=False, interested=())
    case.refresh_from_db()
    assert (case.state, case.claimed_by_id, Ruling.objects.get().state) == ("open", None, "declined")
    assert not Restriction.objects.exists()


def test_the_second_person_may_undo_too(person):
    moderator, senior = person(role="moderator"), person(role="senior")
    case = reported(person())
    rule(moderator, case, "destroy")
    services.second(actor=Actor.of(senior), case_id=case.id, agree=True, interested=())
    assert services.undo(actor=Actor.of(senior), case_id=case.id).claimed_by_id == senior.id


def test_the_immediate_decision_knows_nothing_irreversible(person):
    case = reported(person())
    with pytest.raises(errors.NeedsSecond):
        decide(person(role="moderator"), case, "destroy")
    assert not Restriction.objects.exists()


@pytest.mark.parametrize(("kind", "decision"), [("output", "destroy"), ("voice", "ban"), ("output", "ban")])
def test_a_decision_fits_its_subject(person, kind, decision):
    case = reported(person(), kind=kind, ref=uuid.uuid4())
    with pytest.raises(errors.WrongDecision):
        rule(person(role="moderator"), case, decision)


# -- reversal ---------------------------------------------------------------------------------------------------------
def test_a_reversal_is_a_new_decision_and_takes_all_of_the_old_one_back(person):
    customer = person()
    case = hold(customer)
    settled(person(role="moderator"), case, "restrict")
    assert forbidden()
    new = reversals.reverse_as_senior(
        actor=Actor.of(person(role="senior")), case_id=case.id, reason="A school play.", interested=()
    )
    assert (new.reverses_id, new.decision, new.state) == (case.id, "allow", "decided")
    assert forbidden() == []
    assert approved(customer) == new
    assert Strike.objects.get().removed_at is not None
    case.refresh_from_db()
    assert case.decision == "restrict"
    with pytest.raises(errors.NotReversible):
        reversals.reverse_as_senior(
            actor=Actor.of(person(role="senior")), case_id=case.id, reason="Again.", interested=()
        )
    assert kinds().count("case.reversed") == 1


def test_who_may_not_reverse(person):
    senior = person(role="senior")
    case = hold(person())
    settled(senior, case, "refuse")
    with pytest.raises(errors.OwnCase):
        reversals.reverse_as_senior(actor=Actor.of(senior), case_id=case.id, reason="x", interested=())
    with pytest.raises(NotAllowed):
        reversals.reverse_as_senior(
            actor=Actor.of(person(role="moderator")), case_id=case.id, reason="x", interested=()
        )
    allowed = hold(person())
    settled(person(role="moderator"), allowed, "allow")
    with pytest.raises(errors.NotReversible):
        reversals.reverse_as_senior(actor=Actor.of(senior), case_id=allowed.id, reason="x", interested=())
    assert Case.objects.filter(reverses__isnull=False).count() == 0


# -- what other rooms find --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["trace", "licence_dispute", "output_drift", "notice"])
def test_what_another_room_finds_is_one_case_while_it_is_undecided(person, kind):
    fields = {"kind": kind, "severity": 2, "subject_kind": "output", "rule": "mark.transplanted", "clause": "mark.any"}
    ref = str(uuid.uuid4())
    system = Actor.system("test")
    first = services.open_case(actor=system, subject_ref=ref, text="A mark on other sound.", **fields)
    again = services.open_case(actor=system, subject_ref=ref, text="Again.", **fields)
    assert first == again
    decide(person(role="moderator"), first, "restrict")
    assert services.open_case(actor=system, subject_ref=ref, **fields) != first
    (found,) = selectors.active_restrictions(subjects=[("output", ref)])
    assert found.effect == "quarantine"


def test_a_report_on_a_licence_is_a_dispute_with_a_queue_of_its_own(person):
    case = reported(person(), kind="licence", ref=uuid.uuid4())
    assert case.kind == "licence_dispute"
    moderator = person(role="moderator")
    with pytest.raises(errors.NeedsSecond):
        decide(moderator, case, "restrict")
    settled(moderator, case, "restrict", senior=person(role="senior"))
    assert Restriction.objects.get().effect == "end"
    with pytest.raises(ValueError, match="not opened here"):
        services.open_case(actor=Actor.system("x"), kind="report", severity=1, subject_kind="voice", subject_ref=VOICE,
                           rule="x", clause="y")  # fmt: skip
