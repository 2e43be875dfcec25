"""The splice cue on made backgrounds: it follows the words or it does not."""

import random

import numpy as np
import pytest

from consent.biometrics import background, speech
from consent.biometrics.attacks import splicing
from consent.biometrics.train_splice import DISTURBANCES, FALSE_ALARMS, RECORDED, Row, train
from demo.flite.speaker import speak

RATE = 16_000
WORDS = ("umbrella", "dinosaur", "pineapple", "telescope", "hospital", "crocodile")


@pytest.fixture(scope="module")
def words() -> list[np.ndarray]:
    return [speak(word, voice="slt")[0] for word in WORDS]


def held_up(sound: np.ndarray) -> bool:
    heard = sound.astype(np.float32)
    found = background.measure(heard, speech.frame_mask(heard))
    judge = background.detector()
    return found is not None and judge.probability(found) >= judge.threshold


@pytest.mark.parametrize("join", [splicing.CRUDE, splicing.FADED])
def test_most_words_of_several_days_are_held_up(words, join: str) -> None:
    found = [held_up(splicing.spliced(words, random.Random(seed), join=join)) for seed in range(12)]
    assert sum(found) >= (11 if join == splicing.CRUDE else 9)


@pytest.mark.parametrize("name", list(DISTURBANCES))
def test_what_happens_in_honest_recordings_holds_hardly_anybody_up(words, name: str) -> None:
    """A fan, breath, a noise gate, a room: one recording all the same."""
    found = []
    for seed in range(8):
        rng = random.Random(seed)
        reading = np.concatenate([np.pad(word, int(rng.uniform(0.1, 0.6) * RATE)) for word in words])
        found.append(held_up(DISTURBANCES[name](splicing.Session.drawn(rng).recorded(reading, rng), rng)))
    assert sum(found) <= 1


def test_words_of_one_session_leave_no_trace_and_this_says_so(words) -> None:
    """What the cue cannot see stays written down: if this ever fails, the card promises too little."""
    found = [held_up(splicing.spliced(words, random.Random(seed), join=splicing.ONE_SESSION)) for seed in range(8)]
    assert sum(found) <= 1


def test_too_few_pauses_say_nothing() -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.01, 2 * RATE).astype(np.float32)
    assert background.measure(noise, np.zeros(-(-noise.size // speech.FRAME), dtype=bool)) is None
    assert background.measure(noise[:100], np.ones(1, dtype=bool)) is None


def test_the_shipped_figures_are_of_people_that_were_not_fitted_and_hold_the_bars() -> None:
    lines = {line["kind"]: line for line in background.detector().measured}
    honest = [line for kind, line in lines.items() if kind.startswith("genuine")]
    assert {f"genuine: {name}" for name in DISTURBANCES} | {RECORDED} <= set(lines)
    assert sum(line["held up"] for line in honest) <= 0.02 * sum(line["recordings"] for line in honest)
    for join, least in ((splicing.CRUDE, 0.85), (splicing.FADED, 0.75)):
        line = lines[f"spliced: {join}"]
        assert line["recordings"] >= 100
        assert line["held up"] >= least * line["recordings"]


def test_fitting_learns_what_tells_the_two_apart_and_keeps_the_false_alarms_it_was_asked_for() -> None:
    rng = np.random.default_rng(1)

    def row(test: bool, spliced: bool) -> Row:
        words_apart = float(rng.uniform(0.5, 8.0))
        pauses_apart = words_apart * (4.0 if spliced else 1.0) * float(rng.uniform(0.7, 1.4))
        found = background.Background(5, pauses_apart, words_apart, tuple(rng.uniform(0.0, 2.0, 5)))
        return Row("spliced: x" if spliced else "genuine: x", spliced, test, found)

    made = [row(test, spliced) for test in (False, True) for spliced in (False, True) for _ in range(200)]
    stored = train(made)
    lines = {line["kind"]: line["held up"] for line in stored["measured"]}
    assert lines["spliced: x"] >= 150
    assert lines["genuine: x"] <= 200 * (FALSE_ALARMS + 0.03)
    with pytest.raises(ValueError, match="too few"):
        train([one for one in made if one.test])
