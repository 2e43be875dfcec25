import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.biometrics import speech
from consent.biometrics.audio import AudioError


def test_speech_is_found_where_it_is(say, sentences) -> None:
    wave = say(sentences[0])
    first, last = speech.runs(speech.frame_mask(wave))[0][0], speech.runs(speech.frame_mask(wave))[-1][1]
    assert 0.4 < first * 0.032 < 0.8
    assert wave.size / 16_000 - 1.0 < last * 0.032 < wave.size / 16_000 - 0.3


def test_batches_do_not_change_the_answer(say, sentences, monkeypatch) -> None:
    wave = say(sentences[0])
    whole = speech.probabilities(wave)
    monkeypatch.setattr(speech, "_BATCH", 7)
    np.testing.assert_allclose(speech.probabilities(wave), whole, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 1e-4, 0.05])
def test_noise_is_not_speech(level: float) -> None:
    noise = np.random.default_rng(1).normal(0.0, 1.0, 48_000).astype(np.float32) * np.float32(level)
    with pytest.raises(AudioError) as refusal:
        speech.spoken(noise)
    assert refusal.value.code == "no_speech"


def test_silence_is_cut_and_indices_lead_back(say, sentences) -> None:
    wave = np.concatenate([say(sentences[0]), np.zeros(32_000, np.float32), say(sentences[1])])
    kept, index, net = speech.spoken(wave)
    np.testing.assert_array_equal(kept, wave[index])
    assert kept.size < wave.size - 32_000
    assert net < kept.size / 16_000


@given(st.lists(st.booleans(), max_size=60))
def test_runs_describe_the_mask(values: list[bool]) -> None:
    mask = np.array(values, dtype=bool)
    again = np.zeros_like(mask)
    for start, stop in speech.runs(mask):
        again[start:stop] = True
    np.testing.assert_array_equal(again, mask)


def test_a_missing_model_file_is_named() -> None:
    with pytest.raises(speech.WeightsMissing):
        speech.packaged_file("silero_vad", "data", "nothing.safetensors")
    with pytest.raises(speech.WeightsMissing):
        speech.packaged_file("no_such_package_anywhere", "x")
