"""Alignment: what is right, wrong, missing, extra, and the least number of errors."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloning.engine.evaluate.align import align, errors, intact, phone_errors, repeated, skipped

WORDS = st.lists(st.sampled_from("abc"), max_size=7)


def kinds(given: str, heard: str) -> str:
    return " ".join(step.kind for step in align(given.split(), heard.split()))


@pytest.mark.parametrize(
    ("given", "heard", "expected"),
    [
        ("the cat sat", "the cat sat", "right right right"),
        ("the cat sat", "the hat sat", "right wrong right"),
        ("the cat sat", "the sat", "right missing right"),
        ("the cat sat", "the cat cat sat", "right extra right right"),
        ("the cat sat", "", "missing missing missing"),
        ("", "noise", "extra"),
        ("", "", ""),
    ],
)
def test_what_became_of_each_word(given: str, heard: str, expected: str) -> None:
    assert kinds(given, heard) == expected


@pytest.mark.parametrize(
    ("given", "heard", "skips", "repeats"),
    [
        ("two small red boxes", "two small red boxes", 0, 0),
        ("two small red boxes", "two red boxes", 1, 0),
        ("two small red boxes", "two small small red boxes", 0, 1),
        ("two small red boxes", "two small red two small red boxes", 0, 3),
        ("two small red boxes", "two small oh red boxes", 0, 0),
        ("two small red boxes", "two tall red boxes", 0, 0),
        ("two small red boxes", "two two small boxes", 1, 1),
    ],
)
def test_skipped_and_repeated_words(given: str, heard: str, skips: int, repeats: int) -> None:
    steps = align(given.split(), heard.split())
    assert (skipped(steps), repeated(steps)) == (skips, repeats)


@pytest.mark.parametrize(
    ("heard", "whole"),
    [
        ("two small red boxes", True),
        ("two tall red boxes", True),
        ("two small red", False),
        ("two small small red boxes", False),
        ("six tall green foxes", False),
        ("", False),
    ],
)
def test_a_sentence_is_intact_when_it_is_understood_and_nothing_is_skipped_or_repeated(heard: str, whole: bool) -> None:
    assert intact(align(["two", "small", "red", "boxes"], heard.split())) is whole


def test_words_that_sound_alike_are_right() -> None:
    steps = align(["red"], ["read"], lambda one, other: one[0] == other[0])
    assert [(step.kind, step.given, step.heard) for step in steps] == [("right", "red", "read")]


@given(WORDS, WORDS)
def test_an_alignment_holds_both_rows_and_the_least_errors(given: list[str], heard: list[str]) -> None:
    steps = align(given, heard)
    assert [step.given for step in steps if step.given is not None] == given
    assert [step.heard for step in steps if step.heard is not None] == heard
    assert all((step.kind == "right") == (step.given == step.heard) for step in steps)
    assert errors(steps) == distance(given, heard)


@given(st.lists(st.lists(WORDS.map(tuple), min_size=1, max_size=2), max_size=3), WORDS)
def test_phone_errors_take_the_nearest_pronunciation(words: list[list[tuple[str, ...]]], heard: list[str]) -> None:
    readings: list[list[str]] = [[]]
    for pronunciations in words:
        readings = [[*row, *phones] for row in readings for phones in pronunciations]
    assert phone_errors(words, heard) == min(distance(row, heard) for row in readings)


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Levenshtein's own definition, slow and plain."""

    @functools.cache
    def between(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(between(i - 1, j) + 1, between(i, j - 1) + 1, between(i - 1, j - 1) + (one[i - 1] != other[j - 1]))

    return between(len(one), len(other))
