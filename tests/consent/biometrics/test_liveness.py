import random
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.biometrics import liveness, recogniser, speech, splice
from consent.biometrics.audio import AudioError
from consent.biometrics.calibrate import clips
from consent.biometrics.evidence import Verdict
from consent.biometrics.liveness import Timeline, TimelineError, check, errors
from consent.biometrics.words import ChallengeError, draw, vocabulary
from demo.flite.speaker import speak

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
    for _ in range(4):
        words = draw(rng=rng)
        wave = say(words)
        passed += check(wave, RATE, words, timeline=None).passed
        assert check(wave, RATE, draw(rng=rng), timeline=None).verdict is Verdict.REFUSE
        other = list(words)
        other[rng.randrange(6)] = rng.choice([word for word in vocabulary() if word not in words])
        assert not check(wave, RATE, other, timeline=None).passed
    assert passed >= 3


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


def test_a_listening_that_was_interrupted_harms_no_later_one(say) -> None:
    recogniser._decoder().start_utt()  # as a task's time limit would leave it
    with pytest.raises(RuntimeError):
        recogniser.recognise(say(WORDS))
    assert recogniser.recognise(say(WORDS)) == WORDS


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


def test_a_challenge_object_and_positional_arguments_are_taken() -> None:
    silence = np.zeros(32_000, np.float32)
    challenge = types.SimpleNamespace(words=tuple(WORDS))
    assert check(silence, RATE, challenge).details["language"] == "en"
    assert check(silence, RATE, WORDS, Timeline(0.0, 1.0, 3.0, 120.0)).reason == "no_speech"
    for nonsense in ("umbrella dinosaur", None, 7, [1, 2, 3, 4, 5, 6]):
        with pytest.raises(ChallengeError):
            check(silence, RATE, nonsense)


def test_sound_that_arrived_all_at_once_was_not_spoken_live(say) -> None:
    wave = np.concatenate([say(WORDS), say("a", seed=3)])
    assert wave.size / RATE > liveness.MAX_AHEAD_SECONDS
    assert check(wave, RATE, WORDS, Timeline(0.0, 1.0, 1.1, 120.0)).reason == "not_streamed"


def test_long_pauses_between_words_do_no_harm(say) -> None:
    pause = np.random.default_rng(1).normal(0.0, 1e-3, 2 * RATE).astype(np.float32)
    parts = [part for word in WORDS for part in (say(word), pause)]
    found = check(np.concatenate(parts), RATE, WORDS)
    assert found.verdict is Verdict.PASS, found.details


def test_a_background_that_changes_between_words_is_noticed_and_one_that_does_not_is_not(say) -> None:
    """Six words, each with its own second of background: first of one room, then of two that take turns."""
    rng = np.random.default_rng(4)

    def recording(levels: list[float]) -> np.ndarray:
        parts = [np.pad(speak(word, voice="slt")[0], RATE // 4) for word in WORDS]
        return np.concatenate([part + rng.normal(0.0, level, part.size).astype(np.float32)
                               for part, level in zip(parts, levels, strict=True)]).astype(np.float32)  # fmt: skip

    one, two = recording([1e-3] * 6), recording([1e-3, 4e-4] * 3)
    assert check(one, RATE, WORDS).verdict is Verdict.PASS
    found = check(two, RATE, WORDS)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "background_changes")
    assert found.details["across_pauses_db"] > 5.0 > found.details["across_words_db"]


def test_words_faster_than_anybody_reads_are_refused(say, monkeypatch) -> None:
    wave = say(WORDS)
    pace = check(wave, RATE, WORDS).details["words_a_second"]
    assert 0.5 < pace < liveness.MAX_PACE
    monkeypatch.setattr(liveness, "MAX_PACE", pace / 2)
    assert check(wave, RATE, WORDS).reason == "too_fast"


@pytest.mark.parametrize("kind", ["missing", "swapped", "changed"])
def test_a_partly_wrong_reading_never_passes(kind: str) -> None:
    """Over every reading the recogniser understood: the alignment itself can accept nothing but all words in order."""
    rng = random.Random(kind)
    for _ in range(500):
        shown = draw(rng=rng)
        said = list(shown)
        place = rng.randrange(5)
        if kind == "missing":
            del said[place]
        elif kind == "swapped":
            said[place], said[place + 1] = said[place + 1], said[place]
        else:
            said[place] = rng.choice([word for word in vocabulary() if word not in shown])
        assert errors(shown, said)[0] >= 1


def test_a_word_lost_in_a_room_is_found_by_listening_for_it_and_one_nobody_said_is_not(say) -> None:
    """Words and room were chosen for a palace that is heard at first where a balance was read."""
    said = ["jigsaw", "outcome", "tabletop", "balance", "secret", "interior"]
    wave = clips.room(say(said), 0.6, 0.0, 2)
    found = check(wave, RATE, said)
    assert (found.reason, found.details["listened"]) == ("ok", "for the words")
    spoken, _, _ = speech.spoken(wave, margin=liveness.PAUSE)
    free = recogniser.recognise(spoken)
    assert free != said
    for word in ("umbrella", "crocodile"):
        assert word not in recogniser.recognise(spoken, favoured=[*said[:3], word, *said[4:]])
    assert recogniser.recognise(spoken) == free


def test_words_a_room_hides_are_heard_when_the_room_is_taken_away(say) -> None:
    """Words and room were chosen for two that neither the sound as it is nor less background tells."""
    said = ["identity", "vinegar", "destiny", "patio", "spectacle", "campfire"]
    wave = clips.room(say(said), 0.6, 0.0, 0)
    found = check(wave, RATE, said)
    assert (found.reason, found.details["listened"]) == ("ok", "freely")
    spoken, _, _ = speech.spoken(wave, margin=liveness.PAUSE)
    assert [errors(said, recogniser.recognise(way(spoken)))[0] > 0 for way in liveness.WAYS] == [True, True, False]


def test_noise_is_not_listened_to_until_it_holds_the_words() -> None:
    """Where less than half was heard freely, the expected words are not favoured: silence says so by its count."""
    noise = np.random.default_rng(2).normal(0.0, 0.05, 6 * RATE).astype(np.float32)
    found = check(noise, RATE, WORDS)
    assert found.value >= len(WORDS) // 2
