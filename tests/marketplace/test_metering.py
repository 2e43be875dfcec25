"""The statement's arithmetic: nothing lost, nothing gained, whatever the order and wherever the period is cut."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.metering import FREE, Terms, UnknownTerms, UsageRow, earned, price

START = datetime(2026, 1, 1, tzinfo=UTC)
LICENCES = ["a", "b", "c"]
hours = st.integers(0, 1_000).map(lambda h: START + timedelta(hours=h))
rows = st.lists(
    st.builds(
        UsageRow,
        licence=st.sampled_from([None, *LICENCES]),
        characters=st.integers(1, 5_000),
        milliseconds=st.integers(1, 60_000),
        at=hours,
    ),
    max_size=40,
)
prices = st.fixed_dictionaries(
    {name: st.builds(Terms, st.integers(0, 10_000_000), st.sampled_from(["EUR", "USD"])) for name in LICENCES}
).map(lambda terms: {None: FREE, **terms})
END = START + timedelta(hours=1_001)


def test_a_statement_by_hand():
    used = [
        UsageRow("a", 1_500, 90_000, START),
        UsageRow("a", 333, 20_000, START + timedelta(hours=1)),
        UsageRow(None, 80, 5_000, START),
        UsageRow("b", 10, 700, START),
    ]
    made = price(used, {"a": Terms(199, "EUR"), "b": FREE, None: FREE}, since=START, until=END)
    # 1,833 characters at 1.99 for 1,000 are 3.64767: three euro sixty-four.
    assert [(line.licence, line.uses, line.characters, line.amount_minor) for line in made.lines] == [
        (None, 1, 80, 0),
        ("a", 2, 1_833, 364),
        ("b", 1, 10, 0),
    ]
    assert made.totals == {"EUR": 364}


@given(rows, prices, hours, hours)
def test_consecutive_periods_add_up_to_the_whole(used, terms, one, other):
    first, second = sorted((one, other))
    cuts = sorted({START, first, second, END})
    parts = [price(used, terms, since=a, until=b) for a, b in itertools.pairwise(cuts)]
    whole = price(used, terms, since=START, until=END)
    for currency in ("EUR", "USD"):
        assert sum(part.totals.get(currency, 0) for part in parts) == whole.totals.get(currency, 0)
    assert sum(line.uses for part in parts for line in part.lines) == len(used)


@given(rows, prices, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(used, terms, random):
    shuffled = list(used)
    random.shuffle(shuffled)
    assert price(shuffled, terms, since=START, until=END) == price(used, terms, since=START, until=END)


@given(rows, prices)
def test_every_use_is_counted_and_no_licence_earns_more_than_its_characters_cost(used, terms):
    made = price(used, terms, since=START, until=END)
    assert sum(line.characters for line in made.lines) == sum(row.characters for row in used)
    assert sum(line.milliseconds for line in made.lines) == sum(row.milliseconds for row in used)
    for line in made.lines:
        assert line.amount_minor == earned(line.characters, terms[line.licence].price_minor)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=30), st.integers(0, 10_000))
def test_a_licence_used_up_in_any_number_of_steps_has_earned_what_its_order_cost(steps, rate):
    used = [UsageRow("a", step, 1, START + timedelta(hours=i)) for i, step in enumerate(steps)]
    parts = [
        price(used, {"a": Terms(rate, "EUR")}, since=row.at, until=row.at + timedelta(hours=1)).totals["EUR"]
        for row in used
    ]
    assert sum(parts) == earned(sum(steps), rate)
    assert all(part >= 0 for part in parts)


def test_later_uses_are_ignored_and_the_end_is_open():
    used = [UsageRow("a", 1_000, 1, END), UsageRow("a", 1_000, 1, START)]
    assert price(used, {"a": Terms(5, "EUR")}, since=START, until=END).totals == {"EUR": 5}


def test_a_licence_without_terms_is_an_error_and_not_free():
    with pytest.raises(UnknownTerms, match="b"):
        price([UsageRow("b", 1, 1, START)], {"a": FREE}, since=START, until=END)


def test_a_period_must_begin_before_it_ends():
    with pytest.raises(ValueError, match="begins"):
        price([], {}, since=START, until=START)


@pytest.mark.parametrize(("characters", "rate"), [(-1, 5), (5, -1)])
def test_negative_amounts_are_refused(characters, rate):
    with pytest.raises(ValueError, match="negative"):
        earned(characters, rate)
