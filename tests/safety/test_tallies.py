"""What is counted as decisions are made is what counting the cases gives."""

import importlib

import pytest
from django.db import connection

from foundation.identity.actors import Actor
from safety import metrics, reversals, tallies
from safety.models import Case, DeskTally
from tests.safety.desk import decide, hold, reported, rule, settled
from tests.safety.test_races import together


def rows():
    every = DeskTally.objects.values_list(
        "day", "kind", "rule", "decision", "reviewer_id", "decided", "in_time", "timed", "seconds", "reversed"
    )
    return sorted(every, key=str)


@pytest.fixture
def some_decisions(person):
    first, second, senior = person(role="moderator"), person(role="moderator"), person(role="senior")
    wrong = hold(person())
    settled(first, wrong, "refuse")
    settled(first, hold(person()), "allow")
    settled(second, reported(person()), "restrict")
    decide(second, hold(person()), "refuse")
    Case.objects.filter(id=(late := hold(person())).id).update(due_at=late.opened_at, handling_seconds=7)
    settled(second, late, "refuse")
    rule(first, hold(person()), "refuse")  # still may be undone
    hold(person())
    reversals.reverse_as_senior(actor=Actor.of(senior), case_id=wrong.id, reason="A play.", interested=())


@pytest.mark.django_db
def test_a_recount_finds_what_was_counted(some_decisions):
    counted = rows()
    assert sum(row[5] for row in counted) == 5
    assert sum(row[9] for row in counted) == 1
    assert sum(row[8] for row in counted) >= 7
    assert tallies.recount() == len(counted)
    assert rows() == counted


@pytest.mark.django_db
def test_the_migration_counts_what_was_decided_before_it(some_decisions):
    counted = rows()
    DeskTally.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(importlib.import_module("safety.migrations.0006_tallies").COUNT)
    assert rows() == counted


@pytest.mark.django_db
def test_a_reversal_undone_by_an_error_counts_nothing(person, some_decisions):
    counted = rows()
    again = Case.objects.filter(reversed_by__isnull=False).get()
    with pytest.raises(reversals.NotReversible):
        reversals.reverse(
            case_id=again.id, by=person(role="senior").id, reason="x", why="senior", actor=Actor.system("test")
        )
    assert rows() == counted


@pytest.mark.django_db
def test_the_figures_are_of_whole_days_today_among_them(person, some_decisions):
    auditor = Actor.of(person(role="auditor"))
    DeskTally.objects.update(day="2020-01-01")
    assert metrics.overview(actor=auditor, days=366)["decided"] == 0
    tallies.recount()
    found = metrics.overview(actor=auditor, days=2)  # the test may run over midnight
    days = [count for _, count in found["by_day"]]
    assert (found["decided"], sum(days), len(days)) == (5, 5, 2)
    assert sum(found["by_decision"].values()) == sum(found["by_kind"].values()) == 5
    assert (sum(found["waiting"].values()), found["late"]) == (2, 0)


@pytest.mark.django_db(transaction=True)
def test_decisions_of_one_reviewer_at_once_are_all_counted(person):
    moderator = person(role="moderator")
    cases = [hold(person()) for _ in range(6)]
    _, lost = together([lambda case=case: decide(moderator, case, "allow") for case in cases])
    assert lost == []
    (row,) = rows()
    assert row[5] == 6
