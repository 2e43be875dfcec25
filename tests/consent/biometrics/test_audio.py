import numpy as np
import pytest

from consent.biometrics.audio import AudioError, at_model_rate, checked


def tone(seconds: float = 0.5, rate: int = 16_000) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize(
    ("wave", "rate", "code"),
    [
        (np.zeros(0, np.float32), 16_000, "empty"),
        (np.zeros((2, 100), np.float32), 16_000, "not_mono"),
        (np.array([0.0, np.nan], np.float32), 16_000, "not_finite"),
        (np.array([0.0, np.inf], np.float32), 16_000, "not_finite"),
        (np.array([0.0, 1e30], np.float32), 16_000, "out_of_range"),
        (np.zeros(100, np.complex64), 16_000, "bad_type"),
        (np.array([object()]), 16_000, "bad_type"),
        (np.zeros(100, np.int64), 16_000, "bad_type"),
        ([0.0, 0.1], 16_000, "bad_type"),
        (tone(), 0, "bad_rate"),
        (tone(), -16_000, "bad_rate"),
        (tone(), 10**9, "bad_rate"),
        (tone(), 16_000.5, "bad_rate"),
        (tone(), True, "bad_rate"),
    ],
)
def test_hostile_sound_is_refused_by_name(wave: np.ndarray, rate: int, code: str) -> None:
    with pytest.raises(AudioError) as refusal:
        checked(wave, rate)
    assert refusal.value.code == code


def test_an_hour_is_refused_before_a_sample_is_read() -> None:
    hour = np.broadcast_to(np.float32(np.nan), 3_600 * 48_000)  # takes no memory; reading it would say not_finite
    with pytest.raises(AudioError) as refusal:
        checked(hour, 48_000)
    assert refusal.value.code == "too_long"


def test_integers_and_floats_mean_the_same_sound() -> None:
    wave = tone()
    for same in ((wave * 32_768).astype(np.int16), (wave * 2.0**31).astype(np.int32), wave.astype(np.float64)):
        np.testing.assert_allclose(checked(same, 16_000), checked(wave, 16_000), atol=1e-4)
    np.testing.assert_allclose(checked((wave * 128 + 128).astype(np.uint8), 16_000), wave, atol=2e-2)


def test_a_constant_offset_is_removed() -> None:
    np.testing.assert_allclose(checked(tone() + np.float32(0.2), 16_000), tone(), atol=1e-4)


def test_resampling_keeps_the_tone() -> None:
    slow = at_model_rate(checked(tone(rate=48_000), 48_000), 48_000)
    assert slow.size == 8_000
    np.testing.assert_allclose(slow[500:-500], tone()[500:-500], atol=1e-2)
