"""Prices, fees and conversions: integers, rounded down, and nothing lost by where a period is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.pricing import (
    BASIS_POINTS,
    MAX_MINOR,
    PER,
    PriceProblem,
    Rates,
    Terms,
    Unit,
    UnknownCurrency,
    read_rates,
)

UNITS = st.sampled_from([Unit.CHARACTER, Unit.SECOND, Unit.OUTPUT])


@given(UNITS, st.integers(0, 10**6), st.integers(0, 5_000), st.lists(st.integers(0, 5_000), max_size=12))
def test_lines_add_up_to_the_whole_and_fees_never_exceed_it(unit, price, fee_bp, steps):
    terms = Terms(unit, price, "EUR", 10**9, 0, fee_bp)
    before, gross, fee = 0, 0, 0
    for step in steps:
        earned, whole = terms.gross(before), terms.gross(before + step)
        line, part = whole - earned, terms.fee(whole) - terms.fee(earned)
        assert 0 <= part <= line
        gross, fee, before = gross + line, fee + part, before + step
    assert gross == before * price // PER[unit]
    assert fee == gross * fee_bp // BASIS_POINTS


def test_the_free_part_comes_first_and_more_than_was_ordered_earns_no_more():
    terms = Terms(Unit.OUTPUT, 250, "EUR", 4, 3, 0)
    assert [terms.gross(used) for used in (0, 3, 4, 7, 8, 100)] == [0, 0, 250, 1_000, 1_000, 1_000]


@pytest.mark.parametrize(
    ("unit", "used", "earned"),
    [(Unit.CHARACTER, 1_500, 298), (Unit.SECOND, 1_500, 298), (Unit.OUTPUT, 3, 597), (Unit.MONTH, 2, 398),
     (Unit.SHARE, 100_000, 1_990)],
)  # fmt: skip
def test_each_unit_counts_what_it_says(unit, used, earned):
    assert Terms(unit, 199, "EUR", 10**9, 0, 0).gross(used) == earned


@pytest.mark.parametrize("bad", [{"price_minor": -1}, {"price_minor": 10**18}, {"quantity": -1}, {"quantity": 10**18},
                                 {"free": -1}, {"fee_bp": -1}, {"fee_bp": 10_001}, {"currency": "XXX"}])  # fmt: skip
def test_terms_that_cannot_be_are_refused(bad):
    fields = {"unit": Unit.CHARACTER, "price_minor": 1, "currency": "EUR", "quantity": 1, "free": 0, "fee_bp": 0}
    with pytest.raises(PriceProblem):
        Terms(**{**fields, **bad})


def test_nothing_is_used_less_than_not_at_all():
    with pytest.raises(PriceProblem):
        Terms(Unit.OUTPUT, 1, "EUR", 1, 0, 0).gross(-1)


TABLE = Rates("2026-11-27", "EUR", {"USD": 108_530_000, "JPY": 16_025_000_000, "GBP": 83_000_000})


@pytest.mark.parametrize(
    ("minor", "source", "target", "found"),
    [(1_000, "EUR", "USD", 1_085), (1_000, "EUR", "JPY", 1_602), (1_602, "JPY", "EUR", 999), (1, "JPY", "EUR", 0),
     (7, "USD", "USD", 7), (10_853, "USD", "GBP", 8_300)],
)  # fmt: skip
def test_a_conversion_is_exact_and_rounded_down(minor, source, target, found):
    assert TABLE.convert(minor, source, target) == found


@given(st.integers(0, 10**9), st.sampled_from(["USD", "JPY", "GBP"]))
def test_there_and_back_makes_no_money(minor, currency):
    assert TABLE.convert(TABLE.convert(minor, "EUR", currency), currency, "EUR") <= minor


def test_unknown_currencies_and_amounts_are_refused():
    for source, target in (("EUR", "XXX"), ("XXX", "EUR"), ("EUR", "CNY")):
        with pytest.raises(UnknownCurrency):
            TABLE.convert(1, source, target)
    for minor in (-1, MAX_MINOR + 1, 10**18):
        with pytest.raises(PriceProblem):
            TABLE.convert(minor, "EUR", "USD")
    with pytest.raises(PriceProblem):
        read_rates({"v": 1, "date": "2026-11-27", "base": "EUR", "rates": {"USD": "1.123456789"}})
    for base in ([], {}, None, 1, "XXX"):
        with pytest.raises(UnknownCurrency):
            read_rates({"v": 1, "date": "2026-11-27", "base": base, "rates": {"USD": "1.1"}})
