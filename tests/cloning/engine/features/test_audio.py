from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloning.engine.errors import TrainingRefused
from cloning.engine.features import audio


def test_channels_become_one_and_integers_become_floats() -> None:
    stereo = np.array([[16384, -16384], [32767, 32767]], dtype=np.int16)
    assert audio.mono(stereo).tolist() == pytest.approx([0.0, 1.0], abs=1e-4)
    assert audio.mono(np.array([16384], dtype=np.int16)).tolist() == [0.5]


@pytest.mark.parametrize("wave", [np.zeros((2, 2, 2)), np.array([0.1, np.nan]), np.array([np.inf])])
def test_what_is_not_sound_is_refused(wave: np.ndarray) -> None:
    with pytest.raises(TrainingRefused) as refusal:
        audio.mono(wave)
    assert refusal.value.code == "bad_audio"


def test_resampling_keeps_pitch_and_refuses_absurd_rates() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100).astype(np.float32)
    out = audio.resample(tone, 44100, 16000)
    assert len(out) == 16000
    assert int(np.abs(np.fft.rfft(out)).argmax()) == 440
    with pytest.raises(TrainingRefused):
        audio.resample(tone, 10, 16000)


@given(st.floats(0.002, 50.0))
def test_level_is_raised_towards_the_target_and_never_clips(peak: float) -> None:
    wave = np.sin(np.arange(1000) / 7).astype(np.float32) * np.float32(peak)
    out = audio.normalise(wave)
    assert np.abs(out).max() <= 1.0
    assert np.abs(out).max() >= min(peak, 0.9) * 0.97


def test_silence_is_not_raised() -> None:
    assert not audio.normalise(np.full(100, 1e-4, np.float32)).max() > 1e-4


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.05, 3.0), st.sampled_from([0.0, 0.0005, 0.3])), min_size=1, max_size=12))
def test_slices_are_in_order_and_inside(parts: list[tuple[float, float]]) -> None:
    rng = np.random.default_rng(1)
    wave = np.concatenate([rng.standard_normal(int(s * 8000)).astype(np.float32) * a for s, a in parts])
    pieces = audio.slices(wave, 8000)
    assert all(0 <= start <= end <= len(wave) for start, end in pieces)
    assert all(a[1] <= b[0] for a, b in pairwise(pieces))


def test_speech_is_not_cut_away() -> None:
    rng = np.random.default_rng(2)
    loud = [rng.standard_normal(8000 * s).astype(np.float32) * 0.3 for s in (5, 6)]
    wave = np.concatenate([loud[0], np.zeros(8000, np.float32), loud[1]])
    pieces = audio.slices(wave, 8000)
    assert len(pieces) == 2
    assert pieces[0][1] >= 5 * 8000 - 80
    assert pieces[1][0] <= 6 * 8000 + 80
    assert pieces[1][1] == len(wave)
