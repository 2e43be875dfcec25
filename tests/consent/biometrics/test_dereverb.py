"""A third listening: less of the room, the same speech."""

from __future__ import annotations

import numpy as np

from consent.biometrics import dereverb, measures
from consent.biometrics.calibrate import clips

RATE = 16_000
WORDS = ("museum", "horizon", "volcano", "elephant", "tomato", "umbrella")


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the levels in four bands, what lies more than 40 dB under the loudest left out."""
    levels = [np.maximum(found, found.max() - 40.0).ravel() for found in map(measures.band_levels, (one, other))]
    return float(np.corrcoef(*levels)[0, 1])


def test_a_third_listening_has_less_room_and_the_same_speech(say) -> None:
    wave = say(WORDS)
    roomy = clips.room(wave, 0.6, 0.0, 1)
    drier = dereverb.drier(roomy)
    assert (drier.shape, drier.dtype) == (roomy.shape, np.float32)
    assert measures.reverberation(drier) < 0.6 * measures.reverberation(roomy)
    assert _alike(drier, wave) > 0.93 > 0.88 > _alike(roomy, wave)


def test_dry_speech_stays_what_it_is(say) -> None:
    wave = say(WORDS)
    assert np.corrcoef(dereverb.drier(wave), wave)[0, 1] > 0.9


def test_silence_and_a_moment_of_sound_stay_what_they_are() -> None:
    assert not dereverb.drier(np.zeros(RATE, np.float32)).any()
    assert dereverb.drier(np.ones(7, np.float32)).shape == (7,)
