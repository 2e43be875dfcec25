"""How a text is to be spoken: the same bounds here and in the engine, and one named refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloning.engine.synthesis import SpeechRequest
from cloning.engine.tts.request import TtsRequest
from cloning.manner import BOUNDS, DRAWN, Manner, MannerInvalid


@pytest.mark.parametrize("name", BOUNDS)
def test_the_engine_takes_both_ends_of_every_bound(name: str) -> None:
    for value in BOUNDS[name]:
        SpeechRequest("Hello.", 1, **Manner.of({name: value}).for_engine())
        TtsRequest("Hello.", "en", **Manner.of({name: value}).for_tts())


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("wrong", [-1, 1e9, float("nan"), float("inf"), True, "1", None])
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
