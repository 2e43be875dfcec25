"""The quick forms compute what the plain ones do, forward and backward, to what bfloat16 can hold."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cloning.engine.acoustic.discriminators import Discriminators
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.layers import NormedConv
from cloning.engine.acoustic.losses import discriminator_loss, feature_loss
from cloning.engine.config import tiny
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.training.acoustic import both
from cloning.engine.training.adapters import AdapterRecipe, attach
from cloning.engine.training.quick import PLAIN, available, dropout, narrow, quicken, weight
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.rows import NormedWeight, Shape, convolve, laid_out, spread, weight_gradient
from cloning.engine.training.stages import build_stages
from tests.cloning.engine.processor import needs_bfloat16
from tests.cloning.engine.training import made

#: bfloat16 holds eight binary digits.
ROUGH = 3e-2
ALIKE = 0.99


def alike(first: Tensor, second: Tensor) -> float:
    return F.cosine_similarity(first.detach().flatten().double(), second.detach().flatten().double(), dim=0).item()


def gradients(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@needs_bfloat16
@pytest.mark.parametrize(
    "shape",
    [Shape(1), Shape(3, 1, 1), Shape(11, 1, 25, 5), Shape(5, 3, 2), Shape(4, 2, 1), Shape(5, 1, 0), Shape(8, 8, 0)],
)
@pytest.mark.parametrize("channels", [6, 512])
def test_convolutions_and_both_gradients(shape: Shape, channels: int) -> None:
    drawn = torch.Generator().manual_seed(1)
    x = torch.randn(2, 31, channels, generator=drawn).bfloat16()
    weight = laid_out(torch.randn(4, channels, shape.kernel, generator=drawn) / channels**0.5)
    given = x.float().transpose(1, 2).requires_grad_()
    kernel = weight.float().requires_grad_()
    wanted = F.conv1d(given, kernel, None, shape.stride, shape.padding, shape.dilation)
    y = torch.randn(wanted.shape, generator=drawn).bfloat16()
    back, change = torch.autograd.grad(wanted, (given, kernel), y.float())
    rows = y.transpose(1, 2).contiguous()
    for found, exact in (
        (convolve(x, weight, None, shape).transpose(1, 2), wanted),
        (spread(rows, weight, shape, x.shape[1]).transpose(1, 2), back),
        (weight_gradient(x, rows, shape), change),
    ):
        torch.testing.assert_close(found.float(), exact, atol=ROUGH * float(exact.detach().abs().max()), rtol=0)


def test_normed_weights_and_their_gradients() -> None:
    drawn = torch.Generator().manual_seed(2)
    direction = torch.randn(5, 3, 7, generator=drawn, requires_grad=True)
    gain = torch.rand(5, 1, 1, generator=drawn, requires_grad=True)
    plain = direction * (gain / torch.linalg.vector_norm(direction, dim=(1, 2), keepdim=True))
    quick = NormedWeight.apply(direction, gain)
    torch.testing.assert_close(quick.float(), plain, atol=0, rtol=2**-8)
    y = torch.randn(5, 3, 7, generator=drawn).bfloat16()
    for found, exact in zip(
        torch.autograd.grad(quick, (direction, gain), y), torch.autograd.grad(plain, (direction, gain), y.float()),
        strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(found, exact, atol=1e-5, rtol=1e-4)


def test_dropout_keeps_the_share_and_repeats_with_its_seed() -> None:
    x = torch.ones(400, 501, requires_grad=True)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        first = dropout(x, 0.1)
        torch.manual_seed(4)
        assert torch.equal(dropout(x, 0.1), first)
        assert not torch.equal(dropout(x, 0.1), first)
    assert float((first == 0).float().mean()) == pytest.approx(0.1, abs=0.004)
    assert first.detach().mean().item() == pytest.approx(1.0, abs=0.005)
    # Places are dropped without a pattern: of the four that share a draw, none is favoured.
    by_place = (first == 0).flatten()[: 4 * 50_000].view(-1, 4).float().mean(0)
    assert float((by_place - 0.1).abs().max()) < 0.01
    (gradient,) = torch.autograd.grad(first.sum(), x)
    assert torch.equal(gradient, first)


def test_the_semantic_model_keeps_its_function() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        plain = Text2Semantic(tiny().semantic).train()
    quick = copy.deepcopy(plain)
    quicken(quick)
    assert list(quick.state_dict()) == list(plain.state_dict())
    drawn = torch.Generator().manual_seed(1)
    batch = (
        torch.randint(0, 300, (2, 16), generator=drawn), torch.tensor([16, 9]),
        torch.randint(0, 64, (2, 32), generator=drawn), torch.tensor([32, 20]),
    )  # fmt: skip
    losses = []
    for model in (plain, quick):
        with torch.autocast("cpu", torch.bfloat16, enabled=model is quick):
            losses.append(model(*batch).loss)
        losses[-1].backward()
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=1e-3)
    assert alike(gradients(plain), gradients(quick)) > ALIKE
    torch.testing.assert_close(quick.eval()(*batch).loss, plain.eval()(*batch).loss)


@needs_bfloat16
def test_the_acoustic_model_keeps_its_function() -> None:
    config = tiny()
    full = dataclasses.replace(config.acoustic, resblock="1", resblock_dilations=((1, 3, 5),) * 3)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        plain = AcousticModel(full, config.audio).eval()  # without the style encoder's dropout
        for coupling in list(plain.flow.flows)[::2]:
            nn.init.normal_(coupling.post.weight, 0.0, 0.1)
    quick = copy.deepcopy(plain)
    quicken(quick)
    assert list(quick.state_dict()) == list(plain.state_dict())
    drawn = torch.Generator().manual_seed(1)
    codes = torch.randint(0, 64, (2, 16), generator=drawn)
    spec = torch.rand(2, config.audio.bins, 32, generator=drawn)
    phones = torch.randint(0, 300, (2, 16), generator=drawn)
    noise = torch.randn(2, full.latent, 32, generator=drawn)
    passes = []
    for model in (plain, quick):
        with torch.autocast("cpu", torch.bfloat16, enabled=model is quick):
            out = model(
                codes, spec, torch.tensor([32, 24]), phones, torch.tensor([16, 11]), noise=noise,
                starts=torch.tensor([0, 5]),
            )  # fmt: skip
        passes.append(out)
        (out.wave.float().square().mean() + out.z_prior.float().square().mean()).backward()
    assert alike(passes[0].wave, passes[1].wave.float()) > ALIKE
    assert alike(passes[0].z_prior, passes[1].z_prior.float()) > ALIKE
    with_gradient = [{k for k, p in m.named_parameters() if p.grad is not None} for m in (plain, quick)]
    assert with_gradient[0] == with_gradient[1]
    assert alike(gradients(plain), gradients(quick)) > ALIKE


@needs_bfloat16
def test_critics_judge_as_before() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        plain = Discriminators(tiny().acoustic)
    quick = copy.deepcopy(plain)
    quicken(quick)
    drawn = torch.Generator().manual_seed(1)
    real, fake = (0.1 * torch.randn(2, 1, 2561, generator=drawn) for _ in range(2))
    wanted = discriminator_loss(plain(real), plain(fake))
    wanted.backward()
    with torch.autocast("cpu", torch.bfloat16):
        found = discriminator_loss(*both(quick, real, fake))
    found.backward()
    assert found.item() == pytest.approx(wanted.item(), rel=1e-3)
    assert alike(gradients(plain), gradients(quick)) > ALIKE
    fake.requires_grad_()
    exact = feature_loss(plain(real), plain(fake))
    quick.requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16):
        rough = feature_loss(quick(real), quick(fake))
    assert rough.item() == pytest.approx(exact.item(), rel=ROUGH)
    assert alike(torch.autograd.grad(exact, fake)[0], torch.autograd.grad(rough, fake)[0]) > 0.98


@pytest.mark.parametrize("adapters", [None, AdapterRecipe(rank=4)], ids=["whole", "adapters"])
@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
def test_a_step_of_each_stage_is_that_of_the_plain_forms(adapters: AdapterRecipe | None, recompute: bool) -> None:
    """Losses and gradients of both stages, critics included, quick and in single precision."""
    told, moved = [], []
    start, pool = made.base(), made.items([40, 40])
    config = dataclasses.replace(
        made.CONFIG,
        semantic=dataclasses.replace(made.CONFIG.semantic, dropout=0.0),
        acoustic=dataclasses.replace(made.CONFIG.acoustic, dropout=0.0),
    )
    start = dataclasses.replace(start, config=config)
    for half in (False, True):
        recipe = TrainingRecipe.tiny()
        recipe = dataclasses.replace(
            recipe, acoustic=dataclasses.replace(recipe.acoustic, adversarial_from=0), bfloat16=half,
            adapters=adapters, recompute=recompute,
        )  # fmt: skip
        models = start.build_semantic(1), start.build_acoustic(1)
        if adapters:
            for model in models:
                attach(model, adapters)
        stages = build_stages(recipe, *models, pool, config=config, device="cpu", seed=1)
        convs = [m for m in models[1].modules() if isinstance(m, NormedConv)]
        assert all((PLAIN in vars(conv)) == narrow(half, "cpu") for conv in convs)
        told.append([made.finish(stage, stop=1)[0] for stage in stages])
        moved.append([gradients(module) for stage in stages for module in stage.modules().values()])
    assert told[1] == pytest.approx(told[0], rel=ROUGH)
    for plain, quick in zip(*moved, strict=True):
        assert alike(plain, quick) > 0.97


def test_outside_autocast_a_quick_model_is_the_plain_one() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        plain = AcousticModel(tiny().acoustic, tiny().audio).eval()
    quick = copy.deepcopy(plain)
    quicken(quick)
    quicken(quick)
    spec = torch.rand(1, tiny().audio.bins, 40, generator=torch.Generator().manual_seed(1))
    assert torch.equal(quick.reference_style([spec]), plain.reference_style([spec]))


def test_a_weight_that_takes_no_gradient_is_computed_anew_when_it_changes() -> None:
    conv = NormedConv(4, 3, (3,))
    conv.requires_grad_(False)
    first = weight(conv)
    assert weight(conv) is first
    conv.load_state_dict({name: 2 * value for name, value in conv.state_dict().items()})
    assert not torch.equal(weight(conv), first)
    conv.requires_grad_(True)
    assert weight(conv).requires_grad


def test_a_processor_trains_in_bfloat16_only_where_it_gains_by_it() -> None:
    # Emulated products take ten times as long as single precision.
    assert narrow(True, "cpu") is available("cpu")
    assert narrow(True, "cuda")
    assert not narrow(False, "cpu")
    assert not narrow(False, "cuda")


def test_the_stages_of_a_recipe_are_as_narrow_as_the_processor() -> None:
    config = made.CONFIG
    for wanted in (True, False):
        recipe = dataclasses.replace(TrainingRecipe.demo(), bfloat16=wanted)
        stages = build_stages(
            recipe, Text2Semantic(config.semantic), AcousticModel(config.acoustic, config.audio), made.items([40, 40]),
            config=config, device="cpu", seed=1,
        )  # fmt: skip
        assert {vars(stage)["bfloat16"] for stage in stages} == {wanted and available("cpu")}
