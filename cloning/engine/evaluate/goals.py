"""What a base is meant to reach, and which figures of a voice say whether it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """`path`: where the figure stands in a voice's report. `at_most` False: the figure must be at least the limit."""

    name: str
    path: tuple[str, ...]
    limit: float
    at_most: bool = True


GOALS = (
    Goal("matrix words wrong, forced choice", ("words", "matrix", "forced_choice_error", "voice"), 0.15),
    Goal("the same above the source's", ("words", "matrix", "forced_choice_error", "difference"), 0.05),
    Goal("word error in open sentences above the source's", ("words", "open", "word_error", "difference"), 0.10),
    Goal("phone error in open sentences above the source's", ("words", "open", "phone_error", "difference"), 0.10),
    Goal("matrix sentences with no word skipped or repeated", ("words", "matrix", "intact", "voice"), 0.95, False),
    Goal("open sentences with no word skipped or repeated", ("words", "open", "followed", "voice"), 0.95, False),
    Goal("cosine to the own speaker above the others'", ("identity", "voice", "margin"), 0.20, False),
    Goal("outputs nearest to the own speaker", ("identity", "voice", "nearest"), 0.90, False),
    Goal("pieces of 5 s that the verifier accepts", ("identity", "voice", "accepted"), 0.80, False),
    Goal("pieces of 5 s accepted as another speaker", ("identity", "voice", "accepted_as_another"), 0.02),
    Goal("seconds of work for a second of speech", ("speed", "real_time_factor"), 0.5),
    Goal("seconds to the first audio", ("speed", "first_audio_seconds"), 1.5),
)


def judged(voice: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every goal with the voice's figure; `reached` None where it was not measured."""
    rows = []
    for goal in GOALS:
        value = _value(voice, goal.path)
        reached = None if value is None else value <= goal.limit if goal.at_most else value >= goal.limit
        rows.append(
            {"goal": goal.name, "value": value, "limit": goal.limit, "at_most": goal.at_most, "reached": reached}
        )
    return rows


def _value(report: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    found: Any = report
    for name in path:
        if not isinstance(found, Mapping) or found.get(name) is None:
            return None
        found = found[name]
    value = found["value"] if isinstance(found, Mapping) else found
    return None if value is None else float(value)
