"""A text's phones laid along frames that were heard: how well do they fit, and which frame says which phone?

The best way through the phones in order (Viterbi 1967), each at least one frame long, pauses wherever they fit. States
are pause, phone, pause, phone, ..., pause. A skipped phone must still be laid on a frame that says another one, and
what is said twice or made up must be laid on phones it is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor, logaddexp

from cloning.engine.text.classes import NAMED, PAUSE, REDUCED

#: Least log probability of a phone in a frame: one frame told wrongly is not the end of the way.
LEAST = -7.0

Heard = npt.NDArray[np.floating]


def heard(logits: Tensor) -> npt.NDArray[np.float32]:
    """A content encoder's phone logits ... x classes -> log probabilities of the classes that symbols name, no less
    than LEAST."""
    said = logits.float().log_softmax(-1)
    if said.shape[-1] > REDUCED:
        said[..., NAMED] = logaddexp(said[..., NAMED], said[..., REDUCED])
    found: npt.NDArray[np.float32] = said.clamp(min=LEAST).cpu().numpy()
    return found


def fit(said: Heard, phones: Sequence[int]) -> float:
    """Mean over frames of the best way's log probabilities: said F x classes, phones in order -> at most 0; -inf when
    there are fewer frames than phones, or no frame."""
    if len(said) < max(1, len(phones)):
        return -np.inf
    best, _ = _forward(said, phones, remember=False)
    return float(best[-2:].max()) / len(said)


def way(said: Heard, phones: Sequence[int]) -> npt.NDArray[np.int64]:
    """The state of each frame, F, on the best way: an odd one 2 k + 1 is phone k. The end is free, so that frames which
    are still being made may say the beginning of a text; `said` has at least one frame."""
    best, steps = _forward(said, phones, remember=True)
    state, path = int(best.argmax()), np.empty(len(said), dtype=np.int64)
    for frame in range(len(said) - 1, -1, -1):
        path[frame] = state
        state -= int(steps[frame, state])
    return path


def _forward(said: Heard, phones: Sequence[int], *, remember: bool) -> tuple[npt.NDArray, npt.NDArray[np.int8]]:
    """Log probabilities of the best ways to each state in the last frame; and how many states each step came forward,
    F x states, when they are remembered."""
    states = np.full(2 * len(phones) + 1, PAUSE)
    states[1::2] = phones
    each = said[:, states].astype(np.float64)
    # A phone follows the pause before it, or the phone before that when the pause is left out.
    skips = np.where(np.arange(len(states)) % 2 == 1, 0.0, -np.inf)[2:]
    best = np.full(len(states), -np.inf)
    best[:2] = each[0, :2]
    steps = np.zeros(each.shape if remember else (0, 0), dtype=np.int8)
    came = np.full((3, len(states)), -np.inf)
    for frame in range(1, len(each)):
        came[0] = best
        came[1, 1:] = best[:-1]
        came[2, 2:] = best[:-2] + skips
        if remember:
            steps[frame] = came.argmax(0)
        best = came.max(0) + each[frame]
    return best, steps
