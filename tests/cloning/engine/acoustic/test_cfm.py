"""Flow matching of v3 and v4: steps, integrators, prompts, and batches whose items do not see each other."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from cloning.engine.acoustic.cfm import EVALUATIONS, MOST_STEPS, FlowMatching, Integrator, integrate
from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.dit import DitBlock, text_places
from cloning.engine.diffusion_config import official_diffusion, tiny_diffusion
from cloning.engine.errors import ConfigError, EngineError
from cloning.engine.weights import outline
from tests.cloning.engine.acoustic.tiny_diffusion import model

SHAPES = Path(__file__).resolve().parents[5] / "shared" / "facts" / "gpt-sovits-data" / "state_dict_shapes.json"


@pytest.fixture(scope="module")
def flow() -> FlowMatching:
    return model().cfm


def inputs(batch: int = 1, frames: int = 24, prompt: int = 6, seed: int = 1) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(seed)
    text, noise = torch.randn(batch, 16, frames), torch.randn(batch, 100, frames)
    return text, torch.full((batch,), frames), torch.randn(batch, 100, prompt), noise


def sample(flow: FlowMatching, steps: int, integrator: Integrator = "euler", **more: object) -> torch.Tensor:
    text, lengths, prompt, noise = inputs()
    return flow.sample(text, lengths, prompt, steps, noise=noise, integrator=integrator, **more)  # type: ignore[arg-type]


@pytest.mark.skipif(not SHAPES.is_file(), reason="the official key tables are not on this machine")
@pytest.mark.parametrize("version", ["v3", "v4"])
def test_names_and_shapes_are_the_published_ones(version: str) -> None:
    published = json.loads(SHAPES.read_text("utf-8"))[f"s2G_{version}"]
    ours = outline(lambda: DiffusionModel(official_diffusion(version)))
    assert ours == {name: tuple(shape) for name, shape in published.items()}


def test_another_version_has_no_size() -> None:
    with pytest.raises(ConfigError, match="unsupported_version"):
        official_diffusion("v2")


@pytest.mark.parametrize("steps", [0, -1, 10_000, MOST_STEPS + 1, True, 4.0])
def test_steps_out_of_range_are_refused(flow: FlowMatching, steps: int) -> None:
    with pytest.raises(EngineError) as refusal:
        sample(flow, steps)
    assert refusal.value.code == "bad_steps"


def test_an_unknown_integrator_is_refused(flow: FlowMatching) -> None:
    with pytest.raises(EngineError, match="bad_request"):
        sample(flow, 4, "simpson")  # type: ignore[arg-type]


def test_there_is_no_hidden_randomness(flow: FlowMatching) -> None:
    text, lengths, prompt, _ = inputs()
    with pytest.raises(ValueError, match="generator"):
        flow.sample(text, lengths, prompt, 4)


def test_prompt_frames_are_silent_and_matter(flow: FlowMatching) -> None:
    mel = sample(flow, 4)
    assert not mel[..., :6].any()
    assert mel[..., 6:].abs().min() > 0
    text, lengths, prompt, noise = inputs()
    other = flow.sample(text, lengths, prompt + 1, 4, noise=noise)
    assert (other - mel).abs().max() > 1e-3


def test_a_prompt_longer_than_the_mel_is_refused(flow: FlowMatching) -> None:
    text, lengths, _, noise = inputs()
    with pytest.raises(ValueError, match="longer"):
        flow.sample(text, lengths, torch.zeros(1, 100, 25), 4, noise=noise)


def test_integrators_have_the_order_of_their_name() -> None:
    """On dx/dt = (1 + t) x, whose end is known: halving the step divides the error by 2, or by 4."""
    start, free = torch.ones(1, 1, 3, dtype=torch.float64), torch.ones(1, 1, 3, dtype=torch.float64)

    def slope(x: torch.Tensor, time: float) -> torch.Tensor:
        return (1 + time) * x

    exact = math.exp(1.5)
    for name, order in (("euler", 1), ("midpoint", 2), ("heun", 2)):
        coarse, fine = (
            abs(float(integrate(slope, start, free, steps, name)[0, 0, 0]) - exact)  # type: ignore[arg-type]
            for steps in (32, 64)
        )
        assert 0.85 * 2**order < coarse / fine < 1.15 * 2**order
    assert EVALUATIONS == {"euler": 1, "midpoint": 2, "heun": 2}


@pytest.mark.parametrize("integrator", ["midpoint", "heun"])
def test_other_integrators_keep_the_prompt_silent(flow: FlowMatching, integrator: Integrator) -> None:
    mel = sample(flow, 4, integrator)
    assert not mel[..., :6].any()
    assert (mel - sample(flow, 4)).abs().max() > 1e-3


def test_the_step_size_is_told_to_the_network(flow: FlowMatching) -> None:
    text, lengths, prompt, noise = inputs()
    x = noise.clone()
    given = torch.nn.functional.pad(prompt, (0, 18))
    time = torch.zeros(1)
    short, long = (flow.velocity(x, given, lengths, time, torch.tensor([size]), text) for size in (0.0, 0.25))
    assert (short - long).abs().max() > 1e-3


def test_items_of_a_batch_do_not_see_each_other(flow: FlowMatching) -> None:
    text, _, prompt, noise = inputs(batch=3)
    lengths, held = torch.tensor([24, 15, 19]), torch.tensor([6, 2, 4])
    batch = flow.sample(text, lengths, prompt, 4, noise=noise, prompt_lengths=held)
    for row in range(3):
        real, own = int(lengths[row]), int(held[row])
        alone = flow.sample(
            text[row : row + 1, :, :real],
            lengths[row : row + 1],
            prompt[row : row + 1, :, :own],
            4,
            noise=noise[row : row + 1, :, :real],
        )
        torch.testing.assert_close(batch[row : row + 1, :, :real], alone, atol=2e-5, rtol=1e-5)


def test_only_the_first_head_knows_places() -> None:
    block = DitBlock(tiny_diffusion("v4").dit).eval()
    angles = torch.outer(torch.arange(5).float(), torch.ones(16))
    x, time = torch.randn(1, 5, 32), torch.zeros(1, 32)
    turned, still = (
        block.attn(x, None, rope, {})
        for rope in ((angles.cos(), angles.sin()), (torch.ones(5, 16), torch.zeros(5, 16)))
    )
    assert (turned - still).abs().max() > 1e-5
    with torch.no_grad():
        block.attn.to_out[0].weight[:, :16] = 0  # the first head is not heard
    turned, still = (
        block.attn(x, None, rope, {})
        for rope in ((angles.cos(), angles.sin()), (torch.ones(5, 16), torch.zeros(5, 16)))
    )
    torch.testing.assert_close(turned, still)
    assert block(x, time, None, (angles.cos(), angles.sin()), {}).shape == x.shape


def test_text_places_end_at_the_last_one() -> None:
    places = text_places(4098, 16, torch.device("cpu"))
    assert torch.equal(places[4095], places[4097])
    assert not torch.equal(places[4094], places[4095])


@pytest.mark.slow  # torch reads its compiler for the first checkpointed call
def test_checkpointing_changes_no_gradient() -> None:
    flow = model().cfm.requires_grad_(True)
    text, lengths, _, noise = inputs(batch=2)
    mel = torch.randn_like(noise)
    gradients = []
    for flow.estimator.checkpointing in (False, True):
        flow.zero_grad()
        flow.loss(mel, lengths, torch.tensor([3, 5]), text, noise=noise, time=torch.tensor([0.2, 0.7])).backward()
        gradients.append(
            {name: value.grad.clone() for name, value in flow.named_parameters() if value.grad is not None}
        )
    assert len(gradients[0]) > 40
    for name, value in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], value)
