"""The fast transformer is the plain one: alone, padded, with adapters, in both precisions."""

from __future__ import annotations

import copy

import pytest
import torch

from cloning.engine.acoustic import dit_kernels
from cloning.engine.acoustic.cfm import instants, integrate
from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.dit_fast import FastBlock, attention, prepare
from cloning.engine.acoustic.lora import beside, together
from cloning.engine.errors import EngineError
from tests.cloning.engine.acoustic.tiny_diffusion import adapter, model
from tests.cloning.engine.processor import needs_bfloat16


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


@needs_bfloat16
def test_half_precision_is_near_and_gives_single_precision() -> None:
    plain = model()
    fast = copy.deepcopy(plain)
    prepare(fast.cfm.estimator, "bfloat16")
    assert sampled(fast).dtype == torch.float32
    assert snr(sampled(fast), sampled(plain)) > 25


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=needs_bfloat16)])
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


@needs_bfloat16
def test_another_precision_is_refused_and_twice_is_once() -> None:
    dit = model().cfm.estimator
    with pytest.raises(EngineError, match="unsupported_precision"):
        prepare(dit, "int3")  # type: ignore[arg-type]
    prepare(dit, "bfloat16")
    block = dit.transformer_blocks[0]
    assert prepare(dit, "bfloat16").transformer_blocks[0] is block
    with pytest.raises(EngineError, match="unsupported_precision"):
        prepare(dit, "float32")


@needs_bfloat16
def test_what_is_left_out_behind_a_long_prompt_is_not_missed() -> None:
    plain = model()
    torch.manual_seed(3)
    text, noise, prompt = torch.randn(2, 16, 130), torch.randn(2, 100, 130), torch.randn(2, 100, 90)
    given = {"noise": noise, "prompt_lengths": torch.tensor([90, 80])}
    lengths = torch.tensor([130, 121])
    for guidance in (0.0, 0.7):
        wanted = plain.cfm.sample(text, lengths, prompt, 4, guidance=guidance, **given)
        fast = copy.deepcopy(plain)
        prepare(fast.cfm.estimator, "bfloat16")
        got = fast.cfm.sample(text, lengths, prompt, 4, guidance=guidance, **given)
        assert not got[0, :, :90].any()
        for row, (start, end) in enumerate(((90, 130), (80, 121))):
            assert snr(got[row, :, start:end], wanted[row, :, start:end]) > 20


@pytest.mark.parametrize("integrator", ["euler", "midpoint", "heun"])
def test_every_time_that_is_asked_was_made_ahead(integrator: str) -> None:
    asked: list[float] = []

    def velocity(x: torch.Tensor, time: float) -> torch.Tensor:
        asked.append(time)
        return x

    for steps in (1, 3, 7, 32):
        asked.clear()
        integrate(velocity, torch.zeros(1), torch.ones(1), steps, integrator)  # type: ignore[arg-type]
        assert set(asked) == set(instants(steps, integrator))  # type: ignore[arg-type]


@pytest.mark.parametrize("visible", [1, 15, 16, 17, 40, 48])
def test_the_softened_scores_are_a_softmax(visible: int) -> None:
    scores = (torch.randn(5, 48, generator=torch.Generator().manual_seed(1)) * 4).bfloat16()
    wanted = (scores[:, :visible].float() * 0.3).softmax(-1)
    sums = torch.empty(5)
    dit_kernels.compiled().calls["soften"](scores.data_ptr(), sums.data_ptr(), 0.3, 5, visible, 48)
    torch.testing.assert_close(scores[:, :visible].float() / sums[:, None], wanted, atol=0, rtol=2**-8)
    assert not scores[:, visible:].any()


def test_the_renewed_state_is_a_gated_sum_and_its_norm() -> None:
    draw = torch.Generator().manual_seed(1)
    x, y = (torch.randn(3, 48, generator=draw).bfloat16() for _ in range(2))
    gate, scale, shift = torch.randn(3, 48, generator=draw)
    whole = x.float() + gate * y.float()
    out = torch.empty_like(x)
    places = (t.data_ptr() for t in (x, y, gate, scale.contiguous(), shift.contiguous(), out))
    dit_kernels.compiled().calls["renew"](*places, 3, 48)
    torch.testing.assert_close(x, whole.bfloat16(), atol=0, rtol=2**-7)
    wanted = torch.nn.functional.layer_norm(whole, (48,), eps=1e-6) * scale + shift
    torch.testing.assert_close(out.float(), wanted, atol=2**-7, rtol=2**-7)
