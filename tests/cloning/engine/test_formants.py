"""Formants stretched behind the vocoder: by the share asked for, with energy and pitch as they were."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloning.engine.config import EngineConfig, starter, tiny
from cloning.engine.errors import ConfigError
from cloning.engine.formants import Wave, sharpen
from cloning.engine.synthesis import SpeechRequest, synthesise
from tests.cloning.engine.test_synthesis import loud_voice

AUDIO = starter().audio
#: Where formants of a vowel are, in Hz, and where the valleys between them.
PEAKS, VALLEYS = (600, 1700, 2700), (1150, 2200, 3600)


def vowel() -> Wave:
    """A second of pulses, 120 a second, through three resonances."""
    hertz = np.arange(120, 8000, 120)
    level = sum(1 / (1 + ((hertz - peak) / 120) ** 2) for peak in PEAKS) + 0.02
    time = np.arange(AUDIO.sample_rate) / AUDIO.sample_rate
    wave = (level[:, None] * np.cos(2 * np.pi * hertz[:, None] * time)).sum(0)
    return (wave / np.abs(wave).max() / 2).astype(np.float32)


def contrast(wave: Wave) -> float:
    """Decibels by which the formants stand over the valleys."""
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / AUDIO.sample_rate)
    near = [[power[np.abs(hertz - place) < 130].mean() for place in places] for places in (PEAKS, VALLEYS)]
    return float(10 * np.log10(near).mean(1) @ [1, -1])


def test_formants_rise_over_their_valleys_by_the_share() -> None:
    wave = vowel()
    before, some, more = (contrast(sharpen(wave, AUDIO, share)) for share in (0.0, 0.15, 0.3))
    assert before + 1 < some < before * 1.2
    assert some + 1 < more < before * 1.4


def test_energy_and_pitch_stay() -> None:
    wave = vowel()
    sharp = sharpen(wave, AUDIO, 0.3)
    assert np.square(sharp).mean() == pytest.approx(np.square(wave).mean(), rel=0.02)
    period = AUDIO.sample_rate // 120
    likeness = [float(np.corrcoef(one[4000:8000], one[4000 + period : 8000 + period])[0, 1]) for one in (wave, sharp)]
    assert likeness[1] > likeness[0] - 0.01


@given(share=st.floats(0, 1), length=st.integers(0, 3000), loud=st.sampled_from([0.0, 1e-6, 1e-3, 1.0]))
def test_any_sound_keeps_its_length_and_stays_a_sound(share: float, length: int, loud: float) -> None:
    wave = (loud * np.random.default_rng(length).uniform(-1, 1, length)).astype(np.float32)
    sharp = sharpen(wave, AUDIO, share)
    assert sharp.shape == wave.shape
    assert sharp.dtype == np.float32
    assert np.isfinite(sharp).all()
    if share == 0:
        assert sharp is wave
    if loud == 0:
        assert not sharp.any()


def test_what_is_no_sound_does_not_become_one() -> None:
    """The check behind the filter must still find it."""
    wave = vowel()
    wave[5000] = np.nan
    assert np.isnan(sharpen(wave, AUDIO, 0.15)).any()


def gained(config: EngineConfig, gain: float) -> EngineConfig:
    return dataclasses.replace(config, acoustic=dataclasses.replace(config.acoustic, formant_gain=gain))


def test_a_voice_speaks_with_the_gain_of_its_own_description() -> None:
    voice = loud_voice(tiny())
    said = [
        synthesise(dataclasses.replace(voice, config=gained(voice.config, gain)), SpeechRequest("Hello there.", seed=4))
        for gain in (0.0, 0.5)
    ]
    assert len(said[0].pcm) == len(said[1].pcm)
    assert not np.allclose(said[0].pcm, said[1].pcm, atol=1e-3)


def test_a_hop_that_cannot_be_halved_is_refused() -> None:
    config = tiny()
    odd = dataclasses.replace(config.audio, hop=315, sample_rate=15750, fmax=7000.0)
    acoustic = dataclasses.replace(config.acoustic, upsample_rates=(7, 9, 5), upsample_kernels=(21, 27, 15))
    whole = dataclasses.replace(config, audio=odd, acoustic=dataclasses.replace(acoustic, formant_gain=0.0))
    with pytest.raises(ConfigError, match="even hop"):
        gained(whole, 0.15)
