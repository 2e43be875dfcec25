"""What came of attacks: which step stopped each, and the error rates of ISO/IEC 30107-3 with their bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.stats import beta

from consent.biometrics.evidence import Verdict

#: Confidence of every bound, one-sided.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Outcome:
    """One presentation: whose voice it aimed at, and the verdict of every step that was asked, in the gate's order."""

    target: str
    verdicts: Mapping[str, Verdict]

    @property
    def accepted(self) -> bool:
        """Did every step pass? Inconclusive is no pass: the gate lets nothing through on it."""
        return all(verdict is Verdict.PASS for verdict in self.verdicts.values())

    @property
    def stopped_by(self) -> str:
        """The first step that did not pass, "" for none."""
        return next((step for step, verdict in self.verdicts.items() if verdict is not Verdict.PASS), "")


@dataclass(frozen=True)
class Outcomes:
    """All presentations of one species. ``steps``: what was asked; a step that could not be asked is not among them."""

    species: str
    steps: tuple[str, ...]
    made: tuple[Outcome, ...]

    @property
    def accepted(self) -> int:
        return sum(outcome.accepted for outcome in self.made)

    @property
    def apcer(self) -> float:
        """Share of attacks accepted (attack presentation classification error rate); 1.0 where none was made."""
        return self.accepted / len(self.made) if self.made else 1.0

    @property
    def apcer_bound(self) -> float:
        """Upper bound of the APCER (Clopper and Pearson 1934), as if all presentations were independent."""
        return upper_bound(self.accepted, len(self.made))

    @property
    def stopped_by(self) -> dict[str, int]:
        """How many each step stopped first."""
        return dict(Counter(outcome.stopped_by for outcome in self.made if not outcome.accepted))

    def refused_by(self, step: str) -> float:
        """Share that this step alone would have stopped; 1.0 where none was made."""
        asked = [outcome.verdicts[step] for outcome in self.made if step in outcome.verdicts]
        return sum(verdict is not Verdict.PASS for verdict in asked) / len(asked) if asked else 1.0


def upper_bound(errors: int, trials: int) -> float:
    """One-sided upper bound of an error rate seen ``errors`` times in ``trials``; 1.0 without trials."""
    return 1.0 if errors >= trials else float(beta.ppf(CONFIDENCE, errors + 1, trials - errors))
