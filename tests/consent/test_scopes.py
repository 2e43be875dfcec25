"""A licence's scope: never more than its consent, whatever it says, and the same after a journey through ODRL."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import odrl
from consent.scopes import (
    CHANNELS,
    MAX_CAP,
    MODERATION,
    SPECIAL_USES,
    SURVIVAL,
    TOPICS,
    Ground,
    Scope,
    ScopeInvalid,
    Use,
    denials,
    exceeds,
    narrowed,
    parse,
)
from consent.uses import USES

END = datetime(2030, 1, 1, tzinfo=UTC)
COUNTRIES = ("CN", "DE", "FR", "US")
LANGUAGES = ("en", "ja", "zh")


def lists(of: Any, least: int = 1) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(sorted(of)), min_size=least, unique=True)


CAPS = st.fixed_dictionaries(
    {},
    optional={
        "seconds": st.integers(1, MAX_CAP),
        "outputs": st.integers(1, MAX_CAP),
        "seats": st.integers(1, 50),
    },
)
RAW = st.fixed_dictionaries(
    {},
    optional={
        "uses": lists(USES, 0),
        "languages": lists(LANGUAGES),
        "territory": lists(COUNTRIES),
        "channels": lists(CHANNELS),
        "blocked": lists(TOPICS, 0),
        "caps": CAPS,
        "notice_days": st.integers(0, 730),
        "attribution": st.text(max_size=40),
        "moderation": st.sampled_from(MODERATION),
        "survival": st.sampled_from(SURVIVAL),
    },
)
GROUNDS = st.builds(
    Ground,
    uses=lists(USES, 0).map(frozenset),
    languages=lists(LANGUAGES).map(frozenset),
    territory=st.one_of(st.just("worldwide"), lists(COUNTRIES).map(",".join)),
    valid_until=st.just(END),
)
ACTS = st.builds(
    Use,
    language=st.sampled_from(LANGUAGES),
    channel=st.sampled_from(("", *CHANNELS)),
    territory=st.sampled_from(("", *COUNTRIES)),
    uses=lists(SPECIAL_USES, 0).map(frozenset),
    topics=lists(TOPICS, 0).map(frozenset),
)


@given(raw=RAW, ground=GROUNDS, use=ACTS, late=st.integers(-3, 3))
def test_what_a_licence_inside_its_consent_allows_the_consent_allows(raw, ground, use, late):
    scope = parse(raw)
    if exceeds(scope, ground, until=END + timedelta(days=late)):
        return
    assert late <= 0
    if denials(scope, ground, use):
        return
    assert "licence_to_others" in ground.uses
    assert use.language in ground.languages
    assert use.uses <= ground.uses
    assert ground.countries is None or use.territory in ground.countries


@given(raw=RAW, ground=GROUNDS, use=ACTS)
def test_no_use_of_a_scope_that_exceeds_its_consent_escapes_the_consent_either(raw, ground, use):
    """The gate asks both: a licence that came to exceed its consent (by a renewal gone wrong) still allows nothing."""
    if not denials(parse(raw), ground, use):
        assert use.language in ground.languages
        assert use.uses <= ground.uses
        assert ground.countries is None or parse(raw).territory is not None or use.territory in ground.countries


@given(raw=RAW)
def test_a_scope_is_the_same_after_json_and_after_odrl(raw):
    scope = parse(raw)
    assert parse(scope.as_json()) == scope
    policy = odrl.policy(
        scope, uid="urn:u", assigner="urn:a", assignee="urn:b", target="urn:c", characters=10_000, until=END
    )
    assert odrl.read(policy) == (scope, 10_000, END)


@given(raw=RAW, limits=RAW.filter(lambda one: "uses" not in one or one["uses"]), use=ACTS, ground=GROUNDS)
def test_a_scope_inside_a_text_is_never_wider_than_the_text(raw, limits, use, ground):
    try:
        scope = narrowed(parse(raw), limits)
    except ScopeInvalid:
        return
    bound = parse(limits)
    for name in ("uses", "channels"):
        allowed, wanted = getattr(bound, name), getattr(scope, name)
        assert allowed is None or wanted <= allowed
    assert bound.caps.seats is None or scope.caps.seats <= bound.caps.seats


@pytest.mark.parametrize(
    ("raw", "clause"),
    [
        ({"emotions": ["angry"]}, "emotions"),
        ({"languages": []}, "languages"),
        ({"languages": "en"}, "languages"),
        ({"territory": ["Germany"]}, "territory"),
        ({"territory": ["DE"] * 0}, "territory"),
        ({"channels": ["billboard"]}, "channels"),
        ({"blocked": ["weather"]}, "blocked"),
        ({"caps": {"seconds": 0}}, "caps.seconds"),
        ({"caps": {"outputs": -1}}, "caps.outputs"),
        ({"caps": {"outputs": 10**18}}, "caps.outputs"),
        ({"caps": {"seats": True}}, "caps.seats"),
        ({"caps": {"minutes": 1}}, "caps"),
        ({"notice_days": 731}, "notice_days"),
        ({"attribution": "x" * 121}, "attribution"),
        ({"moderation": "none"}, "moderation"),
        ({"survival": "burn"}, "survival"),
        ({"exclusive": 1}, "exclusive"),
    ],
)
def test_what_is_no_scope_is_refused_by_its_clause(raw, clause):
    with pytest.raises(ScopeInvalid) as refused:
        parse(raw)
    assert refused.value.clause == clause


def test_a_policy_with_a_rule_nobody_understands_is_refused():
    policy = odrl.policy(
        Scope(blocked=frozenset({"money"})),
        uid="urn:u", assigner="urn:a", assignee="urn:b", target="urn:c", characters=5, until=END,
    )  # fmt: skip
    assert odrl.read(policy)[0].blocked == {"money"}
    for broken in (
        {**policy, "obligation": [{"action": "pay"}]},
        {**policy, "prohibition": [*policy["prohibition"], *policy["prohibition"]]},
        {**policy, "profile": "urn:other"},
        {**policy, "permission": []},
        {},
    ):
        with pytest.raises(odrl.OdrlInvalid):
            odrl.read(broken)
