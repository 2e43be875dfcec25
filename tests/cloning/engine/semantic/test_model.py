"""S1 as a function: what may influence what, and what a loss counts."""

from __future__ import annotations

import pytest
import torch

from cloning.engine.config import tiny
from cloning.engine.semantic.model import KeyValueCache, Text2Semantic, prefix_mask


@pytest.fixture(scope="module")
def model() -> Text2Semantic:
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Text2Semantic(tiny().semantic).eval()


def rows(seed: int, *shape: int, most: int = 60) -> torch.Tensor:
    return torch.randint(0, most, shape, generator=torch.Generator().manual_seed(seed))


def test_padding_never_changes_an_item_s_loss(model: Text2Semantic) -> None:
    phones, codes = rows(1, 2, 9), rows(2, 2, 14)
    lengths, code_lengths = torch.tensor([9, 5]), torch.tensor([14, 8])
    together = model(phones, lengths, codes, code_lengths, reduction="sum").loss
    alone = [
        model(phones[i : i + 1, :x], lengths[i : i + 1], codes[i : i + 1, :t], code_lengths[i : i + 1], reduction="sum")
        for i, (x, t) in enumerate([(9, 14), (5, 8)])
    ]
    torch.testing.assert_close(together, alone[0].loss + alone[1].loss)
    phones[1, 5:] = 3
    codes[1, 8:] = 7
    other_padding = model(phones, lengths, codes, code_lengths, reduction="sum").loss
    torch.testing.assert_close(together, other_padding)


def test_a_later_code_never_influences_an_earlier_prediction(model: Text2Semantic) -> None:
    phones, codes = rows(3, 1, 6), rows(4, 1, 10)
    lengths = torch.tensor([6]), torch.tensor([10])
    before = model(phones, lengths[0], codes, lengths[1]).logits
    codes[0, 6] = (codes[0, 6] + 1) % 60
    after = model(phones, lengths[0], codes, lengths[1]).logits
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7], after[:, 7])


def test_text_sees_only_text_and_codes_see_the_past() -> None:
    mask = prefix_mask(2, 3)
    expected = [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert mask.int().tolist() == expected


@torch.inference_mode()
def test_the_cache_gives_the_same_as_one_full_pass(model: Text2Semantic) -> None:
    phones, codes = rows(5, 1, 7), rows(6, 1, 5)
    whole = torch.cat((model.embed_text(phones), model.embed_codes(codes)), 1)
    full = model.h(whole, prefix_mask(7, 5)[None, None])
    cache = KeyValueCache(model.config, 12, whole)
    steps = [model.h(whole[:, :8], prefix_mask(7, 1)[None, None], cache)]
    steps += [model.h(model.embed_codes(codes[:, i : i + 1], start=i), None, cache) for i in range(1, 5)]
    torch.testing.assert_close(torch.cat(steps, 1), full, atol=1e-5, rtol=1e-5)
    assert cache.length == 12


def test_the_phone_head_counts_only_known_places(model: Text2Semantic) -> None:
    phones, codes, targets = rows(7, 1, 6), rows(8, 1, 8), rows(9, 1, 8)
    lengths = torch.tensor([6]), torch.tensor([8])
    unknown = torch.full_like(targets, -100)
    assert float(model(phones, lengths[0], codes, lengths[1], phone_targets=unknown).phone_loss) == 0.0
    out = model(phones, lengths[0], codes, lengths[1], phone_targets=targets)
    torch.testing.assert_close(out.loss, out.codes_loss + 0.5 * out.phone_loss)
    assert float(out.phone_loss) > 0


def test_a_few_steps_learn_one_sentence() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = Text2Semantic(tiny().semantic)
    phones, codes = rows(10, 1, 6), rows(11, 1, 12)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        out = model(phones, torch.tensor([6]), codes, torch.tensor([12]))
        optimiser.zero_grad()
        out.loss.backward()
        optimiser.step()
        losses.append(float(out.loss.detach()))
    assert losses[-1] < 0.2 * losses[0]
