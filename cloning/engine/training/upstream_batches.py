"""Which items the official recipes take, and in which order: filters, repetition, buckets, accumulation windows.

Read from the official data sets and samplers (GPT-SoVITS, MIT: AR/data, module/data_utils); one process, one device.
The order of S2's items before shuffling depends on string hashes there and cannot be repeated: ours is the given one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from cloning.engine.errors import TrainingRefused
from cloning.engine.training.prepare import Item

#: Fewer items than this are repeated max(2, 100 // n) times.
FEW = 100
#: S1: longest item in seconds, phones for each code at most, phones per second.
MOST_SECONDS = 54
CODES_PER_PHONE = 2.5
PHONES_PER_SECOND = (3, 25)
#: S1: width of a length bucket in seconds.
BUCKET_SECONDS = 2.0
#: S2: length in seconds (both bounds excluded), and bucket bounds in frames (lower excluded, upper included).
SOUND_SECONDS = (0.6, 54.0)
BUCKET_FRAMES = (32, *range(300, 1901, 100))
#: S2 of v3 and v4.
FLOW_BUCKET_FRAMES = (32, *range(300, 1001, 100))
#: S2: the seed with which the list of items is shuffled once.
LIST_SEED = 1234
#: S1: the optimiser steps after a batch whose number in its epoch (from 0) is a positive multiple of this.
ACCUMULATED = 4


def repeated(items: Sequence[Item]) -> list[Item]:
    """The items, several times over when there are few. Raises TrainingRefused `no_items` when there is none."""
    if not items:
        raise TrainingRefused("no_items", "no item passes the filters of the official recipe")
    times = max(2, FEW // len(items)) if len(items) < FEW else 1
    return list(items) * times


def semantic_items(items: Sequence[Item], code_rate: float) -> list[Item]:
    """What S1 trains on: items with text, neither too long nor with an impossible number of phones; few are repeated.

    `code_rate` in codes per second. Raises TrainingRefused `no_items`.
    """
    most = MOST_SECONDS * code_rate
    least_pace, most_pace = PHONES_PER_SECOND

    def fits(item: Item) -> bool:
        codes, phones = len(item.codes), len(item.phones)
        if not item.has_text or not 0 < codes <= most or phones > most / CODES_PER_PHONE:
            return False
        return least_pace <= phones / (codes / code_rate) <= most_pace

    return repeated([item for item in items if fits(item)])


def semantic_batch_size(items: int, batch: int, *, preference: bool) -> int:
    """The batch that is really used: halved for DPO, and at most a quarter of the items."""
    return max(min(batch // 2 if preference else batch, items // 4), 1)


def semantic_batches(seconds: Sequence[float], batch: int, epoch: int) -> list[list[int]]:
    """Batches of item numbers of one epoch (from 0) of S1.

    Sorted by length, cut into buckets, shuffled within each; then cut into groups and the groups shuffled. Because the
    batches are cut from the joined groups again, a short group in the middle shifts all that follow [as upstream]. So
    does the bucket bound, which grows by one width at each overflow, however long the overflowing item is.
    """
    order = sorted(range(len(seconds)), key=lambda index: seconds[index])
    buckets: list[list[int]] = [[]]
    bound = BUCKET_SECONDS
    for index in order:
        if seconds[index] < bound:
            buckets[-1].append(index)
        else:
            buckets.append([index])
            bound += BUCKET_SECONDS
    # The official order is Python's own shuffle, seeded with the epoch.
    draw = random.Random(epoch)  # noqa: S311
    for bucket in buckets:
        draw.shuffle(bucket)
    flat = [index for bucket in buckets for index in bucket]
    groups = _cut(flat, batch)
    draw.shuffle(groups)
    return _cut([index for group in groups for index in group], batch)


def windows(batches: int, epochs: int) -> list[list[tuple[int, int]]]:
    """(epoch, batch) pairs, both from 0, whose gradients are summed for each optimiser step.

    A window ends after batch 4, 8, 12, … of an epoch; what is left over at an epoch's end is carried into the next one
    and lost at the end of training. With at most four batches in an epoch there is no step at all.
    """
    done: list[list[tuple[int, int]]] = []
    window: list[tuple[int, int]] = []
    for epoch in range(epochs):
        for index in range(batches):
            window.append((epoch, index))
            if index > 0 and index % ACCUMULATED == 0:
                done.append(window)
                window = []
    return done


def acoustic_items(
    items: Sequence[Item], *, sample_rate: int, hop: int, bounds: Sequence[int] = BUCKET_FRAMES
) -> list[Item]:
    """What S2 trains on: items with text, 0.6 to 54 s and within `bounds` (33 to 1900 frames); few are repeated.

    Raises TrainingRefused `no_items`.
    """
    pool = repeated([item for item in items if item.has_text])
    random.Random(LIST_SEED).shuffle(pool)  # noqa: S311

    def fits(item: Item) -> bool:
        seconds, frames = len(item.wave) / sample_rate, len(item.wave) // hop
        return SOUND_SECONDS[0] < seconds < SOUND_SECONDS[1] and bounds[0] < frames <= bounds[-1]

    kept = [item for item in pool if fits(item)]
    if not kept:
        raise TrainingRefused("no_items", "no item passes the filters of the official recipe")
    return kept


def acoustic_batches(
    frames: Sequence[int], batch: int, epoch: int, bounds: Sequence[int] = BUCKET_FRAMES
) -> list[list[int]]:
    """Batches of item numbers of one epoch (from 1) of S2: each from one bucket, filled up by repetition.

    `frames` must lie within `bounds`.
    """
    buckets: dict[int, list[int]] = {}
    for index, count in enumerate(frames):
        # Bounds are the lower ones of the buckets; the upper bound belongs to the bucket.
        place = sum(count > bound for bound in bounds) - 1
        buckets.setdefault(place, []).append(index)
    generator = torch.Generator().manual_seed(epoch)
    full = [buckets[place] for place in sorted(buckets)]
    orders = [torch.randperm(len(bucket), generator=generator).tolist() for bucket in full]
    batches: list[list[int]] = []
    for bucket, order in zip(full, orders, strict=True):
        missing = -len(bucket) % batch
        filled = order + order * (missing // len(order)) + order[: missing % len(order)]
        batches += [[bucket[place] for place in group] for group in _cut(filled, batch)]
    return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]


def _cut(numbers: list[int], size: int) -> list[list[int]]:
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]
