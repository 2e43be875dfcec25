import dataclasses

import numpy as np
import pytest

from watermark.labels.profile import load_profile
from watermark.labels.rhythm import detect_rhythm, make_rhythm

SHAPE = load_profile("cn").rhythm


def sounding(shape, rate=32_000):
    return np.pad(make_rhythm(rate, shape) * np.float32(0.2), rate // 2)


def test_shape_spells_ai_in_morse():
    unit = SHAPE.unit_s
    assert [round(seconds / unit) for seconds in SHAPE.bursts] == [1, 3, 1, 1]
    assert [round(seconds / unit) for seconds in SHAPE.gaps] == [1, 3, 1]
    assert SHAPE.seconds == pytest.approx(1.32)


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_rhythm_is_found_where_it_stands(rate):
    rhythm = detect_rhythm(sounding(SHAPE, rate), rate, SHAPE)
    assert rhythm is not None
    assert rhythm.start_s == pytest.approx(0.5, abs=0.02)
    assert rhythm.end_s == pytest.approx(1.82, abs=0.02)
    assert 2 <= rhythm.ratio <= 4
    assert rhythm.depth_db >= 20


@pytest.mark.parametrize(
    "changes",
    [
        {"gap_units": (1, 1, 1)},  # the letter L
        {"long_units": 1.0},  # four alike
        {"long_units": 6.0},  # beyond the ratio that still reads as a dash
        {"pattern": "long short short short"},  # the letter B
        {"tone_hz": 2_000.0},
    ],
)
def test_other_patterns_are_no_label(changes):
    assert detect_rhythm(sounding(dataclasses.replace(SHAPE, **changes)), 32_000, SHAPE) is None


def test_rhythm_drowned_in_noise_is_not_clearly_distinguishable():
    noisy = sounding(SHAPE) + np.random.default_rng(1).standard_normal(74_240).astype(np.float32) * 0.1
    assert detect_rhythm(noisy, 32_000, SHAPE) is None
