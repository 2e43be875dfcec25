"""Adapters as numbers: their shapes, their size, and adding them to weights."""

from __future__ import annotations

import math

import pytest
import torch

from cloning.engine import lowrank
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.layers import NormedTransposedConv
from cloning.engine.config import official, tiny
from cloning.engine.training.adapters import AdapterRecipe


def test_the_adapted_layers_of_the_official_v2_are_those_that_speak() -> None:
    found = lowrank.targets(official("v2"))
    assert len(found["semantic"]) == 24 * 4
    assert found["semantic"]["h.layers.0.self_attn.in_proj"].shape == (1536, 512)
    assert found["acoustic"]["dec.ups.0"].shape == (512, 256, 16)
    assert found["acoustic"]["enc_p.encoder_text.attn_layers.5.conv_o"].shape == (192, 192, 1)
    assert found["acoustic"]["ref_enc.fc.fc"].shape == (512, 128)
    assert not [name for name in found["acoustic"] if name.startswith(("enc_q", "quantizer", "ssl_proj", "sv_emb"))]


@pytest.mark.parametrize("version", ["v1", "v2", "v2Pro", "v2ProPlus"])
def test_one_voice_of_the_default_rank_is_at_most_ten_megabytes(version: str) -> None:
    config = official(version)
    numbers = sum(
        math.prod(shape)
        for part in ("semantic", "acoustic")
        for shape in lowrank.outline(config, part, AdapterRecipe().rank).values()
    )
    assert 3e6 < numbers * 2 < 8e6


def test_no_adapter_is_wider_than_its_layer() -> None:
    config = tiny()
    shapes = lowrank.outline(config, "acoustic", 64)
    assert shapes["dec.conv_post.down"][0] == 1
    assert shapes["dec.conv_post.up"] == (1, 1)
    assert shapes["flow.flows.0.pre.up"] == (16, 4)


def test_a_transposed_convolution_is_merged_along_its_own_axes() -> None:
    torch.manual_seed(1)
    layer = NormedTransposedConv(6, 4, 8, 4, deviation=0.1)
    target = lowrank.Target("x", "weight_v", "weight_g", (6, 4, 8), True)
    down, up = (torch.randn(shape) for shape in target.shapes(2))
    x = torch.randn(2, 6, 5)
    inner = torch.nn.functional.conv_transpose1d(x, down, stride=4, padding=2)
    wanted = layer(x) + 0.5 * torch.einsum("or,brt->bot", up, inner)
    weights = lowrank.merged(layer.state_dict(), {"x.down": down, "x.up": up}, {"x": target}, 0.5)
    layer.load_state_dict(weights)
    torch.testing.assert_close(layer(x), wanted)


def test_pairs_side_by_side_are_a_pair_for_each_row() -> None:
    draw = torch.Generator().manual_seed(1)
    pairs = [
        lowrank.Pair(torch.randn(r, 6, generator=draw), torch.randn(4, r, generator=draw), s)
        for r, s in ((1, 2.0), (3, 0.5), (2, 1.0))
    ]
    x = torch.randn(3, 5, 6, generator=draw)
    alone = torch.cat([pair(row[None]) for pair, row in zip(pairs, x, strict=True)])
    torch.testing.assert_close(lowrank.side_by_side(pairs)(x), alone)
    torch.testing.assert_close(alone[1], x[1] @ (0.5 * pairs[1].up @ pairs[1].down).T)


def test_the_digest_tells_weights_and_not_their_storage() -> None:
    config = tiny()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        half = {k: v.half() for k, v in AcousticModel(config.acoustic, config.audio).state_dict().items()}
    lean = {k: v.float() for k, v in half.items() if not k.startswith("enc_q.")}
    assert lowrank.base_digest({}, half) == lowrank.base_digest({}, lean)
    moved = lean | {"dec.conv_pre.bias": lean["dec.conv_pre.bias"] + 1e-3}
    assert lowrank.base_digest({}, moved) != lowrank.base_digest({}, lean)
    assert lowrank.base_digest(lean, {}) != lowrank.base_digest({}, lean)
