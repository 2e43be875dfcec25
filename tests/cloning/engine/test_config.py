"""Model descriptions: presets, round trips, and everything a hostile file could write into one."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloning.engine import starter as shipped
from cloning.engine.acoustic.discriminators import Discriminators
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import EngineConfig, official, starter, tiny
from cloning.engine.errors import ConfigError
from cloning.engine.features.content import ContentEncoder
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.training.base import CODES
from cloning.engine.weights import bare

PRESETS = {"v1": official("v1"), "v2": official("v2"), "v2Pro": official("v2Pro"), "v2ProPlus": official("v2ProPlus")}


@pytest.mark.parametrize("config", [*PRESETS.values(), starter(), tiny()])
def test_a_description_survives_json(config: EngineConfig) -> None:
    assert EngineConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("version", "generator", "critics"),
    [("v2", 51_310_080, 46_747_132), ("v2Pro", 79_428_096, 63_189_440), ("v2ProPlus", 98_338_432, 63_189_440)],
)
def test_official_sizes_are_the_published_ones(version: str, generator: int, critics: int) -> None:
    config = official(version)
    models = (
        bare(lambda: AcousticModel(config.acoustic, config.audio)),
        bare(lambda: Discriminators(config.acoustic)),
        bare(lambda: Text2Semantic(config.semantic)),
    )
    assert [sum(p.numel() for p in m.parameters()) for m in models] == [generator, critics, 77_606_402]


def test_the_starter_fits_forty_megabytes_in_half_precision() -> None:
    config = starter()
    files = [path.stat().st_size for path in Path(shipped.__file__).parent.glob("*.safetensors")]
    assert len(files) == 3
    assert sum(files) <= 40_000_000
    # And these files hold all there is, but for what S1, S2 and the encoder share: the codebook and the phone head.
    made = bare(lambda: AcousticModel(config.acoustic, config.audio)), bare(lambda: Text2Semantic(config.semantic))
    names = [(name, value) for model in made for name, value in model.state_dict().items()]
    content = bare(lambda: ContentEncoder(config.content)).state_dict().values()
    numbers = sum(value.numel() for name, value in names if not name.startswith(CODES))
    numbers += sum(value.numel() for value in content) + config.acoustic.codes * config.acoustic.code_dim
    assert 0 <= sum(files) - 2 * numbers < 200_000


def test_codes_come_twenty_five_times_a_second() -> None:
    assert {c.code_rate for c in (*PRESETS.values(), starter(), tiny())} == {25.0}


def test_an_unknown_official_version_is_refused() -> None:
    with pytest.raises(ConfigError) as refusal:
        official("v9")
    assert refusal.value.code == "unsupported_version"


def change(path: tuple[str, ...], value: object) -> dict[str, Any]:
    data = tiny().to_dict()
    part = data
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("semantic", "layers"), 10**9),
        (("semantic", "layers"), True),
        (("semantic", "layers"), "5"),
        (("semantic", "layers"), 2.0),
        (("semantic", "heads"), 7),
        (("semantic", "dropout"), float("nan")),
        pytest.param(("semantic", "dropout"), 1 << 20_000, id="huge dropout"),
        pytest.param(("semantic", "width"), 1 << 20_000, id="huge width"),
        (("acoustic", "upsample_rates"), [10, 8, 5]),
        (("acoustic", "upsample_rates"), [1] * 4000),
        (("acoustic", "upsample_kernels"), [20, 16, 7]),
        (("acoustic", "resblock_dilations"), [[1, 2], [2, 6], [3]]),
        (("acoustic", "code_layout"), "zip"),
        (("acoustic", "hidden"), -16),
        (("acoustic", "codes"), 65),
        (("acoustic", "phone_width"), 0),
        (("acoustic", "pitch_hidden"), 0),
        (("audio", "hop"), 319),
        (("audio", "fmax"), 9000.0),
        (("content", "kind"), "anything"),
        (("version",), "v5"),
        (("surprise",), 1),
        (("audio", "surprise"), 1),
        (("audio",), None),
    ],
)
def test_a_contradictory_or_oversized_description_is_refused(path: tuple[str, ...], value: object) -> None:
    with pytest.raises(ConfigError):
        EngineConfig.from_dict(change(path, value))


def test_a_missing_entry_is_named() -> None:
    data = tiny().to_dict()
    del data["semantic"]["width"]
    with pytest.raises(ConfigError, match="width"):
        EngineConfig.from_dict(data)


def test_values_given_in_code_meet_the_same_bounds() -> None:
    config = tiny()
    with pytest.raises(ConfigError):
        dataclasses.replace(config, semantic=dataclasses.replace(config.semantic, layers=33))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(part=st.sampled_from(["audio", "content", "semantic", "acoustic"]), index=st.integers(0, 40), value=JSON)
def test_any_value_anywhere_gives_a_description_or_a_refusal(part: str, index: int, value: object) -> None:
    names = sorted(tiny().to_dict()[part])
    data = change((part, names[index % len(names)]), value)
    with contextlib.suppress(ConfigError):
        EngineConfig.from_dict(data)
