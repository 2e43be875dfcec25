"""The words of a challenge: a fixed vocabulary and an unpredictable draw from it.

``vocabulary.txt`` holds common concrete English words of two to four syllables. All stand in the recogniser's own
dictionary; none is one sound away from another (two for long words) or contained in another; each was
understood from several synthetic voices in random company, or it was dropped. Challenges are drawn from the words of
three syllables and more that were not misheard in noise or a room (``attacks.survey``): there a recogniser loses the
short ones first. The others, in ``vocabulary_short.txt`` and ``vocabulary_misheard.txt``, are only listened for, so
that what is said instead of a word has somewhere to go. Another language brings its own file with its mounted
recogniser (`recogniser.mount`). Drawing is without replacement, so n of V words carry
log2(V * (V - 1) * ... * (V - n + 1)) bits.
"""

from __future__ import annotations

import functools
import math
import secrets
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

T = TypeVar("T")

#: Six of the words asked: more than 50 bits, read in about five seconds of speech.
CHALLENGE_WORDS: Final = 6
#: The least a challenge may carry: a guess or a chance repetition is out of the question.
MIN_BITS: Final = 40.0
#: The least words a language must bring.
MIN_VOCABULARY: Final = 1_024

_FILE: Final = Path(__file__).with_name("vocabulary.txt")
#: Words that are listened for and never asked.
_UNASKED: Final = tuple(Path(__file__).with_name(f"vocabulary_{why}.txt") for why in ("short", "misheard"))


class Chooser(Protocol):
    """What is needed of a random source: ``secrets.SystemRandom()`` in service, a seeded ``Random`` in tests."""

    def sample(self, population: Sequence[T], k: int) -> list[T]:
        """k different elements, in random order."""


class ChallengeError(ValueError):
    """The challenge asked for would be empty, too easy to guess, or not drawn from the vocabulary."""


@functools.cache
def vocabulary() -> tuple[str, ...]:
    """All English words that are listened for, sorted."""
    return tuple(_FILE.read_text(encoding="utf-8").split())


@functools.cache
def asked() -> tuple[str, ...]:
    """The words of the vocabulary that challenges are drawn from, sorted."""
    unasked = {word for file in _UNASKED for word in file.read_text(encoding="utf-8").split()}
    return tuple(word for word in vocabulary() if word not in unasked)


def entropy_bits(n: int, vocabulary: int | Collection[str]) -> float:
    """Bits of n different words drawn in order from a vocabulary (or its size). Raises ChallengeError."""
    size = vocabulary if isinstance(vocabulary, int) else len(vocabulary)
    if not 0 < n <= size:
        raise ChallengeError(f"cannot draw {n} different words from {size}")
    return sum(math.log2(size - drawn) for drawn in range(n))


def draw(
    n: int = CHALLENGE_WORDS,
    *,
    exclude: Collection[str] = (),
    rng: Chooser | None = None,
    population: Sequence[str] | None = None,
) -> list[str]:
    """Draw n different words, none of ``exclude`` (words this speaker read before), from the system's randomness.

    ``population``: `asked` where not given; another language's vocabulary (`recogniser.vocabulary`). Raises
    ChallengeError when what is left carries less than MIN_BITS.
    """
    barred = set(exclude)
    left = [word for word in (asked() if population is None else population) if word not in barred]
    if entropy_bits(n, len(left)) < MIN_BITS:
        raise ChallengeError(f"{n} of {len(left)} words carry less than {MIN_BITS:.0f} bits")
    return (rng or secrets.SystemRandom()).sample(left, n)
