import numpy as np
import pytest

from consent.biometrics import loudness


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_full_scale_sine_near_1_khz_reads_minus_3(rate: int) -> None:
    """BS.1770-4: a 0 dBFS sine at 997 Hz in one channel reads -3.01 LKFS."""
    sine = np.sin(2 * np.pi * 997 * np.arange(3 * rate) / rate).astype(np.float32)
    assert loudness.integrated(sine, rate) == pytest.approx(-3.01, abs=0.1)


def test_the_filter_is_the_standards_own_at_48_khz() -> None:
    """The table of BS.1770-4 annex 1."""
    (shelf_b, shelf_a), (_, pass_a) = loudness._biquads(48_000)
    np.testing.assert_allclose(shelf_b, [1.53512485958697, -2.69169618940638, 1.19839281085285], atol=1e-6)
    np.testing.assert_allclose(shelf_a, [1.0, -1.69065929318241, 0.73248077421585], atol=1e-6)
    np.testing.assert_allclose(pass_a, [1.0, -1.99004745483398, 0.99007225036621], atol=1e-6)


def test_silence_around_does_not_count() -> None:
    sine = (0.1 * np.sin(2 * np.pi * 997 * np.arange(48_000) / 16_000)).astype(np.float32)
    alone, framed = loudness.integrated(sine, 16_000), loudness.integrated(np.pad(sine, 48_000), 16_000)
    assert alone is not None
    assert framed == pytest.approx(alone, abs=0.6)


def test_too_short_or_silent_has_no_loudness() -> None:
    assert loudness.integrated(np.ones(1_000, np.float32), 16_000) is None
    assert loudness.integrated(np.zeros(32_000, np.float32), 16_000) is None
