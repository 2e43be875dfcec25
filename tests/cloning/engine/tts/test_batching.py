"""Buckets: upstream's batches, and every sentence in exactly one of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloning.engine.tts.batching import to_batch
from tests.cloning.engine.official import needs_fixtures, rows


@needs_fixtures
def test_the_batches_are_upstream_s() -> None:
    for row in rows("to_batch.json"):
        assert to_batch(row["lens"], row["batch_size"], row["threshold"], bucket=row["split_bucket"]) == row["batches"]


@given(st.lists(st.integers(1, 600), max_size=40), st.integers(1, 50), st.floats(0, 1), st.booleans())
def test_every_sentence_is_in_exactly_one_batch(lengths: list[int], size: int, threshold: float, bucket: bool) -> None:
    batches = to_batch(lengths, size, threshold, bucket=bucket)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in batches)


def test_a_batch_holds_at_least_one_sentence() -> None:
    with pytest.raises(ValueError, match="batch_size"):
        to_batch([1], 0)
