"""A bucket's rules: what passes, and each way to be wrong."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from foundation.vault import lifecycle

Rules = list[dict[str, Any]]


def found(rules: Rules, prefix: str = "vouch/", **bucket: bool) -> list[str]:
    fine = {"versioned": True, "replicated": False, "locked": False}
    return lifecycle.problems(prefix=prefix, rules=rules, **fine | bucket)


def recommended(prefix: str = "vouch/") -> Rules:
    rules: Rules = deepcopy(lifecycle.recommended(prefix)["Rules"])
    return rules


@pytest.mark.parametrize("prefix", ["", "vouch/"])
@pytest.mark.parametrize("versioned", [True, False])
def test_the_recommended_rules_fit(prefix: str, versioned: bool) -> None:
    assert found(recommended(prefix), prefix, versioned=versioned) == []


def test_without_rules_everything_is_missing() -> None:
    assert len(found([])) == 4
    assert len(found([], versioned=False)) == 2


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda rules: rules[0]["Expiration"].update(Days=30), "No rule expires"),
        (lambda rules: rules[0]["Expiration"].update(Days=1), "before its deadlines"),
        (lambda rules: rules[0].update(Filter={"Prefix": "other/"}), "No rule expires"),
        (lambda rules: rules[0].update(Filter={"Tag": {"Key": "a", "Value": "b"}}), "No rule expires"),
        (lambda rules: rules[0].update(Filter={"Prefix": "vouch/"}), "delete voices"),
        (lambda rules: rules[0].update(Filter={}), "delete voices"),
        (lambda rules: rules.append({"Status": "Enabled", "Prefix": "", "Expiration": {"Days": 4}}), "delete voices"),
        (
            lambda rules: rules.append(
                {
                    "Status": "Enabled",
                    "Filter": {"And": {"Prefix": "vouch/ab", "Tags": []}},
                    "Expiration": {"Date": "2030-01-01"},
                }
            ),
            "delete voices",
        ),
        (lambda rules: rules[1].update(Status="Disabled"), "unfinished uploads"),
        (lambda rules: rules[1]["AbortIncompleteMultipartUpload"].update(DaysAfterInitiation=9), "unfinished uploads"),
        (lambda rules: rules[1]["NoncurrentVersionExpiration"].update(NoncurrentDays=9), "noncurrent"),
        (lambda rules: rules[2].update(Expiration={}), "delete markers"),
    ],
)
def test_each_wrong_rule_is_named(change: Callable[[Rules], Any], word: str) -> None:
    rules = recommended()
    change(rules)
    assert any(word in problem for problem in found(rules)), found(rules)


def test_copies_and_locks_are_refused() -> None:
    assert any("replicated" in problem for problem in found(recommended(), replicated=True))
    assert any("lock" in problem for problem in found(recommended(), locked=True))
