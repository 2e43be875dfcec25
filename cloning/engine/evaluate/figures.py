"""Figures with their confidence: rates and means over sentences, percentile bootstrap (Efron 1979).

A sentence is what is drawn, because errors within one depend on each other. The draws come from a fixed seed and are
the same for every figure over the same sentences, so that a difference between two figures is a paired one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: 97.5 % of a normal distribution lie below this many deviations above its mean.
NORMAL = 1.959964
#: Draws, the share that the interval leaves out at both ends together, and the seed.
DRAWS, LEFT_OUT, SEED = 2000, 0.05, 20_230_501


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` with its 95 % interval `low`..`high`, over `count` sentences. A single sentence has no interval: NaN."""

    value: float
    low: float
    high: float
    count: int

    def to_dict(self) -> dict[str, float | int | None]:
        """JSON: numbers rounded to 4 places, NaN as None."""
        row = {"value": self.value, "low": self.low, "high": self.high}
        return {name: _plain(number) for name, number in row.items()} | {"count": self.count}


def rate(parts: Sequence[float], wholes: Sequence[float]) -> Figure | None:
    """sum(parts) / sum(wholes) over sentences, None when there is nothing to divide by.

    Word errors over words is the word error rate; with wholes of 1 it is a mean.
    """
    return _ratio(np.asarray(parts, float), np.asarray(wholes, float))


def mean(values: Sequence[float]) -> Figure | None:
    """The mean over sentences, None of none."""
    return rate(values, [1.0] * len(values))


def share(answers: Sequence[bool]) -> Figure | None:
    """The share of yes among independent answers, with Wilson's score interval (1927), which holds near 0 and 1 too."""
    count = len(answers)
    if not count:
        return None
    found = sum(answers) / count
    middle = (found + NORMAL**2 / (2 * count)) / (1 + NORMAL**2 / count)
    half = NORMAL / (1 + NORMAL**2 / count) * (found * (1 - found) / count + NORMAL**2 / (4 * count**2)) ** 0.5
    return Figure(found, max(0.0, middle - half), min(1.0, middle + half), count)


def difference(parts: Sequence[float], others: Sequence[float], wholes: Sequence[float]) -> Figure | None:
    """rate(parts) - rate(others) on the same sentences, with the interval of the difference itself."""
    return _ratio(np.asarray(parts, float) - np.asarray(others, float), np.asarray(wholes, float))


def difference_of_rates(
    parts: Sequence[float], wholes: Sequence[float], others: Sequence[float], other_wholes: Sequence[float]
) -> Figure | None:
    """rate(parts, wholes) - rate(others, other_wholes) on the same sentences, where each has wholes of its own."""
    sums = np.array([parts, wholes, others, other_wholes], float)
    if not (sums[[1, 3]].sum(axis=1) > 0).all():
        return None

    def apart(rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows[0] / rows[1] - rows[2] / rows[3])

    value, count = float(apart(sums.sum(axis=1))), sums.shape[1]
    if count < 2:
        return Figure(value, float("nan"), float("nan"), count)
    drawn = sums[:, np.random.default_rng(SEED).integers(count, size=(DRAWS, count))].sum(axis=2)
    low, high = np.quantile(apart(drawn[:, (drawn[[1, 3]] > 0).all(axis=0)]), (LEFT_OUT / 2, 1 - LEFT_OUT / 2))
    return Figure(value, float(low), float(high), count)


def correlation(groups: Sequence[tuple[np.ndarray, np.ndarray]]) -> Figure | None:
    """Pearson's correlation of all pairs, drawn by sentence: each gives two rows of the same length."""
    sums = np.array([[len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y] for x, y in groups]).reshape(-1, 6)
    value = _pearson(sums.sum(axis=0))
    if not np.isfinite(value):
        return None
    drawn = np.random.default_rng(SEED).integers(len(sums), size=(DRAWS, len(sums)))
    low, high = np.nanquantile(_pearson(sums[drawn].sum(axis=1).T), (LEFT_OUT / 2, 1 - LEFT_OUT / 2))
    return Figure(float(value), float(low), float(high), len(sums))


def _pearson(sums: np.ndarray) -> np.ndarray:
    """From count, sums, sums of squares and of products (6, ...); NaN where nothing varies."""
    count, x, y, xx, yy, xy = sums
    spread = (count * xx - x * x) * (count * yy - y * y)
    return np.asarray(np.where(spread > 1e-9, (count * xy - x * y) / np.sqrt(np.maximum(spread, 1e-9)), np.nan))


def _ratio(parts: np.ndarray, wholes: np.ndarray) -> Figure | None:
    if parts.shape != wholes.shape:
        raise ValueError("a rate needs one whole for each part")
    if not wholes.sum() > 0:
        return None
    value = float(parts.sum() / wholes.sum())
    if len(parts) < 2:
        return Figure(value, float("nan"), float("nan"), len(parts))
    drawn = np.random.default_rng(SEED).integers(len(parts), size=(DRAWS, len(parts)))
    below = wholes[drawn].sum(axis=1)
    ratios = parts[drawn].sum(axis=1)[below > 0] / below[below > 0]
    low, high = np.quantile(ratios, (LEFT_OUT / 2, 1 - LEFT_OUT / 2))
    return Figure(value, float(low), float(high), len(parts))


def _plain(number: float) -> float | None:
    return round(number, 4) if np.isfinite(number) else None
