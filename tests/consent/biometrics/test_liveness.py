import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.biometrics import liveness, recogniser, splice
from consent.biometrics.audio import AudioError
from consent.biometrics.evidence import Verdict
from consent.biometrics.liveness import Timeline, TimelineError, check, errors
from consent.biometrics.words import ChallengeError, draw, vocabulary

RATE = 16_000
WORDS = ["umbrella", "dinosaur", "pineapple", "telescope", "hospital", "crocodile"]


def test_a_reading_of_the_words_passes(say) -> None:
    found = check(say(WORDS), RATE, WORDS, timeline=Timeline(100.0, 102.0, 108.0, 220.0))
    assert found.verdict is Verdict.PASS
    assert found.details["heard"] == WORDS
    assert found.details["clock"] == "judged"


def test_most_random_challenges_pass_and_no_wrong_one_does(say) -> None:
    rng = random.Random(11)
    passed = 0
    for _ in range(8):
        words = draw(rng=rng)
        wave = say(words)
        passed += check(wave, RATE, words, timeline=None).passed
        assert check(wave, RATE, draw(rng=rng), timeline=None).verdict is Verdict.REFUSE
        other = list(words)
        other[rng.randrange(6)] = rng.choice([word for word in vocabulary() if word not in words])
        assert not check(wave, RATE, other, timeline=None).passed
    assert passed >= 7


def test_the_right_words_in_another_order_never_pass(say) -> None:
    swapped = [WORDS[1], WORDS[0], *WORDS[2:]]
    assert not check(say(WORDS), RATE, swapped, timeline=None).passed


def test_one_missing_word_is_inconclusive_and_two_are_refused(say) -> None:
    five = say(WORDS[:5])
    assert check(five, RATE, WORDS, timeline=None).reason == "words_unclear"
    assert check(say(WORDS[:4]), RATE, WORDS, timeline=None).reason == "wrong_words"
    assert check(five, RATE, WORDS, timeline=None).verdict is Verdict.INCONCLUSIVE


def test_recognition_forgets_the_speaker_before(say) -> None:
    first = recogniser.recognise(say(WORDS))
    recogniser.recognise(say(WORDS, "rms") * np.float32(0.2))
    assert recogniser.recognise(say(WORDS)) == first


def test_a_late_start_and_an_expired_challenge_are_refused(say) -> None:
    wave = say(WORDS)
    assert check(wave, RATE, WORDS, timeline=Timeline(0.0, 9.8, 16.0, 120.0)).reason == "late_start"
    assert check(wave, RATE, WORDS, timeline=Timeline(0.0, 2.0, 121.0, 120.0)).reason == "expired"


@pytest.mark.parametrize(
    "moments",
    [(0.0, float("nan"), 1.0, 2.0), (5.0, 4.0, 6.0, 60.0), (0.0, 3.0, 2.0, 60.0), (0.0, 1.0, 2.0, 3_600.0)],
)
def test_an_impossible_timeline_is_an_error(moments: tuple[float, float, float, float]) -> None:
    with pytest.raises(TimelineError):
        Timeline(*moments)


def test_an_inserted_gap_of_digital_silence_is_refused(say) -> None:
    wave = say(WORDS)
    middle = wave.size // 2
    cut = np.concatenate([wave[:middle], np.zeros(3_200, np.float32), wave[middle:]])
    found = check(cut, RATE, WORDS, timeline=None)
    assert (found.verdict, found.reason) == (Verdict.REFUSE, "spliced")
    assert found.details["digital_silence"][0][0] == pytest.approx(middle / RATE, abs=0.01)


def test_a_passage_that_occurs_twice_is_refused(say) -> None:
    wave = say(WORDS)
    spot = int(np.argmax(np.convolve(wave**2, np.ones(1_600), mode="valid")))
    copied = np.concatenate([wave, wave[spot : spot + 1_600], say(WORDS, seed=1)[: RATE // 2]])
    found = check(copied, RATE, WORDS, timeline=None)
    assert found.reason == "spliced"
    first, second = found.details["repeats"][0]
    assert first == pytest.approx(spot / RATE, abs=0.1)
    assert second == pytest.approx(wave.size / RATE, abs=0.1)


@given(st.integers(0, 2**32 - 1))
def test_noise_never_repeats(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0.0, 0.1, 8_000).astype(np.float32)
    assert splice.repeats(noise, RATE) == []
    assert splice.digital_silence(noise, RATE) == []


def test_silence_is_inconclusive() -> None:
    found = check(np.zeros(32_000, np.float32), RATE, WORDS, timeline=None)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "no_speech")


@pytest.mark.parametrize(
    "words",
    [[], WORDS[:3], [*WORDS[:5], WORDS[0]], [*WORDS[:5], "xyzzy"], [*WORDS[:5], "umbrella ) | <any>"]],
)
def test_a_challenge_that_was_never_drawn_is_an_error(words: list[str]) -> None:
    with pytest.raises(ChallengeError):
        check(np.zeros(32_000, np.float32), RATE, words, timeline=None)


def test_a_live_answer_has_an_end() -> None:
    with pytest.raises(AudioError):
        check(np.zeros(61 * RATE, np.float32), RATE, WORDS, timeline=None)


TOKENS = st.lists(st.sampled_from("abcdef"), max_size=7)


@given(TOKENS, TOKENS)
def test_no_misses_means_all_words_in_order(expected: list[str], heard: list[str]) -> None:
    missed, extra = errors(expected, heard)
    rest = iter(heard)
    assert (missed == 0) == all(word in rest for word in expected)
    assert missed <= len(expected)
    assert extra <= len(heard)


def test_wrong_words_are_not_hidden_by_extra_ones() -> None:
    assert errors("abc", "abc") == (0, 0)
    assert errors("abc", "axbc") == (0, 1)
    assert errors("abc", "axc") == (1, 0)
    assert errors("abc", "ab") == (1, 0)
    assert liveness.MAX_EXTRA_WORDS < 2
