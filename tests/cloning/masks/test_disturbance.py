"""The numbers of a mask: bounded, and the same for the same seed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloning.engine.config import tiny
from cloning.engine.disguise import MOST_MOVE, away, disguised, disguised_speaker
from cloning.engine.errors import EngineError
from cloning.engine.synthesis import whole_speaker
from cloning.masks.disturbance import (
    LEAST_FORMANTS,
    LEAST_PITCH,
    MOST_FORMANTS,
    MOST_PITCH,
    ROUNDS,
    Disturbance,
    candidates,
)
from tests.cloning.engine.test_synthesis import loud_voice


@given(st.integers(0, 2**31 - 1))
def test_candidates_are_within_bounds_in_every_direction_and_repeat_with_their_seed(seed: int) -> None:
    found = list(candidates(seed))
    assert found == list(candidates(seed))
    assert len(found) == 4 * ROUNDS
    for n in range(ROUNDS):
        some = found[4 * n : 4 * n + 4]
        assert {(math.copysign(1, one.pitch), math.copysign(1, one.formants)) for one in some} == {
            (1, 1), (1, -1), (-1, 1), (-1, -1)
        }  # fmt: skip
    for one in found:
        assert LEAST_PITCH <= abs(one.pitch) <= MOST_PITCH
        assert LEAST_FORMANTS <= abs(one.formants) <= MOST_FORMANTS
        assert Disturbance.of(one.kept()) == one


@pytest.mark.parametrize(
    "wrong", [{"pitch": 9.0}, {"formants": math.nan}, {"formants": "1"}, {"pitch": True}, {"reach": 9.0}]
)
def test_a_disturbance_out_of_bounds_is_none(wrong) -> None:
    with pytest.raises(ValueError, match=r"pitch|formants|reach"):
        Disturbance.of({"pitch": 1.0, "formants": 1.0, "reach": 1.0, **wrong})


def test_a_style_moves_along_what_the_shift_shows_and_nowhere_else() -> None:
    voice = loud_voice(tiny())
    rate = voice.config.audio.sample_rate
    pcm = (0.1 * np.random.default_rng(1).standard_normal(3 * rate)).astype(np.float32)
    move = away(voice, pcm, rate, pitch=4.0, formants=-2.0, reach=1.6)
    other = away(voice, pcm, rate, pitch=-4.0, formants=2.0, reach=1.6)
    assert np.isfinite(move).all()
    assert np.linalg.norm(move) > 0
    assert not np.allclose(move, other)
    style = voice.reference.style.numpy().copy()
    moved = disguised(voice, move)
    assert np.allclose(moved.reference.style.numpy().flatten(), style.flatten() + move, atol=1e-6)
    assert np.allclose(voice.reference.style.numpy(), style)  # the voice itself is as it was
    ready = whole_speaker(voice, "cpu")
    masked = disguised_speaker(ready, move)
    assert np.allclose(masked.style.numpy(), moved.reference.style.numpy(), atol=1e-6)
    assert np.allclose(ready.style.numpy(), style)
    assert masked.acoustic is ready.acoustic

    bad = [move[:-1], np.full_like(move, np.nan), move * np.float32(1e6), np.zeros((1, move.size), np.float32)]
    assert np.linalg.norm(bad[2]) > MOST_MOVE * float(np.linalg.norm(style))
    for one in bad:
        with pytest.raises(EngineError, match=r"style"):
            disguised(voice, one)
    for asked in ({"pitch": 0.0, "formants": 0.0}, {"pitch": 4.0, "formants": 1.0}):
        with pytest.raises(EngineError):
            away(voice, pcm[: rate if asked["pitch"] else None], rate, reach=1.6, **asked)
