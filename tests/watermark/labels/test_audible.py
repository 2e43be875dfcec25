import dataclasses

import numpy as np
import pytest
import soxr

from watermark.labels.audible import BadProfile, Unlabelled, active_level_dbfs, detect_rhythm, load_profile, with_label
from watermark.labels.encode import MEDIA_TYPES, decode, encode

PROFILE = load_profile()


def test_profile_spells_ai_in_morse():
    unit = PROFILE.unit_s
    assert [round(seconds / unit) for seconds in PROFILE.bursts] == [1, 3, 1, 1]
    assert [round(seconds / unit) for seconds in PROFILE.gaps] == [1, 3, 1]
    assert PROFILE.rhythm_seconds == pytest.approx(1.32)
    assert PROFILE.seconds == pytest.approx(2.32)


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100, 48_000])
def test_label_stands_before_the_untouched_sound(speech, rate):
    wave = np.asarray(soxr.resample(speech, 32_000, rate), np.float32)
    labelled = with_label(wave, rate, PROFILE)
    assert len(labelled) - len(wave) == pytest.approx(PROFILE.seconds * rate, abs=8)
    assert np.array_equal(labelled[-len(wave) :], wave)
    rhythm = detect_rhythm(labelled, rate, PROFILE)
    assert rhythm is not None
    assert rhythm.start_s == pytest.approx(0.5, abs=0.02)
    assert rhythm.end_s == pytest.approx(1.82, abs=0.02)
    assert 2 <= rhythm.ratio <= 4


@pytest.mark.parametrize("container", MEDIA_TYPES)
def test_rhythm_is_heard_in_every_container(speech, container):
    wave, rate = decode(encode(with_label(speech, 32_000, PROFILE), 32_000, container))
    assert detect_rhythm(wave, rate, PROFILE) is not None


def test_unlabelled_sound_has_no_rhythm(speech, other_speech, buzzy):
    noise = np.random.default_rng(0).standard_normal(96_000).astype(np.float32) * 0.1
    for wave in (speech, other_speech, buzzy(4, 4), noise, np.zeros(96_000, np.float32), speech[:10]):
        assert detect_rhythm(wave, 32_000, PROFILE) is None


def test_equal_gaps_are_another_letter_and_no_label(speech):
    letter_l = dataclasses.replace(PROFILE, gap_units=(1, 1, 1))
    assert detect_rhythm(with_label(speech, 32_000, letter_l), 32_000, PROFILE) is None


def test_tone_follows_loud_speech(speech):
    loud = speech / np.abs(speech).max()
    labelled = with_label(loud, 32_000, PROFILE)
    burst = labelled[int(0.52 * 32_000) : int(0.60 * 32_000)]
    level = 10 * np.log10(np.mean(burst**2))
    assert level >= active_level_dbfs(loud, 32_000) - PROFILE.least_below_speech_db - 0.1
    assert level >= PROFILE.level_dbfs - 0.1
    assert np.abs(labelled).max() <= 1


def test_silence_cannot_be_labelled():
    with pytest.raises(Unlabelled):
        with_label(np.zeros(32_000, np.float32), 32_000, PROFILE)


@pytest.mark.parametrize("name", ["nothing", "../rhythm-1", "", "rhythm-1.json"])
def test_unknown_profile_is_refused(name):
    with pytest.raises(BadProfile):
        load_profile(name)
