import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from cloning.engine.config import tiny
from cloning.engine.semantic.model import IGNORED, Text2Semantic
from cloning.engine.starter.items import TimedItem
from cloning.engine.starter.reading import (
    MOST_CODES,
    Guide,
    ReadingRecipe,
    ReadingStage,
    attention_loss,
    slipped,
    slipping,
    watched,
)
from cloning.engine.training.loop import freeze, restore, run, thaw

GUIDES = (Guide(0, 1), Guide(1, 0, ahead=1))
RECIPE = ReadingRecipe(
    steps=30, places=300, learning_rate=5e-3, warm_up=3, guides=GUIDES, guide_weight=1.0, slips=0.1, average=10
)  # fmt: skip


def timed(seed: int, speaker: str = "a", phones: int = 9) -> TimedItem:
    """An utterance whose every phone is said by two codes of its own."""
    rng = np.random.default_rng(seed)
    text = torch.from_numpy(rng.integers(1, 30, phones))
    places = torch.arange(phones).repeat_interleave(2)
    places[0] = IGNORED
    codes = text.repeat_interleave(2) * 2 + torch.tensor([0, 1]).repeat(phones)
    targets = text.repeat_interleave(2)
    return TimedItem(torch.zeros(640 * 2 * phones), codes, text, True, speaker, targets, places=places)


def model() -> Text2Semantic:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Text2Semantic(tiny().semantic).train()


def stage(recipe: ReadingRecipe = RECIPE, count: int = 40) -> ReadingStage:
    items = [timed(n, f"speaker {n % 3}", 5 + n % 9) for n in range(count)]
    return ReadingStage(model(), items, recipe, bfloat16=False, device="cpu")


def follow(what: ReadingStage, start: int = 0, until: int | None = None) -> list[float]:
    losses: list[float] = []
    what.steps = until or what.recipe.steps
    run(
        what, seed=1, start=start, progress=lambda p: losses.append(p.loss), most_skipped=0, checkpoint_every=10**6,
        save_at=None, should_stop=None,
    )  # fmt: skip
    return losses


def test_a_guided_head_learns_to_look_at_the_spoken_phone() -> None:
    guided, free = stage(), stage(replace(RECIPE, guide_weight=0.0))
    follow(guided)
    follow(free)
    item = timed(999)
    losses = []
    for one in (guided, free):
        with watched(one.model, GUIDES) as seen, torch.no_grad():
            one.model(item.phones[None], torch.tensor([9]), item.codes[None], torch.tensor([18]))
            losses.append(float(attention_loss(one.model, GUIDES, seen, item.places[None], torch.tensor([9]), 9)))
    assert losses[0] < losses[1] - 0.5


def test_attention_loss_is_the_cross_entropy_of_the_models_own_attention() -> None:
    net = model().eval()
    item = timed(5, phones=6)
    guide = Guide(1, 1)
    with watched(net, (guide,)) as seen, torch.no_grad():
        net(item.phones[None], torch.tensor([6]), item.codes[None], torch.tensor([12]))
        loss = attention_loss(net, (guide,), seen, item.places[None], torch.tensor([6]), 6)
        block = net.h.layers[1].self_attn
        fused = torch.nn.functional.linear(seen[1], block.in_proj_weight, block.in_proj_bias)
        query, key, _ = fused.view(1, 18, 3, 2, 16).permute(2, 0, 3, 1, 4)
        scores = query[0, 1] @ key[0, 1].T / 4
    expected = []
    for code, place in enumerate(item.places.tolist()):
        if place != IGNORED:
            expected.append(-scores[6 + code, : 6 + code + 1].log_softmax(0)[place])
    assert float(loss) == pytest.approx(float(torch.stack(expected).mean()), rel=1e-5)


def test_padded_phones_and_unknown_places_do_not_count() -> None:
    net = model().eval()
    item = timed(5, phones=6)
    guide = Guide(1, 0, ahead=1)
    losses = []
    for padding in (0, 4):
        phones = torch.nn.functional.pad(item.phones, (0, padding), value=7)
        with watched(net, (guide,)) as seen, torch.no_grad():
            net(phones[None], torch.tensor([6]), item.codes[None], torch.tensor([12]))
            losses.append(attention_loss(net, (guide,), seen, item.places[None], torch.tensor([6]), 6 + padding))
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)
    with watched(net, (guide,)) as seen, torch.no_grad():
        net(item.phones[None], torch.tensor([6]), item.codes[None], torch.tensor([12]))
        nothing = torch.full((1, 12), IGNORED)
        assert float(attention_loss(net, (guide,), seen, nothing, torch.tensor([6]), 6)) == 0.0


def test_chains_are_of_one_speaker_and_bounded() -> None:
    one = stage(replace(RECIPE, chained=0.95))
    rng = np.random.default_rng(1)
    chains = [one.chain(rng) for _ in range(200)]
    assert {len(chain) for chain in chains} == {1, 2, 3}
    assert all(len({item.speaker for item in chain}) == 1 for chain in chains)
    long = ReadingStage(
        model(), [timed(n, phones=70) for n in range(4)], RECIPE, bfloat16=False, device="cpu"
    )  # fmt: skip
    assert all(sum(len(i.codes) for i in long.chain(rng)) <= MOST_CODES for _ in range(50))


def test_a_batch_fits_its_places() -> None:
    one = stage()
    rng = np.random.default_rng(2)
    for _ in range(30):
        batch = one.batch(rng)
        text = max(sum(len(i.phones) for i in chain) for chain in batch)
        code = max(sum(len(i.codes) for i in chain) for chain in batch)
        assert (-(-text // 16) * 16 + -(-code // 16) * 16) * len(batch) <= RECIPE.places or len(batch) == 1
    assert max(len(one.batch(rng)) for _ in range(20)) > 3


def test_training_resumes_to_the_same_weights() -> None:
    states: list[bytes] = []
    whole = stage()
    whole.steps = 6
    run(
        whole, seed=1, start=0, progress=lambda p: None, most_skipped=0, checkpoint_every=3,
        save_at=lambda step: states.append(freeze({"step": step}, whole.modules(), whole.optimisers())),
        should_stop=None,
    )  # fmt: skip
    again = stage()
    about, tensors = thaw(states[0])
    restore(tensors, again.modules(), again.optimisers())
    follow(again, start=about["step"], until=6)
    for kind in ("semantic", "average"):
        ours, theirs = again.modules()[kind].state_dict(), whole.modules()[kind].state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_average_follows_and_the_network_learns() -> None:
    one = stage()
    before = copy.deepcopy(one.average.network.state_dict())
    losses = follow(one)
    assert np.mean(losses[-5:]) < 0.9 * losses[0]
    name = "ar_predict_layer.weight"
    assert not torch.equal(before[name], one.average.network.state_dict()[name])
    assert not torch.equal(one.model.state_dict()[name], one.average.network.state_dict()[name])
    assert not any(p.requires_grad for p in one.average.network.parameters())


def test_slips_change_what_is_read_and_not_what_shall_be_said() -> None:
    codes = torch.arange(60).view(3, 20)
    lengths = torch.tensor([20, 12, 5])
    drawn = [slipped(codes, lengths, 0.5, torch.Generator().manual_seed(n)) for n in range(200)]
    changed = torch.stack([(row != codes).float().mean() for row in drawn])
    assert 0.15 < float(changed.mean()) < 0.35  # uniform in 0..0.5
    real = set(codes[0].tolist() + codes[1, :12].tolist() + codes[2, :5].tolist())
    assert all(set(row[row != codes].tolist()) <= real for row in drawn)
    assert torch.equal(slipped(codes, lengths, 0.0, torch.Generator().manual_seed(1)), codes)
    net = model().eval()
    item = timed(5)
    given = item.phones[None], torch.tensor([9]), item.codes[None], torch.tensor([18])
    other = timed(6).codes[None]
    with torch.no_grad():
        with slipping(net, other):
            told = net(*given)
        plain = net(given[0], given[1], other, given[3])
        assert torch.equal(told.logits, plain.logits)
        assert not torch.equal(told.codes_loss, plain.codes_loss)
        assert torch.equal(net(*given).logits, net(*given).logits)
        assert not torch.equal(net(*given).logits, told.logits)
