"""What an attacker could bring: a clone whose S2 was trained further reads by that S2, not by the shipped one."""

from __future__ import annotations

import numpy as np

from cloning.engine.training.base import starter_base
from demo.attack_voices import RATE, disturbed, read_copy, spoken_by
from demo.flite.speaker import speak

TEXT = "The harbour lights were burning low when the last boat came home from the north."


def test_a_further_trained_s2_reads_the_same_codes_with_a_sound_of_its_own() -> None:
    sound = np.asarray(speak(TEXT, voice="rms")[0], np.float32)[: 4 * RATE]
    base = starter_base()
    shipped = read_copy(None, sound)
    as_it_is, moved = (spoken_by(base, model)(sound) for model in (base.build_acoustic(0).eval(), disturbed(base, 1)))
    np.testing.assert_array_equal(as_it_is, shipped)
    assert moved.shape == shipped.shape == sound.shape
    assert np.isfinite(moved).all()
    assert not np.allclose(moved, shipped, atol=1e-3)
