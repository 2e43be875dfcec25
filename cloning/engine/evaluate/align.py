"""What was given and what was heard, word beside word: right, wrong, missing, extra; and distances between phones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["right", "wrong", "missing", "extra"]
#: A word that comes again within this many words of where it belongs was repeated, not misheard.
NEAR = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One place of an alignment. `given` None: an extra word; `heard` None: a missing one."""

    kind: Kind
    given: str | None
    heard: str | None


def align(
    given: Sequence[str], heard: Sequence[str], same: Callable[[str, str], bool] = str.__eq__
) -> tuple[Step, ...]:
    """The alignment with the fewest errors (Levenshtein), of those the one with the most right words.

    So a word said twice beside one left out is not taken for a row of wrong words.
    """
    # Right words count less than any error: there are fewer of them than `error`.
    error, right = len(given) + len(heard) + 1, -1
    rows = [[error * j for j in range(len(heard) + 1)]]
    for i, wanted in enumerate(given, 1):
        above, row = rows[-1], [error * i]
        for j, got in enumerate(heard, 1):
            both = above[j - 1] + (right if same(wanted, got) else error)
            row.append(min(above[j] + error, row[-1] + error, both))
        rows.append(row)
    steps: list[Step] = []
    i, j = len(given), len(heard)
    while i or j:
        alike = bool(i and j) and same(given[i - 1], heard[j - 1])
        if i and j and rows[i][j] == rows[i - 1][j - 1] + (right if alike else error):
            i, j = i - 1, j - 1
            steps.append(Step("right" if alike else "wrong", given[i], heard[j]))
        elif i and rows[i][j] == rows[i - 1][j] + error:
            i -= 1
            steps.append(Step("missing", given[i], None))
        else:
            j -= 1
            steps.append(Step("extra", None, heard[j]))
    return tuple(reversed(steps))


def errors(steps: Sequence[Step]) -> int:
    """Wrong, missing and extra words: what the word error rate counts."""
    return sum(step.kind != "right" for step in steps)


def skipped(steps: Sequence[Step]) -> int:
    """Given words with nothing heard in their place."""
    return sum(step.kind == "missing" for step in steps)


def repeated(steps: Sequence[Step]) -> int:
    """Extra words that are also given at most NEAR places away: said once more, rather than misheard."""
    count = 0
    for place, step in enumerate(steps):
        if step.kind == "extra":
            near = steps[max(0, place - NEAR) : place + NEAR + 1]
            count += any(other.given == step.heard for other in near)
    return count


def intact(steps: Sequence[Step]) -> bool:
    """Nothing skipped or repeated, and more than half of the given words right: where most are wrong, an alignment says
    nothing about what was skipped."""
    given = sum(step.given is not None for step in steps)
    right = sum(step.kind == "right" for step in steps)
    return 2 * right > given and not skipped(steps) and not repeated(steps)


def phone_errors(words: Sequence[Sequence[tuple[str, ...]]], heard: Sequence[str]) -> int:
    """Levenshtein distance of the heard phones to the nearest pronunciation of the words.

    `words`: for each word its pronunciations, each a row of phones. A word without any may be anything at no cost in
    length: give none.
    """
    row = list(range(len(heard) + 1))
    for pronunciations in words:
        ends = [_after(row, phones, heard) for phones in pronunciations]
        row = [min(column) for column in zip(*ends, strict=True)]
    return row[-1]


def _after(row: list[int], phones: Sequence[str], heard: Sequence[str]) -> list[int]:
    for wanted in phones:
        above, row = row, [row[0] + 1]
        for j, got in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (wanted != got)))
    return row
