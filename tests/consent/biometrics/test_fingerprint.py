import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soxr import resample

from consent.biometrics import fingerprint
from consent.biometrics.audio import AudioError

RATE = 16_000


@pytest.fixture(scope="module")
def known(say, sentences) -> dict[str, bytes]:
    return {text[:12]: fingerprint.of(say(text), RATE) for text in sentences}


def test_the_same_recording_is_found_whatever_its_level_rate_or_noise(known, say, sentences) -> None:
    wave = say(sentences[0])
    louder = np.asarray(resample(wave * np.float32(1.7), RATE, 44_100), dtype=np.float32)
    noisy = wave + np.random.default_rng(0).normal(0.0, 2e-3, wave.size).astype(np.float32)
    for copy, rate in ((wave, RATE), (louder, 44_100), (noisy, RATE)):
        best = fingerprint.search(fingerprint.of(copy, rate), known)[0]
        assert best.name == sentences[0][:12]
        assert best.end - best.start > 2.9


def test_an_old_recording_inside_a_new_one_is_found_where_it_lies(known, say, sentences) -> None:
    other = say("Nothing of this sentence was ever recorded before, and it goes on for a while.", seed=9)
    inside = np.concatenate([other, say(sentences[1]), other])
    found = fingerprint.search(fingerprint.of(inside, RATE), known)
    assert [match.name for match in found] == [sentences[1][:12]]
    assert found[0].start == pytest.approx(other.size / RATE, abs=2.0)


@pytest.mark.parametrize("voice", ["slt", "rms"])
def test_other_sound_of_the_same_or_another_voice_is_not(known, say, voice: str) -> None:
    said = say("Seven old maps were found behind the wooden panel of the library last week.", voice)
    assert fingerprint.search(fingerprint.of(said, RATE), known) == []


def test_the_same_sentence_by_another_voice_is_another_recording(known, say, sentences) -> None:
    assert fingerprint.search(fingerprint.of(say(sentences[0], "rms"), RATE), known) == []


def test_silence_is_like_nothing(known) -> None:
    silence = fingerprint.of(np.zeros(5 * RATE, np.float32), RATE)
    assert fingerprint.compare(silence, silence) is None
    assert fingerprint.search(silence, known) == []


def test_too_short_or_no_sound_at_all(known) -> None:
    assert fingerprint.search(fingerprint.of(np.full(800, 0.1, np.float32), RATE), known) == []
    with pytest.raises(AudioError):
        fingerprint.of(np.zeros(0, np.float32), RATE)


@settings(max_examples=50)
@given(st.binary(max_size=900))
def test_any_bytes_are_compared_or_refused(data: bytes) -> None:
    if len(data) % 4:
        with pytest.raises(ValueError, match="fingerprint"):
            fingerprint.compare(data, data)
    else:
        found = fingerprint.compare(data, data)
        assert found is None or found.different_bits <= fingerprint.MAX_DIFFERENT
