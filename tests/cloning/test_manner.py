"""How a text is to be spoken: the same bounds here and in the engine, and one named refusal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloning import speaking
from cloning.engine.shift import shifted
from cloning.engine.synthesis import Speech, SpeechRequest
from cloning.engine.tts.request import TtsRequest
from cloning.manner import BOUNDS, DRAWN, PRESETS, SHIFTS, Manner, MannerInvalid
from cloning.masks.wearing import worn
from cloning.models import SpeechRequest as Asked


@pytest.mark.parametrize("name", BOUNDS)
def test_the_engine_takes_both_ends_of_every_bound(name: str) -> None:
    for value in BOUNDS[name]:
        if name in SHIFTS:
            shifted(np.zeros(100, np.float32), 16_000, **{name: value})
        SpeechRequest("Hello.", 1, **Manner.of({name: value}).for_engine())
        TtsRequest("Hello.", "en", **Manner.of({name: value}).for_tts())


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("wrong", [-1e9, 1e9, float("nan"), float("inf"), True, "1", None])
def test_anything_else_is_refused_by_name(name: str, wrong: object) -> None:
    if wrong is None and name in DRAWN:
        assert Manner.of({name: None}) == Manner()
        return
    with pytest.raises(MannerInvalid, match=name):
        Manner.of({name: wrong})


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(MannerInvalid, match="volume"):
        Manner.of({"volume": 1.0})


@given(st.fixed_dictionaries({}, optional={
    name: st.integers(*map(int, BOUNDS[name])) if name == "top_k" else st.floats(*BOUNDS[name]) for name in BOUNDS
}))  # fmt: skip
def test_what_is_kept_says_the_same(asked: dict[str, float]) -> None:
    manner = Manner.of(asked)
    assert Manner.of(manner.kept()) == manner


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_settings_from_none_of_it_to_all(name: str) -> None:
    assert Manner.of({"preset": name, "strength": 0}) == Manner()
    assert Manner.of({"preset": name}) == Manner.of(PRESETS[name])
    half = Manner.of({"preset": name, "strength": 0.5})
    assert half.speed == pytest.approx((1 + PRESETS[name]["speed"]) / 2, abs=1e-3)
    assert Manner.of({"preset": name, "speed": 1.5}).speed == 1.5
    assert "preset" not in half.kept()


@pytest.mark.parametrize(
    "wrong", [{"preset": "furious"}, {"preset": 1}, {"strength": 0.5}, {"preset": "lazy", "strength": 1.1},
              {"preset": "lazy", "strength": True}, {"preset": "lazy", "strength": float("nan")}]
)  # fmt: skip
def test_a_wrong_preset_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(MannerInvalid):
        Manner.of(wrong)


def test_the_worker_shifts_what_the_engine_gave() -> None:
    pcm = np.sin(np.arange(8_000) / 8).astype(np.float32)
    speech = Speech(pcm=pcm, rate=16_000, seconds=0.5, doubtful=0)
    asked = Asked(manner=Manner(pitch=3, formants=-1).kept())
    made = speaking._shifted(speech, worn(asked))
    assert np.array_equal(made.pcm, shifted(pcm, 16_000, pitch=3, formants=-1))
    assert speaking._shifted(speech, worn(Asked(manner=Manner(speed=1.5).kept()))).pcm is pcm
