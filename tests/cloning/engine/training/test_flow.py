"""S2's training in v3 and v4: upstream's loss, what moves and what does not, pairs that become a file."""

from __future__ import annotations

import copy
import dataclasses
import io
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cloning.engine.acoustic.cfm import LEAST_BASE, LONG_STEP_SHARE, MOST_BASE
from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.lora import OWN_PARTS, merged
from cloning.engine.diffusion_config import official_diffusion
from cloning.engine.diffusion_files import load_diffusion, load_lora
from cloning.engine.errors import TrainingRefused
from cloning.engine.export import export_lora
from cloning.engine.features.spectrogram import linear
from cloning.engine.training.diffusion_voice import IDENTITY
from cloning.engine.training.flow import Trained, flow_loss, flow_mels, learning_mode
from cloning.engine.training.flow_stage import FlowStage
from cloning.engine.training.loop import freeze, restore, thaw
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import FlowRecipe
from cloning.engine.weights import bare
from tests.cloning.engine.acoustic.tiny_diffusion import model as tiny
from tests.cloning.engine.official import manifest, needs_fixtures, unpacked
from tests.cloning.engine.training.made import finish

LEAN = FlowRecipe(rank=3, parts="lean", steps=6, batch=2, learning_rate=1e-3, warm_up=1)


def item(codes: int, seed: int = 0) -> Item:
    generator = torch.Generator().manual_seed(100 * seed + codes)
    return Item(
        wave=0.1 * torch.randn(codes * 1280, generator=generator),
        codes=torch.randint(0, 64, (codes,), generator=generator),
        phones=torch.randint(1, 100, (max(2, codes // 3),), generator=generator),
        has_text=True,
    )


ITEMS = [item(codes, seed) for seed, codes in enumerate((20, 26, 31, 33))]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stage(recipe: FlowRecipe = LEAN, version: str = "v4", recompute: bool = False) -> FlowStage:
    torch.manual_seed(1)
    model = tiny(version)
    trained = Trained(model, recipe, seed=2)
    return FlowStage(model, trained, ITEMS, recipe, bfloat16=False, recompute=recompute, device="cpu")


@pytest.mark.parametrize("version", ["v3", "v4"])
@pytest.mark.parametrize("long", [False, True])
@torch.no_grad()
def test_the_loss_is_the_flow_matching_of_what_synthesis_would_read(version: str, long: bool) -> None:
    """One item, laid out by hand with the inference path's features."""
    model, one = tiny(version), item(21)
    seed = next(s for s in range(99) if (float(torch.rand(3, generator=seeded(s))[-1]) < LONG_STEP_SHARE) == long)
    got = flow_loss(model, [one], seeded(seed))
    generator = seeded(seed)
    held, time, _ = torch.rand(3, generator=generator)
    bases = torch.randint(LEAST_BASE, MOST_BASE + 1, (1,), generator=generator)
    spec = linear(one.wave[None], model.audio)
    style = model.style(spec, torch.ones_like(spec[:, :1]))
    text = model.features(one.codes[None], one.phones[None], style)
    mel = flow_mels(model, one.wave[None])[..., : text.shape[2]]
    assert mel.shape[2] == text.shape[2] == int(21 * model.config.frames_per_code)
    noise = torch.randn(mel.shape, generator=generator)
    prompt = (held * mel.shape[2] * 2 / 3).floor().long()[None]
    wanted = model.cfm.loss(
        mel, torch.tensor([mel.shape[2]]), prompt, text, noise=noise, time=time[None], bases=bases if long else None
    )
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


@needs_fixtures
@pytest.mark.parametrize("parts", ["upstream", "lean"])
def test_upstreams_gradients_reach_what_it_says_it_trains_and_no_more(parts: str) -> None:
    """The style encoder and `linear_mel` are trained by name only: no gradient comes to them."""
    model = load_diffusion(unpacked("s2_v3_small.pth.xz")).model
    trained = Trained(model, FlowRecipe(rank=4, parts=parts), seed=1)  # type: ignore[arg-type]
    learning_mode(model)
    assert not model.enc_p.training
    assert model.cfm.training
    for value in (*model.ref_enc.parameters(), *model.linear_mel.parameters()):
        value.requires_grad_(True)
    with torch.no_grad():
        for value in trained.up.values():
            value.normal_()
    whole = dataclasses.replace(item(20), codes=torch.arange(20) * 50)
    flow_loss(model, [whole], seeded(1), trained.adapters(2)).backward()  # type: ignore[no-untyped-call]
    moved = {name for name, value in trained.named_parameters() if value.grad is not None and bool(value.grad.any())}
    assert {name for name, _ in trained.named_parameters()} - moved == set()
    assert all(value.grad is None for value in (*model.ref_enc.parameters(), *model.linear_mel.parameters()))
    assert all(value.grad is None for value in model.enc_p.parameters())


def test_only_the_recipes_parts_move() -> None:
    for recipe, parts in (
        (LEAN, {"bridge"}),
        (dataclasses.replace(LEAN, parts="upstream"), {"bridge", "wns1"}),
        (dataclasses.replace(LEAN, rank=None), {"cfm", "bridge", "wns1"}),
    ):
        one = stage(recipe)
        before = copy.deepcopy(one.model.state_dict())
        pairs = {name: value.clone() for name, value in one.trained.up.items()}
        finish(one, stop=2)
        after = one.model.state_dict()
        assert {name.split(".")[0] for name, value in before.items() if not torch.equal(value, after[name])} == parts
        assert all(bool((one.trained.up[name] != value).any()) for name, value in pairs.items())


def test_training_lowers_the_loss() -> None:
    one = stage(dataclasses.replace(LEAN, steps=60, batch=4, learning_rate=5e-3))

    @torch.no_grad()
    def measured() -> float:
        one.model.eval()
        adapters = one.trained.adapters(2)
        return float(sum(flow_loss(one.model, ITEMS, seeded(seed), adapters) for seed in range(8)))

    before = measured()
    finish(one)
    assert measured() < 0.9 * before


def test_recomputing_gives_the_same_gradients() -> None:
    gradients = []
    for recompute in (False, True):
        one = stage(recompute=recompute)
        learning_mode(one.model)
        torch.manual_seed(3)
        flow_loss(one.model, ITEMS[:2], seeded(1), one.trained.adapters(2)).backward()  # type: ignore[no-untyped-call]
        gradients.append({name: value.grad for name, value in one.trained.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, value in gradients[0].items():
        torch.testing.assert_close(value, gradients[1][name], msg=name)


@pytest.mark.parametrize("epochs", [None, 2])
@pytest.mark.parametrize("rank", [3, None])
def test_a_stage_goes_on_from_a_checkpoint_to_the_same_weights(
    rank: int | None, epochs: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloning.engine.training.upstream_batches.FEW", 1)
    recipe = dataclasses.replace(LEAN, rank=rank, epochs=epochs)
    whole = stage(recipe)
    finish(whole)
    first = stage(recipe)
    finish(first, stop=2)
    _, tensors = thaw(freeze({}, first.modules(), first.optimisers()))
    second = stage(recipe)
    restore(tensors, second.modules(), second.optimisers())
    assert second.steps == whole.steps > 2
    finish(second, start=2)
    for (name, a), (_, b) in zip(whole.trained.state_dict().items(), second.trained.state_dict().items(), strict=True):
        assert torch.equal(a, b), name


def test_a_checkpoint_of_pairs_does_not_hold_the_base() -> None:
    lean = stage()
    _, tensors = thaw(freeze({}, lean.modules(), lean.optimisers()))
    assert not [name for name in tensors if ".cfm." in name]


def test_less_memory_takes_half_the_batch() -> None:
    one = stage()
    assert one.halve()
    assert len(one._batch(1, np.random.default_rng(1))[0]) == 1
    assert not one.halve()


def test_a_rank_beyond_the_width_is_refused() -> None:
    with pytest.raises(TrainingRefused, match="bad_recipe"):
        stage(dataclasses.replace(LEAN, rank=64))
    with pytest.raises(ValueError, match="rank"):
        FlowRecipe(rank=200)


@needs_fixtures
@pytest.mark.parametrize("version", ["v3", "v4"])
def test_the_file_is_upstreams_and_speaks_as_the_trained_model(version: str) -> None:
    base = load_diffusion(unpacked(f"s2_{version}_small.pth.xz"))
    model = copy.deepcopy(base.model)
    trained = Trained(model, FlowRecipe(rank=4, parts="upstream"), seed=1)
    with torch.no_grad():
        for value in trained.parameters():
            value.add_(torch.randn(value.shape, generator=seeded(value.numel())) * 0.02)
    beside = {n: v for n, v in model.state_dict().items() if n.startswith((*OWN_PARTS, "quantizer."))}
    beside[IDENTITY[1]] = model.state_dict()[IDENTITY[1]]
    data = export_lora(base.config, trained.pairs(), beside, rank=4)
    assert data[:2] == {"v3": b"03", "v4": b"04"}[version]
    written = torch.load(io.BytesIO(b"PK" + data[2:]), weights_only=False, pickle_module=_official())
    assert set(written["weight"]) == set(manifest(f"s2_{version}_lora_small.pth.xz")["keys"])
    assert written["lora_rank"] == 4
    spoken = merged(base.model, load_lora(data))
    text = torch.randn(1, 512, 30, generator=seeded(1))
    times = {"noise": torch.randn(1, 100, 30, generator=seeded(2)), "time": torch.tensor([0.4])}
    mel, real, held = torch.randn(1, 100, 30, generator=seeded(3)), torch.tensor([30]), torch.tensor([5])
    with torch.no_grad():
        model.eval()
        wanted = model.cfm.loss(mel, real, held, text, **times, adapters=trained.adapters(2))
        torch.testing.assert_close(spoken.cfm.loss(mel, real, held, text, **times), wanted, atol=1e-4, rtol=1e-3)
        plain = base.model.cfm.loss(mel, real, held, text, **times)
    assert abs(float(plain - wanted)) > 1e-3


def _official() -> object:
    """A pickle module that knows `utils.HParams`, as upstream's tree does."""

    class Reader(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            return SimpleNamespace if (module, name) == ("utils", "HParams") else super().find_class(module, name)

    return SimpleNamespace(Unpickler=Reader, load=pickle.load, __name__="official")


def test_a_lean_file_of_rank_32_has_at_most_20_megabytes() -> None:
    config = official_diffusion("v4")
    width = config.dit.width
    pairs = {
        f"{block}.{layer}": (torch.zeros(32, width), torch.zeros(width, 32))
        for block in range(config.dit.depth)
        for layer in ("to_q", "to_k", "to_v", "to_out.0")
    }
    beside = {
        "bridge.0.weight": torch.zeros(512, 192, 1), "bridge.0.bias": torch.zeros(512),
        "quantizer.vq.layers.0._codebook.embed": torch.zeros(1024, 768),
        "cfm.estimator.rotary_embed.inv_freq": torch.zeros(32),
    }  # fmt: skip
    lean = len(export_lora(config, pairs, beside, rank=32))
    assert 13e6 < lean < 14e6
    whole = bare(lambda: DiffusionModel(config)).state_dict()
    own = sum(v.numel() for n, v in whole.items() if n.startswith(("ref_enc", "bridge", "wns1", "linear_mel")))
    assert 2 * own > 60e6  # what upstream adds beside the pairs
