import dataclasses

import numpy as np
import pytest
import soxr

from watermark.labels.audible import Unlabelled, active_level_dbfs, content_start, hear, with_label
from watermark.labels.encode import MEDIA_TYPES, decode, encode
from watermark.labels.profile import load_profile

CN, EU = load_profile("cn"), load_profile("eu")


@pytest.mark.parametrize("name", ["cn", "eu"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_label_stands_before_the_untouched_sound(speech, name, rate):
    wave = np.asarray(soxr.resample(speech, 32_000, rate), np.float32)
    labelled = with_label(wave, rate, load_profile(name), "zh")
    assert np.array_equal(labelled.wave[-len(wave) :], wave)
    assert len(labelled.wave) - len(wave) == pytest.approx(labelled.seconds * rate, abs=8)
    assert labelled.content_start_s == pytest.approx(labelled.seconds)
    assert labelled.content_end_s == pytest.approx(len(labelled.wave) / rate)
    assert content_start(labelled.wave, rate, load_profile(name)) == pytest.approx(labelled.seconds - 0.5, abs=0.1)


@pytest.mark.parametrize("container", MEDIA_TYPES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_both_kinds_are_heard_in_every_container(speech, container, language):
    both = dataclasses.replace(EU, writes=("rhythm", "spoken"))
    wave, rate = decode(encode(with_label(speech, 32_000, both, language).wave, 32_000, container))
    rhythm, spoken = hear(wave, rate, both)
    assert (rhythm.kind, spoken.kind) == ("rhythm", "spoken")
    assert (rhythm.position, spoken.position) == ("start", "start")
    assert spoken.language == language
    assert spoken.rate_is_legal


def test_place_of_a_label_is_told(speech):
    at_both = dataclasses.replace(EU, positions=("start", "end"))
    assert [one.position for one in hear(with_label(speech, 32_000, at_both, "en").wave, 32_000, EU)] == [
        "start",
        "end",
    ]
    label = with_label(speech, 32_000, EU, "en").wave[: -len(speech)]
    inside = np.concatenate([speech[:48_000], label, speech])
    assert [one.position for one in hear(inside, 32_000, EU)] == ["middle"]
    assert content_start(inside, 32_000, EU) == 0


def test_unlabelled_sound_has_no_label(speech, other_speech, buzzy):
    noise = np.random.default_rng(0).standard_normal(96_000).astype(np.float32) * 0.1
    for wave in (speech, other_speech, buzzy(4, 4), noise, np.zeros(96_000, np.float32), speech[:10]):
        assert hear(wave, 32_000, EU) == []


def test_tone_follows_loud_speech(speech):
    loud = speech / np.abs(speech).max()
    labelled = with_label(loud, 32_000, CN, "en").wave
    burst = labelled[int(0.52 * 32_000) : int(0.60 * 32_000)]
    level = 10 * np.log10(np.mean(burst**2))
    assert level >= active_level_dbfs(loud, 32_000) - CN.rhythm.least_below_speech_db - 0.1
    assert level >= CN.rhythm.level_dbfs - 0.1
    assert np.abs(labelled).max() <= 1


def test_words_are_as_loud_as_quiet_and_loud_speech(speech):
    for wave in (speech * np.float32(0.05), speech / np.abs(speech).max()):
        label = with_label(wave, 32_000, EU, "en").wave[: -len(wave)]
        assert active_level_dbfs(label, 32_000) >= active_level_dbfs(wave, 32_000) - 3.5
        assert np.abs(label).max() <= 1


def test_silence_and_too_low_rates_cannot_be_labelled(speech):
    with pytest.raises(Unlabelled):
        with_label(np.zeros(32_000, np.float32), 32_000, EU, "en")
    with pytest.raises(Unlabelled):
        with_label(speech[:300], 32_000, EU, "en")
    with pytest.raises(Unlabelled, match="cannot hold a tone"):
        with_label(speech[:32_000], 2_000, CN, "en")
