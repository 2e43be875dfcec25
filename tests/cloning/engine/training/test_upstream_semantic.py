"""The official S1 training forward beside ours: equal for one item, different for a padded batch, and where."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from cloning.engine.config import tiny
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.training.upstream_semantic import (
    preference_loss,
    spoiled,
    upstream_forward,
    upstream_mask,
    upstream_rate,
)


@pytest.fixture
def model() -> Text2Semantic:
    torch.manual_seed(1)
    return Text2Semantic(dataclasses.replace(tiny().semantic, phone_classes=0)).eval()


def batch() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(2)
    phones = torch.randint(1, 700, (2, 9), generator=generator)
    codes = torch.randint(0, 60, (2, 12), generator=generator)
    return phones, torch.tensor([9, 5]), codes, torch.tensor([12, 7])


def test_one_item_gives_what_our_own_forward_gives(model: Text2Semantic) -> None:
    phones, _, codes, _ = batch()
    theirs = upstream_forward(model, phones[:1], torch.tensor([9]), codes[:1], torch.tensor([12]))
    ours = model(phones[:1], torch.tensor([9]), codes[:1], torch.tensor([12]), reduction="sum")
    torch.testing.assert_close(theirs.logits, ours.logits)
    torch.testing.assert_close(theirs.loss, ours.loss)


def test_padding_counts_in_the_official_loss_and_not_in_ours(model: Text2Semantic) -> None:
    phones, phone_lengths, codes, code_lengths = batch()
    theirs = upstream_forward(model, phones, phone_lengths, codes, code_lengths)
    ours = model(phones, phone_lengths, codes, code_lengths, reduction="sum")
    assert float(theirs.loss.detach()) > float(ours.loss.detach())
    assert theirs.targets[1, 7:].tolist() == [model.config.eos] * 6
    assert torch.isclose(theirs.log_likelihood.sum(), -theirs.loss)


def test_the_first_phones_of_a_shorter_item_are_hidden() -> None:
    mask = upstream_mask(torch.tensor([9, 5]), torch.tensor([12, 7]), 9, 12)
    assert mask.shape == (2, 1, 21, 21)
    assert mask[1, 0, 20].tolist() == [False] * 4 + [True] * 12 + [False] * 5
    assert mask[0, 0, 8].tolist() == [True] * 9 + [False] * 12


def test_a_preferred_sentence_costs_less(model: Text2Semantic) -> None:
    phones, phone_lengths, codes, code_lengths = batch()
    chosen = upstream_forward(model, phones, phone_lengths, codes, code_lengths)
    better = dataclasses.replace(chosen, log_likelihood=chosen.log_likelihood + 50)
    assert float(preference_loss(better, chosen).detach()) < float(preference_loss(chosen, chosen).detach()) < 0.7
    assert float(preference_loss(chosen, better).detach()) > 5


def test_a_spoiled_copy_repeats_or_leaves_out_a_stretch() -> None:
    codes = torch.arange(40)
    lengths = {len(spoiled(codes, np.random.default_rng(seed))) for seed in range(60)}
    assert min(lengths) < 40 < max(lengths)
    for seed in range(20):
        assert set(spoiled(codes, np.random.default_rng(seed)).tolist()) <= set(range(40))


def test_the_rate_is_the_one_upstream_runs_with() -> None:
    assert [upstream_rate(step) for step in range(4)] == [0.01, 0.002, 0.002, 0.002]
