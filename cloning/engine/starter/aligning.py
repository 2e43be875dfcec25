"""When was each phone spoken? For synthesisers that do not tell: forced alignment by a hidden Markov model.

One Gaussian with a diagonal covariance for each initial and each half of a final, over the content encoder's frames;
trained from equal shares (a flat start) by Viterbi re-estimation (Rabiner 1989, section VI), which formant synthesis,
alike from one time to the next, makes easy. The encoder need not know the language: its frames tell sounds apart
that it has no name for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cloning.engine.text.classes import FINALS

#: States of an initial and of a final: at least one and two frames of 20 ms.
STATES_INITIAL, STATES_FINAL = 1, 2
#: Rounds of alignment and estimation.
ROUNDS = 8
#: Least variance of a number of a frame (they are normalised to about 1).
FLOOR = 0.02
Frames = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Aligner:
    """`means` and `variances`: states x dim; `first`: initial or final without tone -> its first state."""

    means: Frames
    variances: Frames
    first: dict[str, int]

    def ends(self, frames: Frames, phones: Sequence[str]) -> npt.NDArray[np.int64] | None:
        """For each phone the frame after its last one, (phones,); the last is T. frames T x dim, phones at least one.
        None where there are fewer frames than states, or a phone that the training never met."""
        if not phones or any(phone not in self.first for phone in phones):
            return None
        states = _states(phones, self.first)
        path = _viterbi(self._scores(frames)[:, states])
        if path is None:
            return None
        owner = np.repeat(np.arange(len(phones)), [_count(phone) for phone in phones])
        return np.searchsorted(owner[path], np.arange(len(phones)), side="right")

    def _scores(self, frames: Frames) -> npt.NDArray[np.float64]:
        """Log densities, T x states, but for a constant."""
        precision = 1.0 / self.variances.astype(np.float64)
        squares = frames.astype(np.float64) ** 2 @ precision.T - 2.0 * frames @ (self.means * precision).T
        spread = (self.means**2 * precision).sum(1) + np.log(self.variances).sum(1)
        out: npt.NDArray[np.float64] = -0.5 * (squares + spread)
        return out


def learn(material: Sequence[tuple[Frames, Sequence[str]]]) -> Aligner:
    """From pairs of frames (T x dim) and the initials and finals (without tone) in them, in order, without pauses.

    Pairs with fewer frames than states are left out. Raises ValueError when nothing is left.
    """
    kinds = sorted({phone for _, phones in material for phone in phones})
    first, count = {}, 0
    for kind in kinds:
        first[kind] = count
        count += _count(kind)
    rows = [(frames, _states(phones, first)) for frames, phones in material]
    rows = [(frames, states) for frames, states in rows if len(frames) >= len(states) > 0]
    if not rows:
        raise ValueError("nothing to learn an alignment from")
    everything = np.concatenate([frames for frames, _ in rows])
    paths = [np.arange(len(frames)) * len(states) // len(frames) for frames, states in rows]
    aligner = Aligner(everything.mean(0)[None], everything.var(0)[None], first)
    for _ in range(ROUNDS):
        owners = np.concatenate([states[path] for (_, states), path in zip(rows, paths, strict=True)])
        aligner = _estimate(everything, owners, count, first)
        found = [_viterbi(aligner._scores(frames)[:, states]) for frames, states in rows]
        paths = [new if new is not None else old for new, old in zip(found, paths, strict=True)]
    return aligner


def _estimate(frames: Frames, owners: npt.NDArray[np.int64], count: int, first: dict[str, int]) -> Aligner:
    sums = np.zeros((2, count, frames.shape[1]))
    np.add.at(sums[0], owners, frames)
    np.add.at(sums[1], owners, frames.astype(np.float64) ** 2)
    share = np.maximum(np.bincount(owners, minlength=count), 1)[:, None]
    means = sums[0] / share
    variances = np.maximum(sums[1] / share - means**2, FLOOR)
    return Aligner(means.astype(np.float32), variances.astype(np.float32), first)


def _count(phone: str) -> int:
    return STATES_FINAL if phone in FINALS else STATES_INITIAL


def _states(phones: Sequence[str], first: dict[str, int]) -> npt.NDArray[np.int64]:
    return np.array([first[phone] + n for phone in phones for n in range(_count(phone))], dtype=np.int64)


def _viterbi(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int64] | None:
    """T x S scores of states in order -> the state of each frame, (T,), none left out; None when T < S."""
    frames, states = scores.shape
    if frames < states:
        return None
    best = np.full(states, -np.inf)
    best[0] = scores[0, 0]
    stepped = np.zeros((frames, states), dtype=bool)
    for t in range(1, frames):
        entered = np.concatenate(([-np.inf], best[:-1]))
        stepped[t] = entered > best
        best = np.maximum(best, entered) + scores[t]
    path = np.empty(frames, dtype=np.int64)
    state = states - 1
    for t in range(frames - 1, -1, -1):
        path[t] = state
        state -= int(stepped[t, state])
    return path
