"""The stranger's ears: a clear synthesiser is understood, silence and noise are not made into words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cloning.engine.evaluate import align, hearing
from cloning.engine.evaluate.hearing import RATE, NoRecogniser, Recogniser, at_rate, differently, grammar, recogniser
from cloning.engine.evaluate.listening import Heard, Listener
from cloning.engine.evaluate.texts import Item, items
from demo.flite.speaker import speak


@pytest.fixture(scope="module")
def ears() -> Recogniser:
    return recogniser("en")


def spoken(text: str, voice: str = "awb") -> np.ndarray:
    return speak(text, voice=voice)[0]


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("matrix", "brian keeps seven old windows"),
        ("loop", "brian keeps seven old windows"),
        ("open", "the old man walked slowly to the market to buy bread and apples"),
    ],
)
def test_a_clear_sentence_is_heard_word_for_word(ears: Recogniser, how: str, text: str) -> None:
    assert " ".join(ears.words(spoken(text), how)) == text


def test_the_loop_hears_words_left_out_and_said_twice_and_the_grammar_cannot(ears: Recogniser) -> None:
    wave = spoken("Peter bought bought two chairs.")
    steps = align.align(("peter", "bought", "two", "small", "chairs"), ears.words(wave, "loop"), ears.same)
    assert (align.skipped(steps), align.repeated(steps)) == (1, 1)
    assert len(ears.words(wave, "matrix")) == 5


def test_phones_are_heard_without_words(ears: Recogniser) -> None:
    item = items("open")[0]
    heard = ears.phones(spoken(item.text))
    count = sum(len(ears.pronunciations(word)[0]) for word in item.words)
    found = align.phone_errors([ears.pronunciations(word) for word in item.words], heard)
    assert found < 0.5 * count
    assert align.phone_errors([ears.pronunciations(word) for word in items("open")[3].words], heard) > found


@pytest.mark.parametrize("sound", ["silence", "noise"])
def test_what_is_not_speech_is_not_the_sentence(ears: Recogniser, sound: str) -> None:
    wave = np.zeros(2 * RATE, np.float32)
    if sound == "noise":
        wave = np.random.default_rng(1).normal(0, 0.05, 2 * RATE).astype(np.float32)
    given = items("matrix")[0].words
    steps = align.align(given, ears.words(wave, "loop"), ears.same)
    assert sum(step.kind == "right" for step in steps) <= 1


def test_what_was_heard_before_changes_nothing(ears: Recogniser) -> None:
    wave = spoken("Emma found nine cheap rings.")
    before = ears.words(wave, "open"), ears.phones(wave)
    ears.words(0.05 * spoken("Something else entirely, and very quiet."), "open")
    assert (ears.words(wave, "open"), ears.phones(wave)) == before


def test_durations_are_of_each_word_and_none_of_words_that_do_not_fit(ears: Recogniser) -> None:
    wave = spoken("Emma found nine cheap rings.")
    seconds = ears.durations(wave, ("emma", "found", "nine", "cheap", "rings"))
    assert seconds is not None
    assert len(seconds) == 5
    assert 0.6 * len(wave) / RATE < sum(seconds) <= len(wave) / RATE
    assert all(0.05 < one < 1.0 for one in seconds)
    assert ears.durations(wave, ("emma", "xqzt")) is None
    assert ears.durations(wave[:800], ("emma", "found", "nine", "cheap", "rings")) is None


@pytest.mark.long
@pytest.mark.parametrize("voice", ["awb", "rms"])
def test_a_text_is_followed_and_what_is_left_out_or_said_again_shows(ears: Recogniser, voice: str) -> None:
    given = ("the", "boy", "asked", "his", "mother", "for", "a", "glass", "of", "water")
    assert ears.followed(spoken(" ".join(given) + ".", voice), given) == given
    left_out = [given[:place] + given[place + 1 :] for place in range(len(given))]
    again = [given[: place + 1] + given[place:] for place in range(len(given))]
    found = [ears.followed(spoken(" ".join(said) + ".", voice), given) for said in left_out + again]
    assert sum(one == given for one in found) <= 1
    assert left_out[6] in found
    assert again[6] in found


def test_what_one_hearing_lets_go_by_a_narrow_margin_is_heard_again(
    ears: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("in", "the", "evening", "the", "market", "is", "full", "of", "tourists")
    whole, without = (spoken(text, "slt") for text in (" ".join(given) + ".", " ".join(given[:5] + given[6:]) + "."))
    assert ears.followed(whole, given) == given
    assert ears.followed(without, given) != given
    monkeypatch.setattr(hearing, "differently", lambda wave: iter(()))
    assert ears.followed(whole, given) != given


def test_a_sound_is_heard_again_with_a_hairs_difference() -> None:
    wave = spoken("Emma found nine cheap rings.")
    seconds = [len(other) / len(wave) for other in differently(wave)]
    assert seconds == pytest.approx([1.0, 1.03, 1 / 1.03, 1.0], abs=0.005)
    assert all(other.dtype == np.float32 for other in differently(wave))
    later, *_, noisy = differently(wave)
    assert (later[-len(wave) :] == wave).all()
    assert 0 < np.abs(noisy - wave).max() < 0.01


def test_what_cannot_be_followed_says_so(ears: Recogniser) -> None:
    given = ("emma", "found", "nine", "cheap", "rings")
    assert ears.followed(spoken("Emma found nine."), ("emma", "xqzt")) is None
    assert ears.followed(spoken("Emma found nine."), ()) is None
    for silence in (np.zeros(2 * RATE, np.float32), np.zeros(300, np.float32), np.zeros(0, np.float32)):
        assert ears.followed(silence, given) == ()
    # Whoever was asked before is forgotten.
    assert ears.followed(spoken("Emma found nine cheap rings."), given) == given
    assert ears.durations(spoken("Emma found nine cheap rings."), given) is not None


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [("red", "read", True), ("lorry", "laurie", True), ("red", "bed", False), ("x'q", "x'q", True)],
)
def test_words_are_compared_by_sound(ears: Recogniser, one: str, other: str, alike: bool) -> None:
    assert ears.same(one, other) is alike


def test_the_grammar_holds_every_choice() -> None:
    assert grammar().count("|") == 5 * 9
    assert grammar().startswith("#JSGF V1.0;\n")


def test_a_language_without_a_recogniser_says_so() -> None:
    with pytest.raises(NoRecogniser) as refusal:
        recogniser("ja")
    assert refusal.value.code == "no_recogniser"


def test_sound_of_another_rate_is_brought_to_ours() -> None:
    assert at_rate(np.zeros(32000, np.float32), 32000).shape == (RATE,)


class Counted:
    """A recogniser that hears every word as "oh" and counts how often it is asked."""

    name = "counted"

    def __init__(self) -> None:
        self.asked = 0

    def words(self, wave: np.ndarray, how: str) -> tuple[str, ...]:
        self.asked += 1
        return ("oh",)

    def phones(self, wave: np.ndarray) -> tuple[str, ...]:
        return ("OW",)

    def pronunciations(self, word: str) -> tuple[tuple[str, ...], ...]:
        return (tuple(word.upper()),)

    def same(self, one: str, other: str) -> bool:
        return one == other

    def durations(self, wave: np.ndarray, words: object) -> tuple[float, ...] | None:
        return (0.5,)

    def followed(self, wave: np.ndarray, words: object) -> tuple[str, ...] | None:
        return ("oh", "oh") if wave[0] == 1 else None


def test_a_listener_remembers_in_this_run_and_in_its_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    kept = tmp_path_factory.mktemp("kept") / "new"
    item, wave = Item("open-01", "open", "Oh!", "Oh!"), np.ones(10, np.float32)
    first = Listener(Counted(), kept)
    heard = first.hear(item, wave)
    assert first.hear(item, wave) is heard
    second = Listener(ears := Counted(), kept)
    assert second.hear(item, wave) == heard
    assert ears.asked == 0
    other = second.hear(item, 2 * wave)
    assert other == dataclasses.replace(heard, followed=None)
    assert Heard.from_json(other.to_json()) == other
    assert ears.asked == 1
    assert heard.followed is not None
    assert align.repeated(heard.followed) == 1
    assert Heard.from_json(heard.to_json()) == heard


def test_a_refused_text_counts_as_all_its_words_missing() -> None:
    listener = Listener(Counted())
    item = items("matrix")[0]
    heard = listener.hear(item, None)
    assert align.errors(heard.steps) == align.skipped(heard.steps) == heard.forced == 5
    assert heard.phone_errors == listener.phone_count(item) == sum(map(len, item.words))
