"""The fast transformer is the plain one: alone, padded, with adapters, in both precisions."""

from __future__ import annotations

import copy

import pytest
import torch

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.dit_fast import FastBlock, attention, prepare
from cloning.engine.acoustic.lora import beside, together
from cloning.engine.errors import EngineError
from tests.cloning.engine.acoustic.tiny_diffusion import adapter, model


def sampled(voice: DiffusionModel, voices: list[DiffusionModel] | None = None) -> torch.Tensor:
    torch.manual_seed(2)
    text, noise, prompt = torch.randn(3, 16, 30), torch.randn(3, 100, 30), torch.randn(3, 100, 6)
    adapters = together(voices) if voices else ()
    return voice.cfm.sample(text, torch.tensor([30, 17, 22]), prompt, 3, noise=noise, adapters=adapters)


def snr(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(10 * torch.log10(wanted.square().sum() / (got - wanted).square().sum()))


def test_single_precision_is_the_same_function() -> None:
    plain = model()
    fast = copy.deepcopy(plain)
    prepare(fast.cfm.estimator, "float32")
    assert isinstance(fast.cfm.estimator.transformer_blocks[0], FastBlock)
    torch.testing.assert_close(sampled(fast), sampled(plain), atol=2e-5, rtol=1e-4)


def test_half_precision_is_near_and_gives_single_precision() -> None:
    plain = model()
    fast = copy.deepcopy(plain)
    prepare(fast.cfm.estimator, "bfloat16")
    assert sampled(fast).dtype == torch.float32
    assert snr(sampled(fast), sampled(plain)) > 25


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_adapters_stand_beside_the_fast_one_too(precision: str) -> None:
    plain = model()
    loras = [adapter(plain, seed, rank=1 + seed) for seed in range(3)]
    wanted = sampled(plain, [beside(plain, lora) for lora in loras])
    prepare(plain.cfm.estimator, precision)  # type: ignore[arg-type]
    got = sampled(plain, [beside(plain, lora) for lora in loras])
    assert snr(got, wanted) > (80 if precision == "float32" else 20)


def test_attention_leaves_out_what_is_masked() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 4, 9, 8) for _ in range(3))
    mask = (torch.arange(9)[None] < torch.tensor([9, 5])[:, None]).float()[..., None]
    wanted = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=(mask > 0).transpose(1, 2)[:, None]
    )
    torch.testing.assert_close(attention(query, key, value, mask), wanted)


def test_another_precision_is_refused_and_twice_is_once() -> None:
    dit = model().cfm.estimator
    with pytest.raises(EngineError, match="unsupported_precision"):
        prepare(dit, "int3")  # type: ignore[arg-type]
    prepare(dit, "bfloat16")
    block = dit.transformer_blocks[0]
    assert prepare(dit, "bfloat16").transformer_blocks[0] is block
    with pytest.raises(EngineError, match="unsupported_precision"):
        prepare(dit, "float32")
