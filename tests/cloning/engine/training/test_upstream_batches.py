"""Orders and filters of the official recipes, against their rules written out here a second time."""

from __future__ import annotations

import itertools
import random
from itertools import pairwise

import pytest
import torch

from cloning.engine.errors import TrainingRefused
from cloning.engine.training.upstream_batches import (
    BUCKET_FRAMES,
    acoustic_batches,
    acoustic_items,
    repeated,
    semantic_batch_size,
    semantic_batches,
    semantic_items,
    windows,
)
from tests.cloning.engine.training.made import CONFIG, item, items


def flat(batches: list[list[int]]) -> list[int]:
    return list(itertools.chain(*batches))


@pytest.mark.parametrize(("count", "times"), [(1, 100), (12, 8), (40, 2), (70, 2), (99, 2), (100, 1), (150, 1)])
def test_few_items_are_repeated(count: int, times: int) -> None:
    kept = items([30] * count)
    assert len(repeated(kept)) == count * times


def test_reading_leaves_out_impossible_items() -> None:
    good = [item(75), item(75, pace=24.0), item(75, pace=4.0), item(1350)]
    bad = [item(75, pace=26.0), item(75, pace=2.0), item(75, has_text=False), item(1400)]
    kept = semantic_items(good + bad, CONFIG.code_rate)
    assert {id(one) for one in kept} == {id(one) for one in good}
    assert len(kept) == 4 * 25
    with pytest.raises(TrainingRefused) as caught:
        semantic_items(bad, CONFIG.code_rate)
    assert caught.value.code == "no_items"


def test_sound_leaves_out_what_is_too_short_or_too_long() -> None:
    good = [item(17), item(40), item(950)]
    bad = [item(14), item(16), item(951), item(40, has_text=False)]
    kept = acoustic_items(good + bad, sample_rate=CONFIG.audio.sample_rate, hop=CONFIG.audio.hop)
    assert {id(one) for one in kept} == {id(one) for one in good}
    assert kept == acoustic_items(good + bad, sample_rate=CONFIG.audio.sample_rate, hop=CONFIG.audio.hop)
    with pytest.raises(TrainingRefused):
        acoustic_items(bad, sample_rate=CONFIG.audio.sample_rate, hop=CONFIG.audio.hop)


@pytest.mark.parametrize(
    ("items_", "batch", "preference", "size"),
    [(96, 8, False, 8), (96, 48, False, 24), (96, 8, True, 4), (96, 1, True, 1), (3, 8, False, 1)],
)
def test_the_reading_batch_is_at_most_a_quarter(items_: int, batch: int, preference: bool, size: int) -> None:
    assert semantic_batch_size(items_, batch, preference=preference) == size


def test_a_reading_epoch_holds_every_item_once_in_batches_of_like_length() -> None:
    draw = random.Random(3)
    seconds = [draw.uniform(1, 15) for _ in range(103)]
    first = semantic_batches(seconds, 8, 0)
    assert sorted(flat(first)) == list(range(103))
    assert [len(batch) for batch in first] == [8] * 12 + [7]
    assert first == semantic_batches(seconds, 8, 0)
    assert first != semantic_batches(seconds, 8, 1)
    spreads = sorted(max(seconds[i] for i in batch) - min(seconds[i] for i in batch) for batch in first)
    assert spreads[len(spreads) // 2] < 4.0


def test_the_reading_order_is_pythons_shuffle_seeded_with_the_epoch() -> None:
    # Ten items of one second and ten of three: two buckets, shuffled one after the other, then groups of four.
    seconds = [1.0] * 10 + [3.0] * 10
    random.seed(7)
    low, high = list(range(10)), list(range(10, 20))
    random.shuffle(low)
    random.shuffle(high)
    joined = low + high
    groups = [joined[start : start + 4] for start in range(0, 20, 4)]
    random.shuffle(groups)
    assert semantic_batches(seconds, 4, 7) == groups


def test_a_short_group_shifts_those_behind_it() -> None:
    orders = [semantic_batches([1.0] * 10, 4, epoch) for epoch in range(20)]
    assert all([len(batch) for batch in order] == [4, 4, 2] for order in orders)


def test_windows_end_after_every_fourth_batch_but_the_first() -> None:
    made = windows(12, 2)
    assert [len(window) for window in made] == [5, 4, 8, 4]
    assert made[0] == [(0, index) for index in range(5)]
    assert made[2] == [(0, 9), (0, 10), (0, 11)] + [(1, index) for index in range(5)]
    told = [(epoch, index) for epoch in range(2) for index in range(12)]
    assert flat(made) == told[: len(flat(made))]  # type: ignore[arg-type,comparison-overlap]


@pytest.mark.parametrize("batches", [1, 2, 4])
def test_four_batches_an_epoch_are_no_step(batches: int) -> None:
    assert windows(batches, 50) == []
    assert len(windows(5, 50)) == 50


def test_a_sound_epoch_fills_each_bucket_up_by_repetition() -> None:
    draw = random.Random(1)
    frames = [draw.randint(33, 1900) for _ in range(61)]
    made = acoustic_batches(frames, 4, 1)
    assert all(len(batch) == 4 for batch in made)
    assert set(flat(made)) == set(range(61))
    bounds = list(pairwise(BUCKET_FRAMES))
    for batch in made:
        places = {next(k for k, (low, high) in enumerate(bounds) if low < frames[i] <= high) for i in batch}
        assert len(places) == 1
    assert made == acoustic_batches(frames, 4, 1)
    assert made != acoustic_batches(frames, 4, 2)


def test_the_sound_order_is_torchs_permutation_seeded_with_the_epoch() -> None:
    # Three items in the first bucket (its upper bound belongs to it), two in the second, batches of two.
    frames = [300, 33, 200, 301, 400]
    generator = torch.Generator().manual_seed(9)
    first = torch.randperm(3, generator=generator).tolist()
    second = [3 + place for place in torch.randperm(2, generator=generator).tolist()]
    batches = [first[:2], [first[2], first[0]], second]
    order = torch.randperm(3, generator=generator).tolist()
    assert acoustic_batches(frames, 2, 9) == [batches[place] for place in order]
