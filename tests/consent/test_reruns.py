"""A stored decision can be taken again; what was changed afterwards shows; other thresholds list what would flip."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from consent import reruns
from consent.models import Examination
from foundation.clock import now
from tests.consent.factories import answered, decide, passed_challenge, passed_recording

pytestmark = pytest.mark.django_db


def evidence(*kinds: str, **values: float) -> list[dict[str, Any]]:
    numbers = {"quality": (20.0, 12.0), "liveness": (0.0, 0.0), "own_mark": (0.0, 1.0), "spoof": (0.1, 0.5)}
    return [
        {
            "kind": kind, "value": values.get(kind, numbers[kind][0]), "threshold": numbers[kind][1], "verdict": "pass",
            "reason": "ok", "advice": {}, "model": "m-1", "details": {},
        }
        for kind in kinds
    ]  # fmt: skip


WHOLE = evidence("quality", "liveness", "own_mark", "spoof")


def challenge_decided(person: Any, found_like: list[dict[str, Any]], verdict: str = "pass", **more: Any) -> Examination:
    _, found = answered(person)
    decide(found, verdict, evidence=found_like, **more)
    found.refresh_from_db()
    return found


def run(name: str, *arguments: Any) -> str:
    out = io.StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def test_a_decision_repeats_itself_from_what_is_stored(person: Any) -> None:
    found = challenge_decided(person(), WHOLE)
    assert reruns.rerun(found).differences == []
    assert run("rerun_decision", str(found.id)).endswith("EQUAL\n")


def test_a_refusal_repeats_itself_with_its_reason(person: Any) -> None:
    refused = [*WHOLE[:1], {**WHOLE[1], "value": 3.0, "verdict": "refuse", "reason": "wrong_words"}]
    found = challenge_decided(person(), refused, "refuse", reason="wrong_words")
    result = reruns.rerun(found)
    assert (result.again, result.differences) == (("refuse", "wrong_words"), [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"evidence": [{**WHOLE[0], "value": 99.0}, *WHOLE[1:]]}, "another evidence"),
        ({"evidence": [*WHOLE[:3], {**WHOLE[3], "value": 0.9}]}, "does not pass"),
        ({"evidence": WHOLE[:2]}, "step_missing"),
        ({"verdict": "refuse", "reason": "spoof"}, "another verdict"),
        ({"evidence": [{"kind": "quality"}]}, "not an evidence record"),
        ({"evidence": []}, "without any evidence"),
    ],
    ids=["value", "own-number", "step-taken-out", "verdict", "no-record", "emptied"],
)
def test_what_was_changed_afterwards_is_named(person: Any, change: dict[str, Any], said: str) -> None:
    found = challenge_decided(person(), WHOLE)
    Examination.objects.filter(id=found.id).update(**change)
    found.refresh_from_db()
    assert any(said in text for text in reruns.rerun(found).differences)
    with pytest.raises(CommandError):
        run("rerun_decision", str(found.id))


def test_a_pass_on_too_few_steps_does_not_repeat(person: Any) -> None:
    found = challenge_decided(person(), WHOLE[:1])
    assert reruns.rerun(found).again == ("inconclusive", "step_missing")
    assert reruns.rerun(found).differences


def test_what_is_not_decided_cannot_be_run_again(person: Any) -> None:
    _, found = answered(person())
    for unknown in (str(found.id), "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(CommandError):
            run("rerun_decision", unknown)


def test_other_thresholds_list_what_would_flip(person: Any) -> None:
    near = challenge_decided(person(), evidence("quality", "liveness", "own_mark", "spoof", spoof=0.45))
    far = challenge_decided(person(), WHOLE)
    early = [{**WHOLE[0]}, {**WHOLE[1], "value": 1.0, "verdict": "inconclusive", "reason": "words_unclear"}]
    unclear = challenge_decided(person(), early, "inconclusive", reason="words_unclear")
    flips, counts, read = reruns.what_if({"spoof": 0.3, "liveness": 1.0})
    assert [(flip.examination_id, flip.before, flip.after) for flip in flips] == [
        (unclear.id, "inconclusive", "goes on")
    ]  # in a rehearsal the spoof verdict is recorded only
    assert flips[0].unknown == ("own_mark", "spoof")
    Examination.objects.update(rehearsal=False)
    flips, counts, read = reruns.what_if({"spoof": 0.3})
    assert [(flip.examination_id, flip.after, flip.by) for flip in flips] == [(near.id, "refuse", "spoof")]
    assert (dict(counts), read) == ({"pass -> refuse (spoof)": 1}, 3)
    assert reruns.what_if({"spoof": 0.3}, since=now() + timedelta(seconds=1))[2] == 0
    said = run("what_if", "--spoof-threshold", "0.3", "--of", "challenge")
    assert str(near.id) in said
    assert str(far.id) not in said
    assert "1 of 3 decisions would change." in said


def test_the_speaker_threshold_is_asked_of_every_window(person: Any) -> None:
    recording = passed_recording(passed_challenge(person()))
    speaker = {**WHOLE[0], "kind": "speaker_windows", "value": 0.8, "threshold": 0.7}
    Examination.objects.filter(recording=recording).update(evidence=[speaker])
    assert "1 of 1 decisions" in run("what_if", "--speaker-threshold", "0.9", "--of", "recording")
    assert "0 of 1 decisions" in run("what_if", "--speaker-threshold", "0.75", "--of", "recording")


def test_no_threshold_is_no_question(person: Any) -> None:
    with pytest.raises(CommandError):
        run("what_if", "--since", "2026-01-01")
