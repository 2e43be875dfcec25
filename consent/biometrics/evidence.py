"""What one examination step found, in a form that can be stored, shown and re-run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The three answers a step may give. Only PASS lets anything go on: INCONCLUSIVE means "record again"."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    REFUSE = "refuse"
    INCONCLUSIVE = "inconclusive"


#: A detail is a number, a word, or a list of plain values (numbers, words, small lists and maps of them).
Detail = float | str | list[Any]


class EvidenceError(ValueError):
    """The evidence could not be stored as it is (a number that JSON has no word for, an unknown field)."""


@dataclass(frozen=True)
class Evidence:
    """One measured decision.

    ``kind`` is the step, ``value`` what was measured and ``threshold`` what it was held against, both in the step's
    own unit; ``reason`` is a machine code, ``advice`` what a person can do about it in ``en`` and ``zh``; ``model``
    names the version of whatever measured it. Numbers must be finite: JSON has no infinity.
    """

    kind: str
    value: float
    threshold: float
    verdict: Verdict
    reason: str
    advice: dict[str, str]
    model: str
    details: dict[str, Detail] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_finite(self.value, "value")
        _check_finite(self.threshold, "threshold")
        _check_finite(self.details, "details")

    @property
    def passed(self) -> bool:
        """True for PASS only."""
        return self.verdict is Verdict.PASS

    def to_dict(self) -> dict[str, Any]:
        """A JSON-safe copy."""
        return {
            "kind": self.kind,
            "value": self.value,
            "threshold": self.threshold,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "advice": dict(self.advice),
            "model": self.model,
            "details": dict(self.details),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Evidence:
        """The reverse of to_dict. Raises EvidenceError for missing or unknown fields and unknown verdicts."""
        try:
            verdict = Verdict(stored["verdict"])
            return cls(**{**stored, "verdict": verdict})
        except (KeyError, TypeError, ValueError) as error:
            raise EvidenceError(f"not an evidence record: {error}") from error


def _check_finite(value: object, name: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise EvidenceError(f"{name} is not a finite number")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_finite(inner, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_finite(inner, name)
