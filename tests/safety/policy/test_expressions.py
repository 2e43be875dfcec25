"""The language of conditions: typed at load, always ending, and naming what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.detectors.spans import NOWHERE, Hits
from safety.policy.errors import DividesByZero, ExpressionInvalid, RuleFailed, UnknownFact
from safety.policy.expressions import Scope, World, compile_condition, compile_feature

SCOPE = Scope(
    facts={"a.int": "int", "a.number": "number", "a.bool": "bool", "text.language": "text"},
    thresholds={"five": 5, "half": 0.5, "nothing": 0},
    terms=frozenset({"kin", "money"}),
    patterns=frozenset({"amount"}),
)
FACTS = {"a.int": 7, "a.number": 0.25, "a.bool": True, "text.language": "en"}
WORLD = World(
    FACTS,
    {"kin": Hits.of([(0, 3)]), "money": Hits.of([(10, 15), (90, 95)])},
    {"amount": NOWHERE},
    Hits.of([(0, 0), (10, 10)]),
)


def value(source):
    return compile_feature(source, SCOPE).value(WORLD)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 2 - 3", 5),
        ("7 / 2", 3),
        ("-7 / 2", -4),
        ("7 % 4 + 0.5", 3.5),
        ("1 / 2.0", 0.5),
        ("a.int >= threshold.five", True),
        ("a.number < threshold.half and not a.bool", False),
        ("a.bool == true or false", True),
        ('text.language == "en"', True),
        ('text.language in ["zh", "en"]', True),
        ('text.language in ["zh"]', False),
        ("min(a.int, 3, 9)", 3),
        ("max(a.number, 1)", 1),
        ('count(terms("money"))', 2),
        ('near(20, terms("kin"), terms("money"))', [(0, 15)]),
        ('near(5, terms("kin"), terms("money"))', []),
        ('before(7, terms("kin"), terms("money"))', [(0, 15)]),
        ('before(7, terms("money"), terms("kin"))', []),
        ('unless(8, terms("money"), terms("kin"))', [(90, 95)]),
        ('apart(8, terms("money"), terms("kin"))', [(90, 95)]),
        ('any(terms("kin"), pattern("amount"))', [(0, 3)]),
        ('before(0, clause(), terms("money"))', [(10, 15)]),
        ('points(terms("kin"), 4) + points(pattern("amount"), 2)', 4),
        ('weigh(20, terms("kin"), 3, terms("money"), 4)', 7),
        ('weigh(5, terms("kin"), 3, terms("money"), 4)', 4),
    ],
)
def test_what_it_says(source, expected):
    found = value(source)
    assert (list(found) if isinstance(found, Hits) else found) == expected


def test_hits_count_as_whether_there_are_any():
    assert compile_condition('terms("kin") and not pattern("amount")', SCOPE).value(WORLD) is True


@pytest.mark.parametrize("source", ["a.int / 0", "1 % 0", "a.int / (1 - 1)", "a.number / threshold.nothing", "1 / -0"])
def test_a_divisor_that_is_always_zero_is_refused_at_load(source):
    with pytest.raises(DividesByZero):
        compile_feature(source, SCOPE)


@pytest.mark.parametrize("source", ["1 / (a.int - 7)", "1.5 % (a.int - 7)"])
def test_a_divisor_that_happens_to_be_zero_is_a_failure_by_name(source):
    with pytest.raises(RuleFailed):
        value(source)


@pytest.mark.parametrize(
    "source", ["a.nothing > 1", "threshold.none > 1", 'terms("unknown")', 'pattern("kin")', 'place("x")', "eval(1)"]
)
def test_an_unknown_name_is_refused_at_load(source):
    with pytest.raises(UnknownFact):
        compile_condition(source, SCOPE)


@pytest.mark.parametrize(
    "source",
    [
        "", "1 +", "a.int", "1", '"text"', "a.int == true", 'a.int < "x"', "a.bool + 1", "a.bool < true", "not 1",
        'text.language > "a"', "near(20, 1)", 'near(a.int, terms("kin"), terms("kin"))', "near(20)", "min(1)",
        'near(99999, terms("kin"), terms("money"))', "terms(kin)", 'terms("kin", "money")', "clause(1)", "count()",
        'a.int in ["en"]', 'points(terms("kin"), a.int)', 'weigh(20, terms("kin"))', "1 < 2 < 3", "a.int = 1",
        "__import__", "a.int; a.int", "lambda: 1", 'weigh(20, terms("kin"), 1.5)', "[1]", "a.int.b.c(1)",
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_at_load(source):
    with pytest.raises(ExpressionInvalid):
        compile_condition(source, SCOPE)


@pytest.mark.parametrize(
    "source",
    [
        "(" * 1_100 + "a.bool" + ")" * 1_100,
        "not " * 2_000 + "a.bool",
        " and ".join(["a.bool"] * 1_200),
        "-" * 1_500 + "1 > 0",
        "a.bool" + " " * 9_000,
        " or ".join(["a.bool"] * 3_000),
    ],
)
def test_what_is_too_large_is_refused_at_load(source):
    with pytest.raises(ExpressionInvalid):
        compile_condition(source, SCOPE)


def test_numbers_stay_finite():
    with pytest.raises(ExpressionInvalid):
        compile_feature(" * ".join(["999999999999.0"] * 40), SCOPE)
    with pytest.raises(RuleFailed):
        value("a.number * " + " * ".join(["999999999999"] * 40))


LEAVES = st.sampled_from(["a.int", "a.number", "3", "0.5", "threshold.five"])
NUMBERS = st.recursive(
    LEAVES, lambda one: st.tuples(one, st.sampled_from("+-*/%"), one).map(lambda t: f"({' '.join(t)})"), max_leaves=12
)


@given(NUMBERS, NUMBERS)
def test_any_arithmetic_has_an_answer_or_a_named_failure(left, right):
    try:
        found = compile_condition(f"{left} < {right}", SCOPE).value(WORLD)
    except (DividesByZero, RuleFailed, ExpressionInvalid):
        return
    assert isinstance(found, bool)
