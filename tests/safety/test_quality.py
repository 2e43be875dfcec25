"""Golden cases, blind second reviews, kappa, the figures and their export."""

import csv
import io
import json

import pytest

from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor
from safety import errors, metrics, quality
from safety.models import Case, Check
from tests.safety.desk import decide, hold, kinds, nobody, settled

pytestmark = pytest.mark.django_db


@pytest.fixture
def always(monkeypatch):
    """Every decision gets a second review."""
    monkeypatch.setattr(quality, "SHARE", 1)


def test_kappa_agrees_with_the_textbook():
    # Cohen's own kind of table: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no gives 0.4.
    pairs = {("a", "a"): 20, ("a", "b"): 5, ("b", "a"): 10, ("b", "b"): 15}
    assert quality.kappa(pairs) == pytest.approx(0.4)
    assert quality.kappa({("a", "a"): 1, ("b", "b"): 1}) == 1
    assert quality.kappa({("a", "b"): 1, ("b", "a"): 1}) == -1
    assert quality.kappa({}) is None
    assert quality.kappa({("a", "a"): 5}) is None


def test_a_second_review_goes_to_another_and_changes_nothing(person, always):
    first, second = person(role="moderator"), person(role="moderator")
    case = hold(person())
    settled(first, case, "refuse")
    case.refresh_from_db()
    made = quality.sample(case)
    assert quality.sample(case) == made
    assert quality.take(actor=Actor.of(first), stakes=nobody) is None
    taken = quality.take(actor=Actor.of(second), stakes=nobody)
    assert (taken, taken.reviewer_id) == (made, second.id)
    assert quality.take(actor=Actor.of(second), stakes=nobody) == taken
    assert quality.take(actor=Actor.of(person(role="moderator")), stakes=nobody) is None
    quality.decide_check(actor=Actor.of(second), check_id=taken.id, decision="allow", clause="policy.context")
    case.refresh_from_db()
    assert case.decision == "refuse"
    assert quality.agreement()["second"] == {"pairs": 1, "agreed": 0.0, "kappa": 0.0}
    with pytest.raises(errors.CaseDecided):
        quality.decide_check(actor=Actor.of(second), check_id=taken.id, decision="allow", clause="x")
    assert "check.decided" in kinds()


def test_about_one_in_twenty_is_sampled_and_nobody_chooses_which(person):
    moderator, customer = person(role="moderator"), person()
    fields = {"kind": "policy_hold", "severity": 1, "subject_kind": "text", "text": "x", "state": "decided"}
    fields |= {"decision": "allow", "decision_reason": "x", "decision_clause": "y", "decided_by": moderator}
    moment = hold(customer).opened_at
    fields |= {"claimed_by": moderator, "claimed_until": moment, "first_claimed_at": moment, "decided_at": moment}
    made = Case.objects.bulk_create(Case(subject_ref=f"{n:064x}", requester=customer, **fields) for n in range(600))
    assert 10 <= sum(quality.sample(case) is not None for case in made) <= 60


def test_a_golden_case_is_met_once_by_each(person):
    senior, moderator = person(role="senior"), person(role="moderator")
    case = hold(person())
    settled(person(role="moderator"), case, "refuse")
    quality.make_golden(actor=Actor.of(senior), case_id=case.id, expected="refuse", interested=())
    assert quality.take(actor=Actor.of(senior), stakes=nobody) is None
    taken = quality.take(actor=Actor.of(moderator), stakes=nobody)
    assert (taken.kind, taken.case_id) == ("golden", case.id)
    quality.decide_check(actor=Actor.of(moderator), check_id=taken.id, decision="refuse", clause="x")
    assert quality.take(actor=Actor.of(moderator), stakes=nobody) is None
    assert quality.agreement()["golden"]["agreed"] == 1.0
    assert Check.objects.count() == 1


def test_who_may_not_make_golden_cases_or_decide_checks(person, always):
    case = hold(person())
    settled(person(role="moderator"), case, "refuse")
    with pytest.raises(NotAllowed):
        quality.make_golden(actor=Actor.of(person(role="moderator")), case_id=case.id, expected="refuse", interested=())
    with pytest.raises(errors.WrongDecision):
        quality.make_golden(actor=Actor.of(person(role="senior")), case_id=case.id, expected="dismiss", interested=())
    with pytest.raises(errors.NotReversible):
        quality.make_golden(
            actor=Actor.of(person(role="senior")), case_id=hold(person()).id, expected="refuse", interested=()
        )
    case.refresh_from_db()
    made = quality.sample(case)
    with pytest.raises(NotFound):
        quality.decide_check(actor=Actor.of(person(role="moderator")), check_id=made.id, decision="allow", clause="x")
    for role in ("member", "auditor", "operator"):
        with pytest.raises(NotAllowed):
            quality.take(actor=Actor.of(person(role=role)), stakes=nobody)


# -- figures ----------------------------------------------------------------------------------------------------------
def test_the_figures_count_what_happened(person):
    moderator, senior = person(role="moderator"), person(role="senior")
    wrong, right = hold(person()), hold(person())
    settled(moderator, wrong, "refuse")
    settled(moderator, right, "refuse")
    hold(person())
    from safety import reversals

    reversals.reverse_as_senior(actor=Actor.of(senior), case_id=wrong.id, reason="A play.", interested=())
    found = metrics.overview(actor=Actor.of(person(role="auditor")), days=7)
    assert (found["decided"], found["in_time"], found["waiting"]) == (2, 1.0, {"policy_hold": 1})
    assert found["by_decision"] == {"refuse": 2}
    assert [count for _, count in found["by_day"]][-1] == 2
    (rule,) = found["rules"]
    assert (rule["decided"], rule["right"], rule["reversed"], rule["precision"]) == (2, 1, 1, 0.5)
    assert found["reviewers"][0]["reviewer"] == metrics.pseudonym(moderator.id)
    assert str(moderator.id) not in json.dumps(found, default=str)


def test_the_export_names_no_reviewer_and_harms_no_spreadsheet(person):
    moderator = person(role="moderator")
    decide(moderator, hold(person()), "refuse", clause="=1+1")
    text = metrics.as_csv(actor=Actor.of(person(role="operator")))
    (row,) = csv.DictReader(io.StringIO(text))
    assert tuple(row) == metrics.COLUMNS
    assert (row["decision"], row["reviewer"]) == ("refuse", metrics.pseudonym(moderator.id))
    assert row["decision_clause"] == "'=1+1"
    assert str(moderator.id) not in text
    assert moderator.display_name not in text
    assert "Grandma" not in text
    assert kinds()[-1] == "desk.exported"


def test_members_read_no_figures(person):
    actor = Actor.of(person())
    for act in (metrics.overview, metrics.as_csv, metrics.as_document):
        with pytest.raises(NotAllowed):
            act(actor=actor)
    assert "desk.exported" not in kinds()
