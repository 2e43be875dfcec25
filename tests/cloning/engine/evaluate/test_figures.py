"""Rates, means and correlations with intervals that mean what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cloning.engine.evaluate.figures import correlation, difference, difference_of_rates, mean, rate, share


def test_a_rate_is_all_parts_over_all_wholes() -> None:
    figure = rate([1, 0, 3], [5, 5, 10])
    assert figure is not None
    assert (figure.value, figure.count) == (0.2, 3)
    assert figure.low <= figure.value <= figure.high


def test_intervals_of_a_rate_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(100):
        figure = rate(rng.binomial(5, 0.3, size=40).tolist(), [5] * 40)
        assert figure is not None
        held += figure.low <= 0.3 <= figure.high
    assert 88 <= held <= 100


def test_nothing_to_divide_by_is_no_figure_and_one_sentence_has_no_interval() -> None:
    assert rate([], []) is None
    assert mean([]) is None
    assert share([]) is None
    assert correlation([]) is None
    single = rate([1], [4])
    assert single is not None
    assert single.to_dict() == {"value": 0.25, "low": None, "high": None, "count": 1}
    json.dumps(single.to_dict(), allow_nan=False)


def test_a_difference_is_paired() -> None:
    """Sentences that are hard for both add no doubt to the difference."""
    hard = [5.0, 0.0, 5.0, 0.0] * 5
    ours = [one + 0.5 for one in hard]
    figure = difference(ours, hard, [5.0] * 20)
    assert figure is not None
    assert figure.value == figure.low == figure.high == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("yes", "count", "low", "high"), [(0, 20, 0.0, 0.1611), (10, 20, 0.2993, 0.7007), (20, 20, 0.8389, 1.0)]
)
def test_a_share_has_wilson_s_interval(yes: int, count: int, low: float, high: float) -> None:
    figure = share([True] * yes + [False] * (count - yes))
    assert figure is not None
    assert (figure.value, figure.count) == (yes / count, count)
    assert (figure.low, figure.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_a_correlation_is_pearson_s_over_all_pairs() -> None:
    rng = np.random.default_rng(1)
    groups = [(x := rng.normal(size=6), x + rng.normal(size=6)) for _ in range(12)]
    figure = correlation(groups)
    assert figure is not None
    first, second = (np.concatenate([pair[place] for pair in groups]) for place in range(2))
    assert figure.value == pytest.approx(np.corrcoef(first, second)[0, 1])
    assert -1 <= figure.low < figure.value < figure.high <= 1
    assert correlation([(np.ones(3), np.arange(3.0))]) is None


def test_a_difference_of_rates_is_paired_and_each_has_its_own_wholes() -> None:
    alike = difference_of_rates([1, 0, 3], [5, 5, 10], [2, 0, 6], [10, 10, 20])
    assert alike is not None
    assert (alike.value, alike.low, alike.high, alike.count) == (0.0, 0.0, 0.0, 3)
    apart = difference_of_rates([4, 4], [5, 5], [1, 1], [2, 2])
    assert apart is not None
    assert apart.value == pytest.approx(0.3)
    assert difference_of_rates([1, 1], [2, 2], [0, 0], [0, 0]) is None
    one = difference_of_rates([1], [2], [0], [1])
    assert one is not None
    assert one.to_dict() == {"value": 0.5, "low": None, "high": None, "count": 1}
