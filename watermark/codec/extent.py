"""Where a mark that was found begins and ends.

Inside its mark a chip's agreement with the code, e = <v, c>, is on average a constant times |v|^2, outside it is zero.
With that constant taken from the window that was found, the log-likelihood ratio of "marked from a to b" is a sum over
chips, and the best a and b are those of the greatest sum of neighbours (Kadane's scan).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from watermark.codec.grid import CHIPS


def extent(
    chips: NDArray[np.float32], code: NDArray[np.float32], rotation: int, window: tuple[int, int]
) -> tuple[int, int]:
    """First chip and the one after the last of the stretch of ``chips`` (chips, BANDS) that carries ``code`` (CHIPS,
    BANDS) at ``rotation``, starting from a ``window`` of chips in which it was found."""
    expected = code[(np.arange(len(chips)) - rotation) % CHIPS]
    agreement = (chips * expected).sum(axis=1)
    energy = (chips**2).sum(axis=1)
    inside = slice(*window)
    rate = max(float(agreement[inside].sum()), 0.0) / max(float(energy[inside].sum()), 1e-12)
    gain = np.concatenate([[0.0], np.cumsum(rate * agreement - rate**2 * energy / 2, dtype=np.float64)])
    # The stretch must reach into the window: the lowest sum before its middle, and the highest after.
    middle = (window[0] + window[1]) // 2
    first = int(np.argmin(gain[: middle + 1]))
    last = middle + int(np.argmax(gain[middle:]))
    return (first, last) if last > first else window
