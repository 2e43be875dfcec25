"""S2 against arrays computed by the official code, boundary by boundary (tolerances: the fixtures' README)."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from cloning.engine.acoustic.boundaries import walk
from cloning.engine.acoustic.fast import Precision, prepare
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.streaming import StreamingDecoder
from cloning.engine.bench.acoustic import full_size, snr_db
from cloning.engine.checkpoints import load_acoustic
from cloning.engine.config import official
from tests.cloning.engine.official import arrays, needs_fixtures, unpacked
from tests.cloning.engine.processor import needs_bfloat16, needs_int8

pytestmark = needs_fixtures

VERSIONS = ["v1", "v2", "v2Pro", "v2ProPlus"]
BETWEEN = {"atol": 1e-4, "rtol": 1e-5}
WAVE = {"atol": 2e-5, "rtol": 0.0}
#: Arrays that are given, not computed.
INPUTS = {"ssl", "codes_in", "codes", "text", "refer", "refer2", "sv", "sv2", "noise", "flow_forward_in"}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=VERSIONS)
def case(request: pytest.FixtureRequest) -> tuple[AcousticModel, dict[str, Tensor]]:
    loaded = load_acoustic(unpacked(f"s2_{request.param}_small.pth.xz"))
    assert loaded.version == request.param
    return loaded.model, arrays(f"s2_{request.param}_small_infer.npz")


def compare(name: str, got: Tensor, wanted: Tensor) -> None:
    if not wanted.is_floating_point():
        assert torch.equal(got, wanted), name
        return
    wave = "wave" in name or name.startswith("decode_")
    torch.testing.assert_close(got, wanted, **(WAVE if wave else BETWEEN), msg=lambda text: f"{name}: {text}")


def test_every_boundary_is_the_official_one(case: tuple[AcousticModel, dict[str, Tensor]]) -> None:
    model, wanted = case
    seen = []
    for name, got in walk(model, wanted):
        compare(name, got, wanted[name])
        seen.append(name)
    assert set(seen) == set(wanted) - INPUTS
    assert len(seen) == len(set(seen))


def test_prepared_float32_passes_at_the_same_tolerance(case: tuple[AcousticModel, dict[str, Tensor]]) -> None:
    model, wanted = case
    for name, got in walk(prepare(copy.deepcopy(model)), wanted):
        compare(name, got, wanted[name])


@pytest.mark.parametrize(
    ("precision", "least"),
    [pytest.param("bfloat16", 29, marks=needs_bfloat16), pytest.param("int8", 20, marks=needs_int8)],
)
def test_low_precision_waves_stay_close(
    case: tuple[AcousticModel, dict[str, Tensor]], precision: Precision, least: float
) -> None:
    model, wanted = case
    for name, got in walk(prepare(copy.deepcopy(model), precision), wanted):
        if "wave" in name or name.startswith("decode_"):
            assert got.dtype == torch.float32
            assert snr_db(wanted[name], got) > least, name
        else:
            compare(name, got, wanted[name])


@pytest.mark.parametrize("version", ["v2", "v2Pro", "v2ProPlus"])
def test_full_size(version: str) -> None:
    wanted = arrays(f"full_s2_{version}.npz")
    model = full_size(official(version))
    for name, got in walk(model, wanted):
        compare(name, got, wanted[name])
    for name, got in walk(prepare(model), wanted):
        compare(name, got, wanted[name])


def test_the_streaming_decoder_gives_the_official_pieces(case: tuple[AcousticModel, dict[str, Tensor]]) -> None:
    model, wanted = case
    speakers = [wanted["sv"]] if "sv" in wanted else None
    style = model.reference_style([wanted["refer"]], speakers)
    decoder = StreamingDecoder(model, wanted["text"], style, noise_scale=0.0, compat=True)
    codes = wanted["codes_in"][0]
    for name, part in (("stream1", codes[:, :12]), ("stream2", codes[:, 12:])):
        piece = decoder.feed(part)
        compare(f"{name}_wave", piece.wave, wanted[f"{name}_wave"])
        compare(f"{name}_latent", piece.latent, wanted[f"{name}_latent"])
