"""From evidence to verdict, and nothing else: no sound, no database, no clock. The same evidence, the same decision.

An examination's steps are taken in order and the first that does not pass decides. What a step measured stands in its
evidence with the threshold it was held against, so a decision can be taken again long after its recording is gone,
with the thresholds of its day or with others.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from consent.biometrics.evidence import Evidence, Verdict

SPOOF: Final = "spoof"
"""The one step a rehearsal records without obeying: its speakers are synthetic."""
CHALLENGE_STEPS: Final = ("quality", "liveness", "own_mark", "spoof")
RECORDING_STEPS: Final = ("quality", "own_mark", "spoof", "speaker_windows")
"""Without these nothing passes. Searches and hints that stand beside them are taken as they come."""

HINTS: Final = frozenset({"channel"})
"""Steps that are written down for a moderator and never decide: people own two microphones."""


@dataclass(frozen=True, slots=True)
class Decision:
    """``by``: the kind of the step that decided; empty when every step passed or none was taken."""

    verdict: str
    reason: str
    advice: dict[str, str] = field(default_factory=dict)
    by: str = ""


def decide(evidence: Sequence[Evidence], *, rehearsal: bool, required: Collection[str] = ()) -> Decision:
    """The verdict on the steps taken. Fails closed: no evidence, or a ``required`` step missing, never passes."""
    for item in evidence:
        if not item.passed and item.kind not in HINTS and not (rehearsal and item.kind == SPOOF):
            return Decision(item.verdict.value, item.reason, dict(item.advice), item.kind)
    if not evidence:
        return Decision(Verdict.INCONCLUSIVE.value, "nothing_measured")
    missing = [kind for kind in required if kind not in {item.kind for item in evidence}]
    if missing:
        return Decision(Verdict.INCONCLUSIVE.value, "step_missing", by=missing[0])
    return Decision(Verdict.PASS.value, "ok")


@dataclass(frozen=True, slots=True)
class Rule:
    """How a step's number is read. ``passes(value, threshold)``; ``reasons``: verdicts that rest on that number alone.

    ``exact``: a pass always means that the number passes (a step that forgives single windows is not exact).
    """

    passes: Callable[[float, float], bool]
    reasons: frozenset[str]
    exact: bool = True


def _at_least(value: float, threshold: float) -> bool:
    return value >= threshold


def _below(value: float, threshold: float) -> bool:
    return value < threshold


def _at_most(value: float, threshold: float) -> bool:
    return value <= threshold


RULES: Final[Mapping[str, Rule]] = {
    "speaker": Rule(_at_least, frozenset({"ok", "speaker_uncertain", "different_speaker"})),
    "speaker_windows": Rule(
        _at_least, frozenset({"ok", "speaker_uncertain", "different_speaker", "several_speakers"}), exact=False
    ),
    "speaker_template": Rule(_at_least, frozenset({"ok", "different_speaker"})),
    "liveness": Rule(_at_most, frozenset({"ok", "words_unclear", "wrong_words"})),
    SPOOF: Rule(_below, frozenset({"ok", "spoof_uncertain", "copy_synthesis", "synthetic"})),
    "own_mark": Rule(_below, frozenset({"ok", "own_mark"})),
}
"""Steps that hold one number against one threshold. The others (quality: many numbers) are taken as recorded."""


def contradiction(item: Evidence) -> str:
    """Why the recorded verdict of a step does not follow from its own numbers; empty when nothing speaks against it."""
    rule = RULES.get(item.kind)
    if rule is None or not rule.exact or not item.passed or rule.passes(item.value, item.threshold):
        return ""
    return f"{item.kind}: recorded as passed, but {item.value:g} does not pass {item.threshold:g}"


def at(item: Evidence, threshold: float) -> Evidence:
    """The step judged at another threshold. Only a value that lies between the two thresholds changes its verdict."""
    rule = RULES.get(item.kind)
    if rule is None or item.reason not in rule.reasons:
        return item
    before, after = rule.passes(item.value, item.threshold), rule.passes(item.value, threshold)
    if before == after:
        return replace(item, threshold=threshold)
    verdict, reason = (Verdict.PASS, "ok") if after else (Verdict.REFUSE, "threshold")
    return replace(item, threshold=threshold, verdict=verdict, reason=reason, advice={})
