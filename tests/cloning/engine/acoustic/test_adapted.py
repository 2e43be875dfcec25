"""S2 with adapters on shared weights: the merged voice's wave, from the base's own tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cloning.engine import lowrank
from cloning.engine.acoustic.adapted import adaptable, adapted, changes
from cloning.engine.acoustic.fast import Precision, prepare
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.bench.acoustic import snr_db
from cloning.engine.config import AcousticConfig, EngineConfig, tiny
from cloning.engine.errors import EngineError
from cloning.engine.tts.shared import memory
from tests.cloning.engine.acoustic.test_fast import PAIRED, TINY, WIDE, build

#: Without a source: with one, waves are no measure of rounding (see `made.sourceless`).
CONFIGS = {
    "single": dataclasses.replace(TINY.acoustic, pitch_hidden=0, phone_classes=0, phone_width=0),
    "paired": dataclasses.replace(PAIRED, pitch_hidden=0, phone_classes=0, phone_width=0),
}


def whole_config(config: AcousticConfig) -> EngineConfig:
    whole = tiny()
    return EngineConfig(**{**{k: getattr(whole, k) for k in whole.__dataclass_fields__}, "acoustic": config})


def drawn(config: AcousticConfig, rank: int, only: frozenset[int] | None = None) -> dict[str, Tensor]:
    """Random pairs in half precision; those of other layers than `only` (numbers in order of names) are zero."""
    draw = torch.Generator().manual_seed(4)
    shapes = lowrank.outline(whole_config(config), "acoustic", rank)
    layers = sorted({name.rpartition(".")[0] for name in shapes})
    kept = {name for number, name in enumerate(layers) if only is None or number in only}
    return {
        name: (0.1 * torch.randn(shape, generator=draw) * (name.rpartition(".")[0] in kept)).half()
        for name, shape in shapes.items()
    }


def merged(config: AcousticConfig, tensors: Mapping[str, Tensor], scale: float) -> AcousticModel:
    model = build(config)
    described = lowrank.targets(whole_config(config))["acoustic"]
    model.load_state_dict(lowrank.merged(model.state_dict(), tensors, described, scale))
    return model


def wave(model: AcousticModel) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    codes = torch.randint(0, 60, (1, 12), generator=draw)
    style = torch.randn(1, model.config.style, 1, generator=draw)
    return model.decode(codes, codes[:, :7], style, generator=draw)


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(sorted(CONFIGS)),
    rank=st.integers(1, 12),
    scale=st.floats(0.1, 2),
    only=st.none() | st.frozensets(st.integers(0, 69)),
)
def test_the_wave_is_the_merged_voice_s(kind: str, rank: int, scale: float, only: frozenset[int] | None) -> None:
    config = CONFIGS[kind]
    tensors = drawn(config, rank, only)
    own = adapted(prepare(build(config)), tensors, scale)
    torch.testing.assert_close(wave(own), wave(merged(config, tensors, scale)), atol=2e-6, rtol=1e-4)


def test_a_reference_is_heard_through_the_adapters_too() -> None:
    tensors = drawn(PAIRED, 3)
    own = adapted(prepare(build(PAIRED)), tensors, 2.0)
    spec = torch.rand(1, TINY.audio.bins, 20, generator=torch.Generator().manual_seed(1))
    expected = merged(PAIRED, tensors, 2.0).reference_style([spec])
    torch.testing.assert_close(own.reference_style([spec]), expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(prepare(build(PAIRED)).reference_style([spec]), expected, atol=1e-3)


def test_voices_hold_the_base_s_own_tensors_and_leave_it_as_it_was() -> None:
    base = prepare(build(PAIRED))
    before = wave(base)
    voices = [adapted(base, drawn(PAIRED, rank), 2.0) for rank in (2, 3)]
    assert not torch.equal(wave(voices[0]), wave(voices[1]))
    assert torch.equal(wave(base), before)
    held = memory(base)
    for voice in voices:
        mine = memory(voice)
        assert set(held) <= set(mine)
        own = sum(size for place, size in mine.items() if place not in held)
        assert own == sum(c.left.nbytes + c.right.nbytes for c in changes(voice))
        assert own < 0.5 * sum(held.values())
    layers = dict(adaptable(base))
    for name, layer in adaptable(voices[0]):
        assert layer.get_buffer("shared").data_ptr() == layers[name].state_dict()["weight"].data_ptr()


def test_bfloat16_differs_from_merged_by_its_own_rounding_only() -> None:
    tensors = drawn(PAIRED, 3)
    exact = wave(merged(PAIRED, tensors, 2.0))
    theirs = wave(prepare(merged(PAIRED, tensors, 2.0), "bfloat16"))
    ours = wave(adapted(prepare(build(PAIRED), "bfloat16"), tensors, 2.0))
    # Rounded twice (the base, then the sum), where a merged weight is rounded once.
    assert snr_db(exact, ours) > snr_db(exact, theirs) - 6


def test_integers_cannot_be_added_to_and_say_so() -> None:
    with pytest.raises(EngineError) as refusal:
        adapted(prepared(WIDE, "int8"), drawn(WIDE, 3), 1.0)
    assert refusal.value.code == "unsupported_precision"


def prepared(config: AcousticConfig, precision: Precision) -> AcousticModel:
    return prepare(build(config), precision)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("dec.ups.0.down"),
        lambda t: t.update({"enc_q.pre.down": torch.zeros(3, 3)}),
        lambda t: t.update({"dec.conv_pre.up": torch.zeros(5, 3)}),
        lambda t: t.update({"dec.conv_pre.up": t["dec.conv_pre.up"][:, :1]}),
        lambda t: t.update({"dec.ups.0.down": torch.zeros(1, 3, 4)}),
    ],
)
def test_tensors_that_do_not_fit_are_refused(change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = drawn(PAIRED, 3)
    change(tensors)
    with pytest.raises(EngineError) as refusal:
        adapted(prepare(build(PAIRED)), tensors, 1.0)
    assert refusal.value.code == "wrong_adapters"


def test_only_a_prepared_model_takes_adapters() -> None:
    with pytest.raises(ValueError, match="prepared"):
        adapted(build(PAIRED), drawn(PAIRED, 3), 1.0)
