"""Holds, reports, claims and decisions on a real database."""

import json
import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from foundation import clock
from foundation.audit.models import Leaf
from foundation.audit.selectors import may_see
from foundation.errors import NotAllowed, NotFound, Refused
from foundation.identity.actors import Actor
from safety import errors, selectors, services
from safety.models import Case, Report, Restriction
from safety.policy import evaluate
from safety.services import CLAIM_LEASE
from tests.safety.desk import DIGEST, SYSTEM, TEXT, VOICE, approved, decide, hold, kinds

pytestmark = pytest.mark.django_db


# -- holds ------------------------------------------------------------------------------------------------------------
def test_an_allowed_hold_approves_exactly_this_text_voice_and_person(person):
    customer, other = person(), person()
    case = hold(customer)
    assert approved(customer) is None
    decide(person(role="moderator"), case, "allow")
    assert approved(customer) == case
    assert approved(other) is None
    assert approved(customer, voice=str(uuid.uuid4())) is None
    assert approved(customer, text=TEXT + " ") is None


@pytest.mark.parametrize("decision", ["refuse", "restrict"])
def test_a_refused_hold_approves_nothing_and_is_not_reopened_by_asking_again(person, decision):
    customer = person()
    case = hold(customer)
    decide(person(role="moderator"), case, decision)
    assert approved(customer) is None
    with pytest.raises(errors.TextRefusedBefore):
        hold(customer)
    assert Case.objects.count() == 1


def test_asking_twice_while_undecided_joins_the_same_case(person):
    customer = person()
    assert hold(customer) == hold(customer)
    assert hold(person()) != hold(customer)
    assert kinds().count("case.opened") == 2


def test_only_a_held_verdict_opens_a_case(person):
    customer = person()
    with pytest.raises(ValueError, match="held"):
        services.hold_text(
            requester_id=customer.id,
            voice_ref=VOICE,
            text="Hello.",
            text_digest=DIGEST,
            verdict=evaluate("Hello.", language="en"),
            actor=SYSTEM,
        )


def test_each_step_is_a_leaf_and_no_leaf_holds_the_words(person):
    customer, moderator = person(), person(role="moderator")
    case = decide(moderator, hold(customer), "allow", reason="Their own grandmother, a birthday play.")
    assert [kind for kind in kinds() if kind.startswith("case.")] == ["case.opened", "case.claimed", "case.decided"]
    bodies = b"".join(bytes(leaf.body) for leaf in Leaf.objects.all())
    assert b"Grandma" not in bodies
    assert b"birthday" not in bodies
    decided = Leaf.objects.get(index=case.leaf_index)
    body = json.loads(bytes(decided.body))
    assert (body["data"]["decision"], body["rehearsal"]) == ("allow", True)
    assert may_see(Actor.of(moderator), body)
    assert case.decision_salt not in bodies.decode()


def test_a_hold_that_is_rolled_back_leaves_neither_case_nor_leaf(person):
    customer = person()
    before = Leaf.objects.count()

    def hold_and_fail():
        with transaction.atomic():
            hold(customer)
            raise RuntimeError("later trouble")

    with pytest.raises(RuntimeError, match="later trouble"):
        hold_and_fail()
    assert (Case.objects.count(), Leaf.objects.count()) == (0, before)


# -- claiming and deciding --------------------------------------------------------------------------------------------
def test_two_moderators_never_hold_one_case(person):
    first, second = person(role="moderator"), person(role="moderator")
    case = hold(person())
    services.claim_case(actor=Actor.of(first), case_id=case.id, interested=())
    with pytest.raises(errors.CaseClaimed):
        services.claim_case(actor=Actor.of(second), case_id=case.id, interested=())
    with pytest.raises(errors.CaseNotClaimed):
        services.decide_case(
            actor=Actor.of(second), case_id=case.id, decision="allow", reason="x", clause="y", interested=()
        )


def test_a_lapsed_claim_can_be_taken_over_and_no_longer_decides(person):
    first, second = person(role="moderator"), person(role="moderator")
    case = hold(person())
    services.claim_case(actor=Actor.of(first), case_id=case.id, interested=())
    clock.move_forward(CLAIM_LEASE + timedelta(seconds=1))
    with pytest.raises(errors.CaseNotClaimed):
        services.decide_case(
            actor=Actor.of(first), case_id=case.id, decision="allow", reason="x", clause="y", interested=()
        )
    taken = services.claim_case(actor=Actor.of(second), case_id=case.id, interested=())
    assert taken.claimed_by_id == second.id
    with pytest.raises(errors.CaseClaimed):
        services.claim_case(actor=Actor.of(first), case_id=case.id, interested=())


def test_renewing_a_claim_prolongs_it_and_keeps_the_first_moment(person):
    moderator = person(role="moderator")
    case = services.claim_case(actor=Actor.of(moderator), case_id=hold(person()).id, interested=())
    clock.move_forward(CLAIM_LEASE / 2)
    renewed = services.claim_case(actor=Actor.of(moderator), case_id=case.id, interested=())
    assert renewed.claimed_until > case.claimed_until
    assert renewed.first_claimed_at == case.first_claimed_at
    assert kinds().count("case.claimed") == 1


def test_a_case_is_decided_once(person):
    moderator = person(role="moderator")
    case = decide(moderator, hold(person()), "allow")
    with pytest.raises(errors.CaseDecided):
        services.decide_case(
            actor=Actor.of(moderator), case_id=case.id, decision="refuse", reason="x", clause="y", interested=()
        )
    with pytest.raises(errors.CaseDecided):
        services.claim_case(actor=Actor.of(moderator), case_id=case.id, interested=())
    with pytest.raises(IntegrityError, match="keeps its decision"), transaction.atomic():
        Case.objects.filter(id=case.id).update(decision="refuse")


def test_an_unclaimed_case_cannot_be_decided(person):
    case = hold(person())
    with pytest.raises(errors.CaseNotClaimed):
        services.decide_case(
            actor=Actor.of(person(role="moderator")),
            case_id=case.id,
            decision="allow",
            reason="x",
            clause="y",
            interested=(),
        )
    assert Case.objects.get().state == "open"


@pytest.mark.parametrize(("reason", "clause"), [("", "y"), ("  ", "y"), ("x", ""), ("x", "\n")])
def test_a_decision_needs_a_reason_and_a_clause(person, reason, clause):
    case = hold(person())
    with pytest.raises(errors.NoReason):
        decide(person(role="moderator"), case, "allow", reason=reason, clause=clause)


@pytest.mark.parametrize("decision", ["dismiss", "maybe", ""])
def test_a_hold_knows_only_its_own_decisions(person, decision):
    with pytest.raises(errors.WrongDecision):
        decide(person(role="moderator"), hold(person()), decision)


def test_nobody_decides_on_their_own_request(person):
    moderator = person(role="moderator")
    case = hold(moderator)
    with pytest.raises(errors.OwnCase):
        services.claim_case(actor=Actor.of(moderator), case_id=case.id, interested=())
    other = person(role="moderator")
    with pytest.raises(errors.OwnCase):
        services.claim_case(actor=Actor.of(other), case_id=case.id, interested={other.id})
    with pytest.raises(IntegrityError, match="never_decided_by_requester"), transaction.atomic():
        Case.objects.filter(id=case.id).update(
            state="decided",
            decision="allow",
            decision_reason="x",
            decision_clause="y",
            decided_by=moderator,
            decided_at=clock.now(),
            claimed_by=moderator,
            claimed_until=clock.now(),
            first_claimed_at=clock.now(),
        )


@pytest.mark.parametrize("role", ["member", "auditor", "operator"])
def test_only_moderators_claim_decide_restrict_and_read(person, role):
    actor, case = Actor.of(person(role=role)), hold(person())
    attempts = [
        lambda: services.claim_case(actor=actor, case_id=case.id, interested=()),
        lambda: services.decide_case(
            actor=actor, case_id=case.id, decision="allow", reason="x", clause="y", interested=()
        ),
        lambda: services.restrict(
            actor=actor, subject_kind="voice", subject_ref=VOICE, effect="pause", reason="x", clause="y"
        ),
        lambda: services.lift(actor=actor, restriction_id=uuid.uuid4(), reason="x", interested=()),
        lambda: list(selectors.queue(actor=actor)),
        lambda: selectors.case(actor=actor, case_id=case.id),
        lambda: list(selectors.restrictions(actor=actor)),
    ]
    for attempt in attempts:
        with pytest.raises(NotAllowed):
            attempt()
    assert Case.objects.get().state == "open"
    assert not Restriction.objects.exists()


def test_a_moderators_key_without_the_scope_does_not_moderate(person):
    narrow = Actor.of(person(role="moderator"), frozenset({"report"}))
    with pytest.raises(NotAllowed):
        services.claim_case(actor=narrow, case_id=hold(person()).id, interested=())


def test_an_unknown_case_is_not_found(person):
    with pytest.raises(NotFound):
        services.claim_case(actor=Actor.of(person(role="moderator")), case_id=uuid.uuid4(), interested=())


def test_the_queue_shows_the_worst_first_and_then_the_oldest(person):
    moderator = Actor.of(person(role="moderator"))
    reported = services.report(actor=Actor.of(person()), subject_kind="voice", subject_ref=VOICE, text="Odd.").case
    foreign = hold(person(), text="おはようございます", voice=VOICE)
    older, newer = hold(person()), hold(person())
    assert list(selectors.queue(actor=moderator)) == [older, newer, reported, foreign]
    assert list(selectors.queue(actor=moderator, state="decided")) == []


# -- reports ----------------------------------------------------------------------------------------------------------
def test_reports_of_one_subject_share_a_case_while_it_is_undecided(person):
    first, second, moderator = person(), person(), person(role="moderator")
    ref = str(uuid.uuid4())
    one = services.report(actor=Actor.of(first), subject_kind="output", subject_ref=ref, text="That is me.")
    two = services.report(actor=Actor.of(second), subject_kind="output", subject_ref=ref.upper(), text="That is her.")
    again = services.report(actor=Actor.of(first), subject_kind="output", subject_ref=ref, text="Still me.")
    assert one.case_id == two.case_id
    assert again == one
    decide(moderator, one.case, "dismiss")
    later = services.report(actor=Actor.of(first), subject_kind="output", subject_ref=ref, text="Again.")
    assert later.case_id != one.case_id
    assert (Case.objects.count(), Report.objects.count()) == (2, 3)


def test_a_moderator_does_not_judge_a_report_they_made_or_that_is_about_them(person):
    moderator, reporter = person(role="moderator"), person()
    made = services.report(actor=Actor.of(moderator), subject_kind="voice", subject_ref=VOICE, text="Odd.")
    about = services.report(
        actor=Actor.of(reporter), subject_kind="person", subject_ref=str(moderator.id), text="Rude."
    )
    for report in (made, about):
        with pytest.raises(errors.OwnCase):
            services.claim_case(actor=Actor.of(moderator), case_id=report.case_id, interested=())


def test_joining_a_case_after_claiming_it_ends_the_right_to_decide_it(person):
    moderator = person(role="moderator")
    report = services.report(actor=Actor.of(person()), subject_kind="voice", subject_ref=VOICE, text="Odd.")
    services.claim_case(actor=Actor.of(moderator), case_id=report.case_id, interested=())
    services.report(actor=Actor.of(moderator), subject_kind="voice", subject_ref=VOICE, text="Me too.")
    with pytest.raises(errors.OwnCase):
        services.decide_case(
            actor=Actor.of(moderator), case_id=report.case_id, decision="dismiss", reason="x", clause="y", interested=()
        )


@pytest.mark.parametrize(
    ("kind", "ref"), [("voice", "7"), ("text", "abc"), ("text", "A" * 64), ("planet", "7"), ("person", "")]
)
def test_a_report_names_its_subject_in_a_known_form(person, kind, ref):
    with pytest.raises(errors.UnknownSubject):
        services.report(actor=Actor.of(person()), subject_kind=kind, subject_ref=ref, text="Odd.")


def test_reports_are_bounded_and_come_from_people(person):
    with pytest.raises(Refused, match="characters"):
        services.report(actor=Actor.of(person()), subject_kind="voice", subject_ref=VOICE, text="x" * 2_001)
    with pytest.raises(NotAllowed):
        services.report(actor=SYSTEM, subject_kind="voice", subject_ref=VOICE, text="x")
    assert not Case.objects.exists()
