"""Pitch and formants move by what was asked, each alone, and nothing else changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from cloning.engine.errors import EngineError
from cloning.engine.shift import shifted

RATE = 16_000
PITCH, FORMANT = 125.0, 1_000.0


def vowel(seconds: float = 0.8) -> np.ndarray:
    """Pulses of 125 Hz through one resonance at 1 kHz, as loud as speech."""
    pulses = np.zeros(round(RATE * seconds))
    pulses[:: round(RATE / PITCH)] = 1.0
    pole = 0.96 * np.exp(2j * np.pi * FORMANT / RATE)
    sound = lfilter([1.0], [1.0, -2 * pole.real, abs(pole) ** 2], pulses)
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def spectrum(sound: np.ndarray) -> np.ndarray:
    middle = sound[2_000:-2_000]
    return np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 16))


def pitch_of(sound: np.ndarray, near: float) -> float:
    """Within half an octave: multiples of a period look like it."""
    tops = np.fft.irfft(spectrum(sound) ** 2)
    low, high = round(RATE / near / 1.4), round(RATE / near * 1.4)
    return RATE / (low + int(np.argmax(tops[low:high])))


def formant_of(sound: np.ndarray) -> float:
    """The middle of what stands out, between 300 and 3,000 Hz."""
    hz = np.fft.rfftfreq(1 << 16, 1 / RATE)
    heard = np.where((hz > 300) & (hz < 3_000), spectrum(sound) ** 4, 0)
    return float((hz * heard).sum() / heard.sum())


@pytest.mark.parametrize("semitones", [-7.0, -3.0, 4.0, 12.0])
def test_pitch_moves_alone(semitones: float) -> None:
    made = shifted(vowel(), RATE, pitch=semitones)
    wanted = PITCH * 2 ** (semitones / 12)
    assert pitch_of(made, wanted) == pytest.approx(wanted, rel=0.02)
    assert pitch_of(vowel(), PITCH) == pytest.approx(PITCH, rel=0.01)
    assert formant_of(made) == pytest.approx(FORMANT, rel=0.1)


@pytest.mark.parametrize("semitones", [-5.0, 5.0])
def test_formants_move_alone(semitones: float) -> None:
    made = shifted(vowel(), RATE, formants=semitones)
    assert pitch_of(made, PITCH) == pytest.approx(PITCH, rel=0.01)
    assert formant_of(made) == pytest.approx(FORMANT * 2 ** (semitones / 12), rel=0.1)


def test_nothing_asked_gives_back_the_very_samples() -> None:
    sound = vowel()
    assert shifted(sound, RATE) is sound
    assert len(shifted(sound[:0], RATE, pitch=3.0)) == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9_000), st.floats(-12, 12), st.floats(-12, 12), st.sampled_from([16_000, 32_000, 48_000]))
def test_any_sound_keeps_its_length_and_its_bounds_and_comes_out_the_same_twice(
    length: int, pitch: float, formants: float, rate: int
) -> None:
    sound = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    made = shifted(sound, rate, pitch=pitch, formants=formants)
    assert made.shape == sound.shape
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= np.abs(sound).max() + 1e-6
    assert np.array_equal(made, shifted(sound, rate, pitch=pitch, formants=formants))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 12.1, -13.0])
def test_out_of_range_is_refused(wrong: float) -> None:
    with pytest.raises(EngineError, match="pitch"):
        shifted(vowel(), RATE, pitch=wrong)
    with pytest.raises(EngineError, match="formants"):
        shifted(vowel(), RATE, formants=wrong)
