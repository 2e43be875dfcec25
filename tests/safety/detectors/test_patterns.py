"""Groups, windows, and a cost that no text can blow up."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.detectors.normalise import normalise
from safety.detectors.patterns import Pattern, PhraseTooShort, _narrowest


def test_every_group_must_be_present():
    pattern = Pattern.of([["grandma", "奶奶"], ["money", "钱"]], within=None)
    assert pattern.matches(normalise("Grandma, the money."))
    assert pattern.matches(normalise("奶奶, send money"))
    assert not pattern.matches(normalise("Grandma, the garden."))


def test_the_window_bounds_how_far_apart_the_groups_may_stand():
    pattern = Pattern.of([["grandma"], ["money"]], within=40)
    assert pattern.matches(normalise("grandma wants some money"))
    assert not pattern.matches(normalise("grandma " + "sat in the garden and read " * 4 + "money"))
    assert pattern.matches(normalise("grandma " + "sat in the garden and read " * 4 + "money grandma"))


@pytest.mark.parametrize("phrase", ["a", " ", "\u200b", "!", "aa"])
def test_a_phrase_that_normalises_to_almost_nothing_is_refused(phrase):
    with pytest.raises(PhraseTooShort):
        Pattern.of([[phrase]], within=None)


def test_one_chinese_character_is_a_phrase():
    assert Pattern.of([["妈"]], within=None).matches(normalise("妈，我到了"))


@pytest.mark.parametrize("text", ["a" * 20_000, "ab " * 6_000, "一千万" * 6_000, "\ufdfa" * 20_000, "a\u0336" * 10_000])
def test_hostile_texts_cost_little(text):
    pattern = Pattern.of([["ab", "aa b", "千万"], ["ba", "一千"], ["a b a"]], within=20)
    begin = time.process_time()
    pattern.matches(normalise(text))
    assert time.process_time() - begin < 2.0


spans = st.tuples(st.integers(0, 60), st.integers(1, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(st.lists(spans, min_size=1, max_size=6), min_size=1, max_size=3))
def test_the_narrowest_window_is_never_wider_than_the_best_single_choice(hits):
    import itertools

    best = min(max(end for _, end in choice) - min(begin for begin, _ in choice) for choice in itertools.product(*hits))
    assert _narrowest(hits) == best
