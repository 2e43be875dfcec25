"""Does the background of a recording follow its words? In one recording it does not; in words cut together it does.

Every word that comes from another recording brings that recording's background along: what is heard before it and after
it is one background, and somewhere in the pause between two words one gives way to the next. So the pauses are measured
twice. First, whether the two sides of a word are more alike than the two sides of a pause: where nobody cut they are
not, whatever the background does, because a fan, a street or a noise gate does not wait for the middle of a pause.
Second, how abruptly the background changes within a pause, judged against a straight line, because breath and echo rise
and fall gradually. Both look at bands, so that a change of colour counts as one of level does.

A logistic regression weighs the two. It was fitted and measured by `train_splice`; what it cannot see is in
``splice_weights.json`` and in the card: words of one session, and noise laid over the joins.
"""

from __future__ import annotations

import functools
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.special import expit

from consent.biometrics.audio import MODEL_RATE
from consent.biometrics.speech import FRAME, runs

WEIGHTS: Final = Path(__file__).with_name("splice_weights.json")
#: Bands of the background, Hz.
_EDGES: Final = (100, 300, 600, 1_000, 1_500, 2_200, 3_000, 4_000, 5_200, 6_400, 7_600)
_HOP: Final = 160
_WINDOW: Final = 320
#: A pause begins and ends this many 32 ms frames from speech: breath and echo fall off there.
_MARGIN: Final = 2
#: A band below this (dBFS) is silent, whatever the number.
_FLOOR: Final = 10.0 ** (-90.0 / 10.0)
#: A step is looked for with this many 10 ms frames on either side at least and at most; and this many between the
#: sides, where a cross-fade may lie.
_LEAST: Final = 4
_MOST: Final = 15
_BETWEEN: Final = 2
#: Background beside a word: at most so many frames of the half pause next to it.
_SIDE: Final = 20
#: dB by which the levels of one steady background scatter at least.
_SCATTER: Final = 1.5
#: Square of the difference in dB that two stretches of one steady background show anyway.
_CHANCE: Final = 0.5
#: Inner pauses needed to say anything.
MIN_PAUSES: Final = 2
DIMENSIONS: Final = 5


@dataclass(frozen=True)
class Background:
    """What the pauses of a recording say: ``pauses`` that were long enough; root mean square dB by which the two sides
    of a pause (``across_pauses``) and of a word (``across_words``) differ; and how much better than a line a step
    explains each pause (``steps``, log likelihood a band, largest first)."""

    pauses: int
    across_pauses: float
    across_words: float
    steps: tuple[float, ...]

    @property
    def features(self) -> np.ndarray:
        """(5,) float64, what the regression sees."""
        steps = [*self.steps, 0.0, 0.0]
        return np.array(
            [
                np.log(self.across_pauses**2 + _CHANCE),
                np.log(self.across_words**2 + _CHANCE),
                np.log1p(steps[0]),
                np.log1p(steps[1]),
                np.log1p(float(np.median(self.steps)) if self.steps else 0.0),
            ]
        )


@dataclass(frozen=True)
class Detector:
    """A logistic regression over `Background.features`, with the probability from which a recording is held up."""

    version: str
    weights: np.ndarray
    bias: float
    threshold: float
    measured: list[dict[str, Any]]

    def probability(self, found: Background) -> float:
        """That the words were cut together, 0..1, at equal prior odds."""
        return float(expit(found.features @ self.weights + self.bias))


@functools.cache
def detector() -> Detector:
    """The shipped detector. Raises ValueError when the file is not what this code expects."""
    stored = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    weights = np.asarray(stored["weights"], dtype=np.float64)
    if weights.shape != (DIMENSIONS,) or not 0.0 < stored["threshold"] < 1.0:
        raise ValueError("the splice detector's weights have the wrong shape")
    return Detector(stored["version"], weights, float(stored["bias"]), float(stored["threshold"]), stored["measured"])


def measure(sound: np.ndarray, mask: np.ndarray) -> Background | None:
    """Measure 16 kHz sound (samples,) with its `speech.frame_mask`. None with fewer than MIN_PAUSES usable pauses."""
    levels = _levels(sound)
    sides: list[tuple[np.ndarray | None, np.ndarray | None]] = []
    steps = []
    for start, stop in runs(~mask):
        follows, leads = start > 0, stop < mask.size
        first = (start + _MARGIN * follows) * FRAME // _HOP
        part = levels[first : min((stop - _MARGIN * leads) * FRAME // _HOP - 1, len(levels))]
        near = min(len(part) // 2 if follows and leads else len(part), _SIDE)
        usable = near >= _LEAST
        sides.append(
            (
                np.median(part[:near], axis=0) if usable and follows else None,
                np.median(part[len(part) - near :], axis=0) if usable and leads else None,
            )
        )
        if usable and follows and leads:
            steps.append(_step(part))
    pauses = [right - left for left, right in sides if left is not None and right is not None]
    words = [
        after - before
        for (_, before), (after, _) in itertools.pairwise(sides)
        if before is not None and after is not None
    ]
    if len(pauses) < MIN_PAUSES or not words:
        return None
    return Background(len(pauses), _rms(pauses), _rms(words), tuple(sorted(steps, reverse=True)))


def _levels(sound: np.ndarray) -> np.ndarray:
    """dB of full scale in each band every 10 ms: (frames, bands)."""
    padded = np.pad(sound.astype(np.float64), (0, max(0, _WINDOW - sound.size)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP] * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 * (2.0 / (0.375 * _WINDOW**2))
    bins = [round(edge * _WINDOW / MODEL_RATE) for edge in _EDGES]
    bands = np.stack([power[:, low:high].sum(axis=1) for low, high in itertools.pairwise(bins)], axis=1)
    return np.asarray(10.0 * np.log10(bands + _FLOOR))


def _rms(differences: list[np.ndarray]) -> float:
    return float(np.sqrt(np.mean(np.square(differences))))


def _step(part: np.ndarray) -> float:
    """How much better than a straight line the likeliest step explains the levels around it, in one pause's levels
    (frames, bands): log likelihood a band, 0 where a line is as good."""
    best = 0.0
    for at in range(_LEAST, len(part) - _LEAST - _BETWEEN + 1):
        left, right = part[max(0, at - _MOST) : at], part[at + _BETWEEN : at + _BETWEEN + _MOST]
        both = np.concatenate([left, right])
        both -= both.mean(axis=0)
        times = np.concatenate([np.arange(len(left)), np.arange(len(right)) + len(left) + _BETWEEN]).astype(np.float64)
        times -= times.mean()
        line = ((both - times[:, None] * (times @ both / (times @ times))) ** 2).sum(axis=0)
        step = ((left - left.mean(axis=0)) ** 2).sum(axis=0) + ((right - right.mean(axis=0)) ** 2).sum(axis=0)
        scatter = np.maximum(step / (len(both) - 2), _SCATTER**2)
        best = max(best, float(((line - step) / (2.0 * scatter)).mean()))
    return best
