import numpy as np
import pytest

from cloning.engine.errors import TrainingRefused
from cloning.engine.features.levels import content_input, sliced
from tests.cloning.engine.official import arrays, needs_fixtures


@needs_fixtures
def test_equal_the_official_preparation() -> None:
    official = {name: value.numpy() for name, value in arrays("preproc.npz").items()}
    kept, heard = content_input(official["input"], compat=True)
    assert np.array_equal(kept, official["get_hubert_wav32k_int16"])
    expected = official["get_hubert_wav16k"]
    assert np.abs(heard - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.array_equal(sliced(official["input"], compat=True), official["slice_audio_int16"])


def test_a_piece_above_full_scale_is_divided_once() -> None:
    wave = np.array([0.0, 2.0, -1.0], np.float32)
    assert sliced(wave).tolist() == [0, 31947, -15973]
    assert sliced(wave, compat=True).tolist() == [0, 28261, -14130]


def test_loud_values_stop_at_the_limit_instead_of_wrapping() -> None:
    wave = np.array([0.5, 2.0, -2.0], np.float32)
    assert content_input(wave)[0].tolist() == [12083, 32767, -32768]
    assert content_input(wave, compat=True)[0].tolist() == [12083, 48332 - 65536, 65536 - 48332]


def test_silence_is_left_alone_or_refused() -> None:
    assert not sliced(np.zeros(10, np.float32)).any()
    for wave in (np.zeros(10, np.float32), np.full(10, 2.3, np.float32), np.array([np.nan, 1], np.float32)):
        with pytest.raises(TrainingRefused):
            content_input(wave)
