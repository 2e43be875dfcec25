import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.biometrics.advice import ADVICE, advice
from consent.biometrics.evidence import Evidence, EvidenceError, Verdict


def make(value: float = 0.5, verdict: Verdict = Verdict.PASS, **details: object) -> Evidence:
    return Evidence("quality", value, 0.4, verdict, "ok", advice("ok"), "m-1", dict(details))


@given(value=st.floats(allow_nan=False, allow_infinity=False), verdict=st.sampled_from(Verdict))
def test_evidence_survives_json(value: float, verdict: Verdict) -> None:
    found = make(value, verdict, heard=["a", "b"], net=1.5)
    assert Evidence.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_evidence_that_json_cannot_hold_is_refused(bad: float) -> None:
    with pytest.raises(EvidenceError):
        make(bad)
    with pytest.raises(EvidenceError):
        make(pairs=[[0.0, bad]])


def test_only_a_pass_is_a_pass() -> None:
    assert [make(verdict=verdict).passed for verdict in Verdict] == [True, False, False]


@pytest.mark.parametrize("change", [{"verdict": "maybe"}, {"surprise": 1}])
def test_unknown_content_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(EvidenceError):
        Evidence.from_dict({**make().to_dict(), **change})


def test_missing_content_is_refused() -> None:
    stored = make().to_dict()
    del stored["threshold"]
    with pytest.raises(EvidenceError):
        Evidence.from_dict(stored)


def test_every_reason_has_advice_in_both_languages() -> None:
    assert all(set(text) == {"en", "zh"} and all(text.values()) for text in ADVICE.values())
