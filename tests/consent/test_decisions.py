"""From evidence to verdict: fails closed, repeats itself, and moves only where a number crosses a threshold."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import decisions
from consent.biometrics.evidence import Evidence, Verdict


def step(kind: str, verdict: str = "pass", value: float = 0.9, threshold: float = 0.5, **more: Any) -> Evidence:
    fields = {"reason": "ok" if verdict == "pass" else "different_speaker", "advice": {}, "model": "m-1", **more}
    return Evidence(kind=kind, value=value, threshold=threshold, verdict=Verdict(verdict), **fields)


ALL = [step("quality"), step("liveness", value=0, threshold=0), step("own_mark", value=0), step("spoof", value=0.1)]


def test_all_steps_passed_pass() -> None:
    assert decisions.decide(ALL, rehearsal=False, required=decisions.CHALLENGE_STEPS).verdict == "pass"


def test_the_first_that_does_not_pass_decides_and_gives_its_reason_and_advice() -> None:
    later = step("spoof", "refuse", value=0.9, reason="copy_synthesis")
    first = step("liveness", "inconclusive", value=1, threshold=0, reason="words_unclear", advice={"en": "Again."})
    found = decisions.decide([ALL[0], first, later], rehearsal=False)
    assert found == decisions.Decision("inconclusive", "words_unclear", {"en": "Again."}, "liveness")


def test_no_evidence_and_a_missing_step_never_pass() -> None:
    assert decisions.decide([], rehearsal=True).verdict == "inconclusive"
    for missing in range(len(ALL)):
        taken = [item for n, item in enumerate(ALL) if n != missing]
        found = decisions.decide(taken, rehearsal=False, required=decisions.CHALLENGE_STEPS)
        assert (found.verdict, found.reason, found.by) == ("inconclusive", "step_missing", ALL[missing].kind)


@pytest.mark.parametrize("rehearsal", [True, False])
def test_a_rehearsal_records_the_spoof_verdict_and_obeys_every_other(rehearsal: bool) -> None:
    spoof = step("spoof", "refuse", value=0.9, reason="copy_synthesis")
    assert (decisions.decide([spoof], rehearsal=rehearsal).verdict == "pass") is rehearsal
    mark = step("own_mark", "refuse", value=1, threshold=1, reason="own_mark")
    assert decisions.decide([spoof, mark], rehearsal=True).reason == "own_mark"


@given(st.lists(st.sampled_from(["pass", "refuse", "inconclusive"]), max_size=6), st.booleans())
def test_it_passes_only_when_every_step_did(verdicts: list[str], rehearsal: bool) -> None:
    evidence = [step(f"step{n}", verdict) for n, verdict in enumerate(verdicts)]
    found = decisions.decide(evidence, rehearsal=rehearsal)
    assert (found.verdict == "pass") == (bool(verdicts) and set(verdicts) == {"pass"})


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(sorted(decisions.RULES)))
def test_at_its_own_threshold_nothing_changes(value: float, threshold: float, kind: str) -> None:
    rule = decisions.RULES[kind]
    item = step(kind, "pass" if rule.passes(value, threshold) else "refuse", value, threshold)
    assert decisions.at(item, threshold) == item


@pytest.mark.parametrize(
    ("item", "threshold", "verdict"),
    [
        (step("speaker_windows", value=0.8), 0.9, "refuse"),
        (step("speaker_windows", value=0.8), 0.7, "pass"),
        (step("speaker_windows", "refuse", 0.4), 0.3, "pass"),
        (step("spoof", value=0.4), 0.3, "refuse"),
        (step("spoof", "refuse", 0.6, reason="copy_synthesis"), 0.7, "pass"),
        (step("liveness", "inconclusive", 1, 0, reason="words_unclear"), 1, "pass"),
        # What another measure refused, no threshold of this one lets through.
        (step("liveness", "refuse", 0, 0, reason="spliced"), 6, "refuse"),
        (step("speaker_windows", "inconclusive", 0.0, reason="too_little_speech"), 0.0, "inconclusive"),
        (step("quality", "refuse", 1.0, 3.0, reason="noisy"), 0.0, "refuse"),
    ],
)
def test_another_threshold_changes_what_lies_between_the_two(item: Evidence, threshold: float, verdict: str) -> None:
    assert decisions.at(item, threshold).verdict == verdict


def test_a_pass_that_its_own_number_denies_is_named() -> None:
    assert decisions.contradiction(step("spoof", value=0.9)) != ""
    assert decisions.contradiction(step("spoof", value=0.1)) == ""
    assert decisions.contradiction(step("quality", value=0.0)) == ""
