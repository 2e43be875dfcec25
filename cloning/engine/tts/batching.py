"""Which sentences are decoded together: upstream's buckets of similar length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def to_batch(
    lengths: Sequence[int], batch_size: int, threshold: float = 0.75, *, bucket: bool = True
) -> list[list[int]]:
    """Sentence lengths (characters of the normalised text) -> batches of sentence indices, every index once.

    Without `bucket`: `batch_size` at a time, in order. With it: sorted by length (equal lengths in order), then from
    the short end up to `batch_size` at a time, giving up the longest ones until the middle length is at least
    `threshold` times the mean (upstream's TTS.to_batch).
    """
    if batch_size < 1:
        raise ValueError("batch_size must be at least 1")
    if not bucket:
        return [list(range(i, min(i + batch_size, len(lengths)))) for i in range(0, len(lengths), batch_size)]
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    # Single precision as upstream, so that a batch at the very threshold is cut alike.
    ordered = np.array([lengths[index] for index in order], dtype=np.float32)
    batches: list[list[int]] = []
    start = 0
    while start < len(order):
        end = min(start + batch_size, len(order))
        while end - start > 1 and not _even(ordered[start:end], threshold):
            end -= 1
        batches.append(order[start:end])
        start = end
    return batches


def _even(lengths: np.ndarray, threshold: float) -> bool:
    middle = lengths[len(lengths) // 2]
    return bool(middle / (lengths.mean() + 1e-8) >= threshold)
