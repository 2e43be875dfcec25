"""Tempo without pitch, and pitch without tempo, are undone and named; speeds are tested with the long lists."""

import numpy as np
import pytest

from watermark.codec.detect import Detector
from watermark.codec.embed import embed

PAYLOAD = 0xBEEF_CAFE_F00D
CROWD = [PAYLOAD + step for step in range(-50, 50)]


@pytest.fixture(scope="module")
def marked(speech, key):
    return embed(speech, 32_000, PAYLOAD, key)


def without(wave, *, every, lost):
    """Shorter by dropping ``lost`` samples of each ``every``: the tempo rises, the pitch stays."""
    return np.concatenate([wave[start : start + every - lost] for start in range(0, len(wave), every)])


def sped(wave, factor):
    return np.interp(np.arange(int(len(wave) / factor)) * factor, np.arange(len(wave)), wave).astype(np.float32)


def test_another_tempo_is_found_and_named(marked, key):
    # Over a hundred ids a trace at the tempo as it is would do; over a million it would not.
    match = Detector(key).examine(without(marked, every=8_000, lost=400), 32_000, CROWD, scales=True).matches[0]
    assert match.payload == PAYLOAD
    assert match.scale.pitch == 1
    assert match.scale.time == pytest.approx(0.95, abs=0.006)
    assert match.end_s == pytest.approx(len(marked) / 32_000 * 0.95, abs=0.25)


def test_another_pitch_is_found_and_named(marked, key):
    lower = sped(marked, 0.96)  # longer by 1 / 0.96, and brought back to its length
    match = Detector(key).examine(without(lower, every=10_000, lost=400), 32_000, CROWD, scales=True).matches[0]
    assert match.payload == PAYLOAD
    assert match.scale.pitch == pytest.approx(0.96, abs=0.006)
    assert match.scale.time == pytest.approx(1, abs=0.011)
