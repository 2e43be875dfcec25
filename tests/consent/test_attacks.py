"""Each attack of the list, played against the platform with real sound. None may end in a recording that passed.

What a good attacker has: a victim's recordings (``slt``), an own voice, tools, patience. What decides is written down
by reason, so that a gate that lets one through, or stops it by luck, fails here.
"""

from typing import Any

import numpy as np
import pytest

from consent.biometrics.copies import source_filter
from consent.models import Challenge, Consent, Recording
from tests.consent.readers import RATE, answer, honest, offer, read_well, reader, said, script, wav

pytestmark = pytest.mark.django_db
VICTIM, ATTACKER, SAME_GENDER = "slt", "rms", "awb"


def room(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1e-3, round(seconds * RATE)).astype(np.float32)


def refused(thing: Challenge | Recording, *reasons: str) -> None:
    found = thing.examination
    assert thing.state in ("refused", "inconclusive"), found.evidence
    assert found.reason in reasons, found.reason
    assert found.advice["en"]
    assert found.advice["zh"]
    assert not Consent.objects.exists()


def test_a_replayed_answer_is_refused_and_known_again(person: Any) -> None:
    attacker = person()
    old: list[np.ndarray] = []

    def first(words: list[str]) -> np.ndarray:
        old.append(said(", ".join(words), VICTIM))
        return old[0]

    answer(attacker, first)
    refused(answer(attacker, lambda _: old[0]), "wrong_words")
    # And with the new words behind it, too: a replay is a replay.
    again = answer(attacker, lambda words: np.concatenate([old[0], said(", ".join(words), VICTIM)]))
    refused(again, "wrong_words", "words_unclear", "replayed", "spliced")


def test_own_words_cut_from_old_recordings_are_refused(person: Any) -> None:
    """Six single words with nothing between: what cutting out leaves, when nobody hides it."""

    def spliced(words: list[str]) -> np.ndarray:
        silence = np.zeros(RATE // 3, np.float32)
        parts = [part for word in words for part in (said(word, VICTIM, pause=0.0), silence)]
        return np.concatenate([room(0.5), *parts, room(0.5)])

    refused(answer(person(), spliced), "spliced")


def test_another_person_cannot_bring_the_victims_recordings(person: Any) -> None:
    """The attacker reads live with their own voice and uploads what they have of the victim."""
    refused(offer(honest(person(), ATTACKER), wav(script(VICTIM))), "different_speaker")


def test_another_person_of_the_same_gender_cannot_either(person: Any) -> None:
    refused(
        offer(honest(person(), ATTACKER), wav(script(SAME_GENDER))),
        "different_speaker",
        "speaker_uncertain",
        "several_speakers",
    )


def test_a_synthetic_voice_that_reads_the_words_sounds_like_nobody_enrolled(person: Any) -> None:
    """A text-to-speech voice passes the words: the speaker step holds it off."""
    challenge = read_well(person(), reader("kal16"))
    if challenge.state == "passed":
        refused(offer(challenge, wav(script(VICTIM))), "different_speaker", "speaker_uncertain")
    else:
        refused(challenge, challenge.examination.reason)


def test_a_masked_voice_is_not_the_victim(person: Any) -> None:
    """The attacker's voice turned towards the victim's pitch and size by a source-filter mask, live."""
    mask = source_filter(40, pitch=1.7, formants=1.15)

    def masked(words: list[str]) -> np.ndarray:
        sound = said(", ".join(words), ATTACKER)
        return (mask(sound) + room(sound.size / RATE, 1)).astype(np.float32)

    challenge = answer(person(), masked)
    if challenge.state == "passed":
        refused(offer(challenge, wav(script(VICTIM))), "different_speaker", "speaker_uncertain")
    else:
        refused(challenge, challenge.examination.reason)


def test_the_victims_voice_made_by_our_own_engine_is_no_person_in_production(person: Any) -> None:
    """The perfect clone: the victim's own reading of the new words, passed through our engine and left unmarked."""
    from cloning.engine.training.base import starter_base
    from demo.attack_voices import posterior_copy

    copy = posterior_copy(starter_base().build_acoustic(0).eval())

    def cloned(words: list[str]) -> np.ndarray:
        sound = copy(said(", ".join(words), VICTIM))
        return (sound + room(sound.size / RATE, 2)[: sound.size]).astype(np.float32)

    challenge = answer(person(), cloned, rehearsal=False)
    refused(challenge, challenge.examination.reason)


def test_ten_percent_of_somebody_else_is_refused_by_the_seconds(person: Any) -> None:
    mine, theirs = script(VICTIM), script(ATTACKER)
    tenth, at = mine.size // 9, mine.size // 2
    mixed = np.concatenate([mine[:at], theirs[:tenth], mine[at:]])
    recording = offer(honest(person(), VICTIM), wav(mixed))
    refused(recording, "several_speakers")
    windows = next(one for one in recording.examination.evidence if one["kind"] == "speaker_windows")
    (start, end), *_ = windows["details"]["others"]
    assert start < (at + tenth) / RATE
    assert end > at / RATE


def test_the_same_recording_does_not_count_twice(person: Any) -> None:
    challenge = honest(person(), VICTIM)
    assert offer(challenge, wav(script(VICTIM))).state == "passed"
    refused(offer(challenge, wav(0.5 * script(VICTIM))), "sent_before")


@pytest.mark.slow
@pytest.mark.parametrize("fine_tuned", [False, True], ids=["zero-shot", "fine-tuned"])
def test_our_own_engines_clone_of_the_victim_does_not_pass_in_production(person: Any, fine_tuned: bool) -> None:
    from demo.attack_voices import clone
    from tests.consent.readers import SENTENCES

    material = [
        (said(" ".join(pair), VICTIM), " ".join(pair)) for pair in zip(SENTENCES[::2], SENTENCES[1::2], strict=True)
    ]
    read = clone(material, rate=RATE, fine_tuned=fine_tuned)

    def cloned(words: list[str]) -> np.ndarray:
        sound = np.pad(read(words), RATE // 2)
        return (sound + room(sound.size / RATE, 2)).astype(np.float32)

    challenge = answer(person(), cloned, rehearsal=False)
    assert challenge.state != "passed", challenge.examination.evidence
