"""The making of the Mandarin recogniser, without the synthesiser: what is said, what is done to it, what is learnt."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cloning.engine.evaluate.mandarin_hearing import pairs, save
from cloning.engine.evaluate.mandarin_sound import CHANNELS, RATE, seen
from cloning.engine.text.mandarin_syllables import initial_final
from demo.starter import mandarin_judge as judge


def test_no_judge_is_heard_in_training() -> None:
    assert not set(judge.JUDGES) & set(judge.VARIANTS)
    assert len(set(judge.VARIANTS)) == len(judge.VARIANTS) > 60


def test_every_pair_of_symbols_is_spelled_as_the_engine_reads_it() -> None:
    spelled = judge._pinyin()
    assert set(pairs()) - set(spelled) == {("y", "o")}
    assert (spelled["j", "v"], spelled["n", "v"], spelled["y", "En"]) == ("ju", "nv", "yan")
    for pair, syllable in spelled.items():
        assert initial_final(f"{syllable}3") == [pair[0], f"{pair[1]}3"]


def test_no_third_tone_stands_before_another() -> None:
    rng = np.random.default_rng(1)
    for clause in (judge._drawn(rng) for _ in range(60)):
        assert all((initial, final) in pairs() and 1 <= tone <= 5 for initial, final, tone in clause)
        assert not any(one[2] == other[2] == 3 for one, other in itertools.pairwise(clause))


def test_a_text_is_read_by_the_clause_and_one_that_would_be_changed_is_left_out() -> None:
    assert judge.clauses("妈妈，你好吗？") == [
        (("m", "a", 1), ("m", "a", 5)),
        (("n", "i", 2), ("h", "ao", 3), ("m", "a", 5)),
    ]
    assert judge.clauses("图书馆里非常安静，妈妈。") == [(("m", "a", 1), ("m", "a", 5))]


@pytest.mark.parametrize("seed", range(8))
def test_disturbed_and_varied_sounds_are_finite_and_about_as_long(seed: int) -> None:
    wave = np.sin(np.arange(RATE) * 0.05).astype(np.float32)
    heard = judge.disturbed(wave, np.random.default_rng(seed))
    assert heard.dtype == np.float32
    assert 0.8 * RATE < len(heard) < 1.2 * RATE
    assert 0 < np.abs(heard).max() < 1
    varied = judge.varied(seen(heard), np.random.default_rng(seed))
    assert varied.shape[0] == CHANNELS
    assert 80 <= varied.shape[1] <= 125
    assert np.isfinite(varied).all()


def test_training_is_a_function_of_its_clips() -> None:
    rng = np.random.default_rng(1)
    clips = [
        judge.Clip(seen(rng.normal(0, 0.1, RATE // 2).astype(np.float32)).astype(np.float16), (("h", "ao", 3),))
        for _ in range(judge.BATCH)
    ]
    one, other = (judge.train(clips, 3, bfloat16=False) for _ in range(2))
    assert save(one) == save(other)
