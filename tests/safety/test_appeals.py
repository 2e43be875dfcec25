"""Statements of reasons, appeals, strikes."""

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from foundation import clock
from foundation.audit.models import Leaf
from foundation.errors import NotAllowed, NotFound
from foundation.identity.actors import Actor
from safety import appeals, errors, reversals, selectors, statements, strikes
from safety.models import Appeal, Case, Restriction, Statement, Strike
from tests.safety.desk import approved, hold, nobody, reported, settled

pytestmark = pytest.mark.django_db
FACTS = "The text asks a grandmother for money at once."


@pytest.fixture
def told(person):
    """A customer with a refused text, its statement, and who decided."""
    customer, moderator = person(), person(role="moderator")
    settled(moderator, hold(customer), "refuse", reason=FACTS)
    return customer, Statement.objects.get(), moderator


def appeal(told, text="It is a school play."):
    customer, statement, _ = told
    return appeals.appeal(actor=Actor.of(customer), statement_id=statement.id, text=text)


# -- statements -------------------------------------------------------------------------------------------------------
def test_a_statement_holds_the_fields_of_article_17_and_says_them_plainly(told):
    customer, statement, _ = told
    (mine,) = statements.statements_of(actor=Actor.of(customer))
    assert mine == statement
    assert {"decision", "restriction", "scope", "from", "until", "facts", "source", "automated_detection",
            "automated_decision", "ground", "clause"} <= statement.facts.keys()  # fmt: skip
    assert (statement.facts["automated_detection"], statement.facts["automated_decision"]) == (True, False)
    english, chinese = (" ".join(statements.words(statement, language=one)) for one in ("en", "zh"))
    for words in (english, chinese):
        assert FACTS in words
        assert "fraud.family-emergency" in words
        assert statement.appeal_until.date().isoformat() in words
        assert "{" not in words
    assert "appeal here" in english
    assert "申诉" in chinese


@pytest.mark.parametrize(
    ("kind", "decision"),
    [("person", "restrict"), ("voice", "restrict"), ("output", "restrict"), ("licence", "restrict"),
     ("voice", "destroy"), ("person", "ban")],
)  # fmt: skip
def test_every_decision_against_somebody_has_words(person, kind, decision):
    about = person()
    ref = about.id if kind == "person" else uuid.uuid4()
    case = reported(person(), kind=kind, ref=ref)
    settled(person(role="moderator"), case, decision, about=about.id, senior=person(role="senior")
            if decision in ("destroy", "ban") or kind == "licence" else None)  # fmt: skip
    statement = Statement.objects.get()
    assert statement.person == about
    for language in ("en", "zh"):
        assert all(statements.words(statement, language=language))


def test_no_statement_for_a_decision_that_takes_nothing(person):
    settled(person(role="moderator"), hold(person()), "allow")
    settled(person(role="moderator"), reported(person()), "dismiss")
    assert not Statement.objects.exists()


def test_a_statement_is_the_persons_own(told, person):
    customer, statement, moderator = told
    for other in (person(), moderator):
        with pytest.raises(NotFound):
            statements.statement_of(actor=Actor.of(other), statement_id=statement.id)
        with pytest.raises(NotFound):
            appeals.appeal(actor=Actor.of(other), statement_id=statement.id, text="x")
    assert not Appeal.objects.exists()
    assert statements.statement_of(actor=Actor.of(customer), statement_id=statement.id).read_at is not None


# -- appeals ----------------------------------------------------------------------------------------------------------
def test_an_appeal_that_succeeds_reverses_the_decision(told, person):
    customer = told[0]
    made = appeal(told)
    assert made.due_at - made.opened_at == appeals.ANSWER_WITHIN
    judge = Actor.of(person(role="moderator"))
    assert list(appeals.queue(actor=judge)) == [made]
    appeals.say(actor=judge, appeal_id=made.id, text="Which school?", stakes=nobody)
    appeals.say(actor=Actor.of(customer), appeal_id=made.id, text="The one by the river.", stakes=nobody)
    decided = appeals.decide(
        actor=judge, appeal_id=made.id, outcome="overturned", reason="A play, as the thread shows.", stakes=nobody
    )
    assert (decided.state, decided.outcome) == ("decided", "overturned")
    assert [one.from_desk for one in made.messages.order_by("created_at")] == [False, True, False, True]
    assert approved(customer) is not None
    assert Strike.objects.get().removed_at is not None
    with pytest.raises(errors.AppealOver):
        appeals.decide(actor=judge, appeal_id=made.id, outcome="upheld", reason="x", stakes=nobody)
    with pytest.raises(errors.AppealOver):
        appeals.say(actor=Actor.of(customer), appeal_id=made.id, text="One more thing.", stakes=nobody)


def test_an_appeal_that_fails_leaves_the_decision(told, person):
    made = appeal(told)
    appeals.decide(
        actor=Actor.of(person(role="moderator")), appeal_id=made.id, outcome="upheld", reason="Fraud.", stakes=nobody
    )
    assert approved(told[0]) is None
    assert Strike.objects.get().removed_at is None
    assert Case.objects.count() == 1


def test_an_appeal_never_goes_to_who_decided(told, person):
    made, moderator = appeal(told), told[2]
    actor = Actor.of(moderator)
    assert list(appeals.queue(actor=actor)) == []
    for act in (
        lambda: appeals.decide(actor=actor, appeal_id=made.id, outcome="upheld", reason="x", stakes=nobody),
        lambda: appeals.say(actor=actor, appeal_id=made.id, text="x", stakes=nobody),
    ):
        with pytest.raises(errors.OwnCase):
            act()
    with pytest.raises(IntegrityError, match="appeal_by_another"), transaction.atomic():
        Appeal.objects.update(
            state="decided", outcome="upheld", reason="x", decided_by=moderator, decided_at=clock.now()
        )


def test_an_appeal_against_two_goes_to_a_third(person):
    customer, moderator, senior = person(), person(role="moderator"), person(role="senior")
    settled(moderator, hold(customer), "ban", senior=senior)
    made = appeals.appeal(actor=Actor.of(customer), statement_id=Statement.objects.get().id, text="No.")
    with pytest.raises(errors.OwnCase):
        appeals.decide(actor=Actor.of(senior), appeal_id=made.id, outcome="upheld", reason="x", stakes=nobody)
    appeals.decide(
        actor=Actor.of(person(role="senior")),
        appeal_id=made.id,
        outcome="overturned",
        reason="Mistaken.",
        stakes=nobody,
    )
    assert selectors.active_restrictions(subjects=[("person", str(customer.id))]) == []


def test_one_appeal_in_time(told):
    made = appeal(told)
    with pytest.raises(errors.AppealMade):
        appeal(told)
    assert made.messages.count() == 1


def test_after_six_months_there_is_no_appeal(told):
    Statement.objects.update(appeal_until=clock.now())
    with pytest.raises(errors.AppealOver):
        appeal(told)
    assert not Appeal.objects.exists()


@pytest.mark.parametrize("role", ["member", "auditor", "operator"])
def test_nobody_else_reads_or_decides_an_appeal(told, person, role):
    made, actor = appeal(told), Actor.of(person(role=role))
    for act in (
        lambda: appeals.say(actor=actor, appeal_id=made.id, text="x", stakes=nobody),
        lambda: appeals.appeal_for(actor=actor, appeal_id=made.id, stakes=nobody),
    ):
        with pytest.raises(NotFound):
            act()
    for act in (
        lambda: appeals.queue(actor=actor),
        lambda: appeals.decide(actor=actor, appeal_id=made.id, outcome="overturned", reason="x", stakes=nobody),
    ):
        with pytest.raises(NotAllowed):
            act()
    made.refresh_from_db()
    assert made.state == "open"


def test_no_leaf_holds_the_words_of_an_appeal(told):
    appeal(told, text="My grandmother Ottilie laughed.")
    assert b"Ottilie" not in b"".join(bytes(leaf.body) for leaf in Leaf.objects.all())


# -- strikes ----------------------------------------------------------------------------------------------------------
def test_strikes_add_up_to_a_block_and_expire(person):
    customer, moderator = person(), person(role="moderator")
    for number in range(3):
        assert selectors.active_restrictions(subjects=[("person", str(customer.id))]) == []
        text = f"Grandma, I had an accident, please send the money today and do not tell anyone. {number}"
        settled(moderator, hold(customer, text=text), "refuse")
    assert strikes.standing(customer.id) == 6
    (block,) = selectors.active_restrictions(subjects=[("person", str(customer.id))])
    assert (block.effect, block.clause, block.made_by_id) == ("block", strikes.CLAUSE, None)
    Restriction.objects.update(expires_at=clock.now())
    assert selectors.active_restrictions(subjects=[("person", str(customer.id))]) == []
    Strike.objects.update(given_at=clock.now() - timedelta(days=91), expires_at=clock.now() - timedelta(days=1))
    assert strikes.standing(customer.id) == 0


def test_a_reversed_decision_takes_its_points_along(person):
    customer = person()
    case = hold(customer)
    settled(person(role="moderator"), case, "refuse")
    assert strikes.standing(customer.id) == 2
    reversals.reverse_as_senior(actor=Actor.of(person(role="senior")), case_id=case.id, reason="A play.", interested=())
    assert strikes.standing(customer.id) == 0


def struck(person, times=3):
    """A person with so many refused texts of two points each, and the cases, oldest first."""
    customer, moderator = person(), person(role="moderator")
    cases = []
    for number in range(times):
        text = f"Grandma, I had an accident, please send the money today and do not tell anyone. {number}"
        cases.append(hold(customer, text=text))
        settled(moderator, cases[-1], "refuse")
    return customer, cases


def test_the_person_is_told_what_counts_against_them_and_that_it_blocks_them(person):
    customer, cases = struck(person)
    first, last = (Statement.objects.get(case=case) for case in (cases[0], cases[-1]))
    (block,) = selectors.active_restrictions(subjects=[("person", str(customer.id))])
    assert (first.facts["strike"], first.facts["blocked_until"]) == (2, None)
    assert last.facts["blocked_until"] == block.expires_at.isoformat()
    for language, by_itself in (("en", "by itself"), ("zh", "自动")):
        said = " ".join(statements.words(last, language=language))
        assert by_itself in said
        assert block.expires_at.date().isoformat() in said
        assert by_itself not in " ".join(statements.words(first, language=language))


def test_a_decision_without_points_says_none(person):
    about = person()
    settled(person(role="moderator"), reported(person(), kind="person", ref=about.id), "dismiss", about=about.id)
    assert not Statement.objects.exists()
    customer, _ = struck(person, times=1)
    old = Statement.objects.get(person=customer)
    del old.facts["strike"], old.facts["blocked_until"]  # as they were made before
    assert len(statements.words(old, language="en")) == len(statements.words(old, language="zh")) == 6


def test_any_reversal_that_brings_the_points_under_the_limit_ends_their_block(person):
    """The block hangs on the last decision; the wrong one may have been the first."""
    customer, cases = struck(person)
    reversals.reverse_as_senior(
        actor=Actor.of(person(role="senior")), case_id=cases[0].id, reason="A play.", interested=()
    )
    assert strikes.standing(customer.id) == 4
    assert selectors.active_restrictions(subjects=[("person", str(customer.id))]) == []
    assert Restriction.objects.get(clause=strikes.CLAUSE).state == "lifted"


def test_a_block_that_a_moderator_made_outlasts_the_points(person):
    customer, cases = struck(person, times=1)
    settled(person(role="moderator"), reported(person(), kind="person", ref=customer.id), "restrict", about=customer.id)
    reversals.reverse_as_senior(
        actor=Actor.of(person(role="senior")), case_id=cases[0].id, reason="A play.", interested=()
    )
    (block,) = selectors.active_restrictions(subjects=[("person", str(customer.id))])
    assert block.clause != strikes.CLAUSE
