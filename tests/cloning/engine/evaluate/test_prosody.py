"""Pitch of known tones, and two readings laid over each other."""

from __future__ import annotations

import numpy as np
import pytest

from cloning.engine.evaluate.hearing import RATE
from cloning.engine.evaluate.prosody import HOP, melody, pitch, semitones, warp
from demo.flite.speaker import speak


def tone(hertz: np.ndarray | float, seconds: float = 0.5) -> np.ndarray:
    """A buzz of seven harmonics; `hertz` one value or one a sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, round(seconds * RATE)) / RATE)
    wave = sum(np.sin(k * phase) / k for k in range(1, 8))
    return (0.2 * np.asarray(wave)).astype(np.float32)


@pytest.mark.parametrize("hertz", [70.0, 120.5, 220.0, 433.0])
def test_the_pitch_of_a_buzz_is_its_own(hertz: float) -> None:
    found, rough = pitch(tone(hertz))
    assert len(found) == len(rough) == 0.5 * RATE / HOP
    assert np.isfinite(found).mean() > 0.9
    assert np.nanmedian(found) == pytest.approx(hertz, rel=0.005)
    assert np.median(rough) < 0.01


def test_a_rough_buzz_has_a_pitch_too() -> None:
    noise = np.random.default_rng(2).normal(0, 0.09, RATE // 2).astype(np.float32)
    found, rough = pitch(tone(150.0) + noise)
    assert np.nanmedian(found) == pytest.approx(150.0, rel=0.01)
    assert np.median(rough) > 0.02


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    assert np.isfinite(pitch(noise)[0]).mean() < 0.1
    assert not np.isfinite(pitch(np.zeros(RATE, np.float32))[0]).any()
    assert not np.isfinite(pitch(np.full(3, 0.5, np.float32))[0]).any()


def test_semitones_are_counted_from_the_middle() -> None:
    assert semitones(np.array([100.0, np.nan, 200.0, 400.0])).tolist() == pytest.approx(
        [-12.0, np.nan, 0.0, 12.0], nan_ok=True
    )
    assert np.isnan(semitones(np.array([np.nan, np.nan]))).all()


def test_warping_finds_the_same_things_again() -> None:
    a = np.eye(6)[[0, 1, 2, 3, 4, 5]]
    b = np.eye(6)[[0, 0, 1, 2, 2, 2, 3, 4, 5, 5]]
    first, second = warp(a, b)
    assert (first[0], second[0], first[-1], second[-1]) == (0, 0, 5, 9)
    assert (a[first] == b[second]).all()
    assert set(np.diff(first)) <= {0, 1}
    assert set(np.diff(second)) <= {0, 1}


def test_a_slower_and_higher_reading_keeps_its_melody_and_another_text_does_not() -> None:
    text = "The children were playing in the garden when it began to rain."
    plain = speak(text, voice="awb")[0]
    same = melody(speak(text, voice="awb", f0_shift=1.3, stretch=1.3)[0], plain)
    other = melody(speak("Could you please close the window behind you, Barbara?", voice="awb")[0], plain)
    assert same is not None
    assert other is not None
    assert same.correlation > 0.8
    assert same.correlation > other.correlation + 0.2
    assert same.spread < 1.5


def test_a_reading_against_itself_is_the_same_and_against_silence_is_none() -> None:
    glide = tone(np.linspace(100, 180, RATE), 1.0)
    same = melody(glide, glide)
    assert same is not None
    assert (same.correlation, same.spread) == (pytest.approx(1.0), pytest.approx(0.0))
    assert melody(glide, np.zeros(RATE, np.float32)) is None
    assert melody(np.zeros(RATE, np.float32), glide) is None
