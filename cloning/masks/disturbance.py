"""How a mask moves a voice: three bounded numbers, drawn by a seed. Pure, and no torch.

They say which way the voice's style goes (`cloning.engine.disguise`); SHARE of them is done to the finished speech.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

LEAST_PITCH: Final = 2.5
MOST_PITCH: Final = 6.0
LEAST_FORMANTS: Final = 2.0
MOST_FORMANTS: Final = 4.0
"""Semitones. Within these a voice still is a person's (a man's and a woman's formants lie about three apart); beyond
them it is a cartoon's."""
SHARE: Final = 0.6
"""Of the shift, what is done to the finished speech beside the style's move: both carry a voice further than one."""
REACHES: Final = (1.6, 2.1, 2.6)
"""How far a candidate's style goes, round by round: a fine-tuned voice clings to its speaker, and keeps its words at
2.6; one of the bare base is far away at 1.6 and may lose words (docs/consent.md has the figures)."""
ROUNDS: Final = len(REACHES)
"""Candidates tried before a mask is refused: so many sizes in each of the four directions."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """``pitch`` and ``formants``: semitones, of `cloning.engine.shift`; ``reach``: of `cloning.engine.disguise`.

    Raises ValueError out of bounds.
    """

    pitch: float
    formants: float
    reach: float

    def __post_init__(self) -> None:
        for name, most in (("pitch", MOST_PITCH), ("formants", MOST_FORMANTS), ("reach", REACHES[-1])):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name} is a number")
            if abs(value) > most:
                raise ValueError(f"{name} is at most {most:g}")

    def kept(self) -> dict[str, float]:
        """As the database keeps it."""
        return asdict(self)

    @property
    def shift(self) -> dict[str, float]:
        """What is done to finished speech, as `cloning.engine.shift.shifted` names it."""
        return {"pitch": SHARE * self.pitch, "formants": SHARE * self.formants}

    @classmethod
    def of(cls, kept: dict[str, Any]) -> "Disturbance":
        """From `kept`. Raises ValueError, TypeError."""
        return cls(**kept)


def candidates(seed: int) -> Iterator[Disturbance]:
    """The same ones for a seed, from slight to strong: of each size one in every direction, in an order that is
    the seed's, so that two masks of a voice are two voices."""
    draw = random.Random(seed)  # noqa: S311 - what is chosen is not guessed at, it is measured
    for n, reach in enumerate(REACHES):
        directions = [(1, 1), (-1, -1), (1, -1), (-1, 1)]
        draw.shuffle(directions)
        for up, larger in directions:
            share = (n + draw.random()) / ROUNDS
            yield Disturbance(
                round(up * (LEAST_PITCH + share * (MOST_PITCH - LEAST_PITCH)), 2),
                round(larger * (LEAST_FORMANTS + share * (MOST_FORMANTS - LEAST_FORMANTS)), 2),
                reach,
            )
