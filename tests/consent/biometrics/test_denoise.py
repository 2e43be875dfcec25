"""A second listening: less background, the same speech."""

from __future__ import annotations

import numpy as np

from consent.biometrics import denoise
from consent.biometrics.attacks import processing

RATE = 16_000
WORDS = ("museum", "horizon", "volcano", "elephant", "tomato", "umbrella")


def test_a_second_listening_has_less_background_and_the_same_speech(say) -> None:
    wave = say(WORDS)
    noisy = processing.noisy(wave, 15.0)
    cleaned = denoise.quieter(noisy)
    assert (cleaned.shape, cleaned.dtype) == (noisy.shape, np.float32)
    assert np.std(np.diff(cleaned[: RATE // 3])) < 0.75 * np.std(np.diff(noisy[: RATE // 3]))
    assert np.corrcoef(cleaned, wave)[0, 1] > np.corrcoef(noisy, wave)[0, 1]


def test_silence_and_a_moment_of_sound_stay_what_they_are() -> None:
    assert not denoise.quieter(np.zeros(RATE, np.float32)).any()
    assert denoise.quieter(np.ones(7, np.float32)).shape == (7,)
