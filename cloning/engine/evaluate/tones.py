"""Mandarin syllables whose sounds are judged without their tones, and tones where the sounds are right."""

from __future__ import annotations

from collections.abc import Sequence

from cloning.engine.evaluate import align
from cloning.engine.evaluate.align import Step


def alike(one: str, other: str) -> bool:
    """Are two syllables such as "hao3" the same but for the tone?"""
    return one.rstrip("12345") == other.rstrip("12345")


def errors_without(steps: Sequence[Step]) -> int:
    """Wrong, missing and extra syllables when tones do not count; the syllables are aligned anew."""
    return align.errors(_again(steps))


def right(steps: Sequence[Step]) -> tuple[int, int]:
    """Syllables with the right tone among those with the right initial and final, and how many these are."""
    found = [step for step in _again(steps) if step.kind == "right"]
    return sum(step.given == step.heard for step in found), len(found)


def _again(steps: Sequence[Step]) -> tuple[Step, ...]:
    given = [step.given for step in steps if step.given is not None]
    heard = [step.heard for step in steps if step.heard is not None]
    return align.align(given, heard, alike)
