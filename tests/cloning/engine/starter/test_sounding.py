import numpy as np
import pytest
import torch
from torch import Tensor

from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.acoustic.losses import listening_loss
from cloning.engine.config import tiny
from cloning.engine.features.content import ContentEncoder
from cloning.engine.starter.average import Average
from cloning.engine.starter.sounding import SoundingRecipe, SoundingStage
from cloning.engine.training.prepare import Item
from cloning.engine.training.recipe import AcousticRecipe

CONFIG = tiny()


def recipe(adversarial_from: int | None = None) -> SoundingRecipe:
    segment = CONFIG.acoustic.segment_frames
    acoustic = AcousticRecipe(
        steps=6, batch=2, batch_frames=400, learning_rate=2e-3, text_rate=1.0, warm_up=1,
        adversarial_from=adversarial_from, listening=20.0,
    )  # fmt: skip
    return SoundingRecipe(acoustic, segment=2 * segment, style_frames=40, average=3)


def item(seed: int, speaker: str = "a", codes: int = 48, narrow: bool = False) -> Item:
    rng = np.random.default_rng(seed)
    wave = torch.from_numpy(0.2 * rng.standard_normal(codes * 640).astype(np.float32))
    if narrow:
        wave = (wave.clamp(-1, 1) * 32767).to(torch.int16)
    return Item(wave, torch.from_numpy(rng.integers(0, 64, codes)), torch.arange(1, 12), True, speaker)


def stage(what: SoundingRecipe, items: list[Item] | None = None) -> SoundingStage:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model, listener = AcousticModel(CONFIG.acoustic, CONFIG.audio).train(), ContentEncoder(CONFIG.content)
    items = items or [item(n, f"speaker {n % 2}") for n in range(6)]
    return SoundingStage(model, items, what, listener, bfloat16=False, device="cpu", seed=1)


def step(one: SoundingStage, number: int) -> float:
    loss = one.advance(number, np.random.default_rng(number), torch.Generator().manual_seed(number))
    assert loss is not None
    return loss


@pytest.mark.parametrize("critics", [None, 0])
def test_a_step_trains_the_model_and_not_the_listener(critics: int | None) -> None:
    one = stage(recipe(critics))
    before = {k: v.clone() for k, v in one.model.state_dict().items()}
    listener = {k: v.clone() for k, v in one.listener.state_dict().items()}
    step(one, 1)
    moved = {k.partition(".")[0] for k, v in one.model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved >= {"enc_p", "enc_q", "dec", "flow", "ref_enc"}
    assert all(torch.equal(v, listener[k]) for k, v in one.listener.state_dict().items())
    assert "quantizer" not in moved
    assert ("critics" in one.parts) == (critics is not None)
    assert set(one.modules()) == {"acoustic", "average"} | ({"critics"} if critics is not None else set())


def test_critics_join_only_after_their_step() -> None:
    one = stage(recipe(1))
    assert one.critics is not None
    before = [p.clone() for p in one.critics.parameters()]
    step(one, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, one.critics.parameters(), strict=True))
    step(one, 2)
    assert any(not torch.equal(a, b) for a, b in zip(before, one.critics.parameters(), strict=True))


def test_the_style_is_that_of_another_utterance_of_the_speaker() -> None:
    pair = [item(1), item(2)]
    one = stage(recipe(), pair)
    one.model.eval()
    with torch.no_grad():
        for rng in (np.random.default_rng(0), np.random.default_rng(1)):
            swapped = one.style(pair, rng)
            assert torch.allclose(swapped, one.style(pair, rng))
            own = stage(recipe(), [pair[1]])
            own.model.eval()
            assert torch.allclose(swapped[:1], own.style([pair[1]], rng), atol=1e-5)
            assert not torch.allclose(swapped[:1], swapped[1:], atol=1e-5)


def test_waves_may_lie_as_integers() -> None:
    floats = stage(recipe(), [item(n) for n in range(3)])
    integers = stage(recipe(), [item(n, narrow=True) for n in range(3)])
    assert step(floats, 1) == pytest.approx(step(integers, 1), rel=1e-3)


def test_items_shorter_than_a_segment_are_left_out() -> None:
    short = CONFIG.acoustic.segment_frames // CONFIG.acoustic.frames_per_code
    one = stage(recipe(), [item(1), item(2), item(3, codes=short)])
    assert len(one.items) == 2


def test_listening_hears_a_difference_and_teaches_only_the_generated_wave() -> None:
    listener = stage(recipe()).listener
    real = item(1).wave[None, None, :12800].clone().requires_grad_()
    fake = item(2).wave[None, None, :12800].clone().requires_grad_()
    assert float(listening_loss(listener, real.detach(), real)) == 0.0
    loss = listening_loss(listener, fake, real)
    loss.backward()
    assert float(loss.detach()) > 0
    assert real.grad is None
    assert fake.grad is not None
    assert float(fake.grad.abs().sum()) > 0


def test_a_pass_in_the_own_style_given_is_the_models_own() -> None:
    model = stage(recipe()).model.eval()
    one = item(4, codes=CONFIG.acoustic.segment_frames)
    spec = _spec(model, one)
    lengths, phones = torch.tensor([spec.shape[2]]), torch.tensor([len(one.phones)])
    style = model.style(spec, torch.ones_like(spec[:, :1]))
    segment = CONFIG.acoustic.segment_frames
    with torch.no_grad():
        ours = model(
            one.codes[None], spec, lengths, one.phones[None], phones, style=style, segment=segment,
            generator=torch.Generator().manual_seed(3),
        )  # fmt: skip
        theirs = model(
            one.codes[None], spec, lengths, one.phones[None], phones, generator=torch.Generator().manual_seed(3)
        )
    assert torch.equal(ours.starts, theirs.starts)
    assert torch.allclose(ours.wave, theirs.wave, atol=1e-5)
    assert torch.allclose(ours.z_prior, theirs.z_prior, atol=1e-5)


def _spec(model: AcousticModel, one: Item) -> Tensor:
    from cloning.engine.features.spectrogram import linear

    return linear(one.wave[None], model.audio)


def test_the_average_is_the_mean_at_first_and_lags_later() -> None:
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(net.weight)
    average = Average(net, 4)
    for number in range(1, 4):
        with torch.no_grad():
            net.weight.fill_(float(number))
        average.follow(net, number)
    assert float(next(average.network.parameters())) == pytest.approx((0 + 1 + 2 + 3) / 4)
    average.follow(net, 1000)
    assert float(next(average.network.parameters())) == pytest.approx(1.5 + (3 - 1.5) / 4)
