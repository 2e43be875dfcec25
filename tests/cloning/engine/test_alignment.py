"""Phones laid along frames: the fit is that of the best way there is, and the way the one that was gone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cloning.engine.alignment import LEAST, fit, heard, way
from cloning.engine.text.classes import NAMED, PAUSE, PHONE_INDEX, PHONES, REDUCED


def frames(said: str, each: int = 3) -> np.ndarray:
    """Log probabilities of frames that surely say these phones, `each` frames a phone."""
    rows = np.full((each * len(said.split()), len(PHONES)), LEAST, np.float32)
    for place, phone in enumerate(np.repeat(said.split(), each)):
        rows[place, PHONE_INDEX[phone]] = 0.0
    return rows


def test_what_is_skipped_repeated_or_made_up_is_heard() -> None:
    phones = [PHONE_INDEX[name] for name in ["dh", "ax", "k", "ae", "t", "s", "ae", "t"]]
    assert fit(frames("dh ax k ae t s ae t"), phones) == 0.0
    # Pauses are free wherever they are.
    assert fit(frames("pau dh ax pau k ae t pau pau s ae t pau"), phones) == 0.0
    for wrong in ("dh ax k ae s ae t", "dh ax k ae t k ae t s ae t", "dh ax k ae t s ae t m ow", "dh ax g ae t s ae t"):
        assert fit(frames(wrong), phones) < -0.2
    assert fit(frames("dh ax k ae t s ae t"), [PHONE_INDEX["m"]] * 8) < fit(frames("dh ax k ae t"), phones)
    assert fit(frames("k ae", 1), phones) == -np.inf


@given(st.integers(1, 6), st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(0, 2**31))
def test_the_fit_is_the_best_of_all_alignments(length: int, phones: list[int], seed: int) -> None:
    said = np.random.default_rng(seed).normal(size=(length, 5)).astype(np.float32)
    labels = [PAUSE, *(label for phone in phones for label in (phone, PAUSE))]
    best = -np.inf
    for path in itertools.combinations_with_replacement(range(len(labels)), length):
        if set(range(1, len(labels), 2)) <= set(path):
            best = max(best, sum(said[t, labels[state]] for t, state in enumerate(path)) / length)
    assert fit(said, phones) == pytest.approx(best, abs=1e-5)


def test_the_best_way_takes_phones_in_order_with_pauses_between() -> None:
    said = np.full((6, 3), np.log(0.1))
    for row, phone in enumerate([0, 1, 1, 0, 2, 2]):
        said[row, phone] = np.log(0.8)
    assert fit(said, [1, 2]) == pytest.approx(np.log(0.8))
    assert fit(said, [2, 1]) < np.log(0.3)
    assert fit(said[1:3], [1]) == pytest.approx(np.log(0.8))
    assert way(said, [1, 2]).tolist() == [0, 1, 1, 2, 3, 3]
    # The end is free.
    assert way(said[:4], [1, 2]).tolist() == [0, 1, 1, 2]


@given(st.integers(1, 6), st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(0, 2**31))
def test_no_way_to_any_state_is_better_than_the_one_that_is_given(length: int, phones: list[int], seed: int) -> None:
    said = np.random.default_rng(seed).normal(size=(length, 5))
    labels = [PAUSE, *(label for phone in phones for label in (phone, PAUSE))]

    def worth(path: tuple[int, ...]) -> float:
        return float(sum(said[t, labels[state]] for t, state in enumerate(path)))

    allowed = [
        path
        for path in itertools.combinations_with_replacement(range(len(labels)), length)
        if path[0] < 2 and set(range(1, path[-1], 2)) <= set(path)
    ]
    found = tuple(way(said, phones).tolist())
    assert found in allowed
    assert worth(found) == pytest.approx(max(map(worth, allowed)))


def test_a_reduced_vowel_is_heard_by_its_name_and_no_phone_is_impossible() -> None:
    logits = torch.full((2, len(PHONES)), -50.0)
    logits[:, [NAMED, REDUCED]] = 0.0
    said = heard(logits)
    np.testing.assert_allclose(said[:, NAMED], 0.0, atol=1e-6)
    assert said[:, PHONE_INDEX["b"]].tolist() == [LEAST, LEAST]
