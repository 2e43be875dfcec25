"""Spectra and back is the sound itself, up to its last sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.biometrics import frames


@given(samples=st.integers(1, 3_000), hop=st.sampled_from((128, 192)))
def test_a_sound_comes_back_from_its_spectra(samples: int, hop: int) -> None:
    sound = np.random.default_rng(samples).normal(0.0, 0.1, samples).astype(np.float32)
    back = frames.sound(frames.spectra(sound, hop), samples, hop)
    assert back.dtype == np.float32
    assert back == pytest.approx(sound, abs=1e-6)
