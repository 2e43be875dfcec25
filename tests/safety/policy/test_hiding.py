"""A fraud behind thousands of harmless hits is found like one alone: no list of places is ever cut off.

While each list kept its first 2,000 places, the floods below hid up to 15 of 36 frauds: what came behind them had no
money in it, no clause, nobody who is told to pay.
"""

from functools import cache

import pytest

from safety.detectors.normalise import normalise
from safety.detectors.patterns import Pattern
from safety.policy import evaluate, labelled, live_pack
from safety.policy.deciding import facts_of

EVERY = 12
"""Of the labelled frauds; the whole set says the same, in two minutes."""
FLOODS = {"zh": ["钱", "转", "钱转"], "en": ["a, ", "pay "]}


@cache
def frauds(language: str) -> tuple[str, ...]:
    """Labelled frauds that are stopped when they stand alone."""
    some = [one.text for one in labelled.sentences() if one.fraud and one.language == language][::EVERY]
    return tuple(text for text in some if evaluate(text, language=language).outcome == "hold")


@pytest.mark.parametrize(("language", "flood"), [(language, one) for language, some in FLOODS.items() for one in some])
def test_no_flood_hides_a_fraud(language: str, flood: str) -> None:
    before = flood * 2_100
    assert evaluate(before, language=language).outcome == "allow"
    assert len(frauds(language)) > 20
    passed = [text for text in frauds(language) if evaluate(f"{before} . {text}", language=language).outcome == "allow"]
    assert passed == []


def test_everything_is_counted() -> None:
    """What is said at the end of the longest text weighs as at its beginning."""
    fraud = frauds("zh")[0]
    alone = facts_of(fraud, live_pack(), language="zh")
    behind = facts_of("钱转" * 9_900 + "。" + fraud, live_pack(), language="zh")
    assert behind["text.fraud_points"] >= alone["text.fraud_points"]


def test_nor_in_an_owner_s_topics() -> None:
    near = Pattern.of([["money"], ["grandma"]], within=20)
    assert near.matches(normalise("money " * 2_100 + "grandma"))
    assert near.matches(normalise("money " * 2_100 + "garden " * 30 + "grandma, the money"))
    assert not near.matches(normalise("money " * 2_100 + "garden " * 30 + "grandma"))
