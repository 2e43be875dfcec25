"""The fine texture of a spectrum: what a vocoder smooths away or puts in its place.

In speech from a microphone the power of neighbouring cells of a spectrogram scatters as it does in any sum of many
independent waves: around a local mean with the spread of a chi-squared variable where there is noise, with sharp lines
where there are harmonics. A generator draws both from an average: cells scatter less or more, and move together from
frame to frame. Only the deviation of each cell from its neighbours is looked at, never the spectrum itself, so that
microphone, room and speaker drop out as far as they can.
"""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
from scipy.ndimage import uniform_filter1d

from consent.biometrics.audio import MODEL_RATE

#: Short windows resolve pitch pulses, long ones harmonics: (samples of the window, hop).
WINDOWS: Final = ((256, 80), (1_024, 160))
#: Bands from 100 to 7,000 Hz, evenly spaced; codecs and telephones empty the uppermost, so their share says so.
BANDS: Final = 12
LOW_HZ: Final = 100.0
HIGH_HZ: Final = 7_000.0
#: Numbers a band: spread, skewness and depth of the deviations, their likeness to the next frame and the one after,
#: and to the next bin.
_NUMBERS: Final = 6
DIMENSIONS: Final = len(WINDOWS) * BANDS * _NUMBERS
#: Half-width in Hz of the neighbourhood a cell is compared with.
_AROUND_HZ: Final = 250.0
_FLOOR: Final = 10.0 ** (-70.0 / 10.0)


def features(levelled: np.ndarray) -> np.ndarray:
    """16 kHz speech without silences at one level (samples,), at least 0.1 s, to (144,) float64."""
    return np.concatenate([_of_window(levelled, window, hop) for window, hop in WINDOWS])


def _of_window(sound: np.ndarray, window: int, hop: int) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(sound, window)[::hop] * np.hanning(window)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 / window
    levels = np.log(power + _FLOOR)
    around = 2 * round(_AROUND_HZ * window / MODEL_RATE) + 1
    deviation = levels - np.log(uniform_filter1d(power, around, axis=1) + _FLOOR)
    edges = np.round(np.linspace(LOW_HZ, HIGH_HZ, BANDS + 1) * window / MODEL_RATE).astype(int)
    numbers = []
    for low, high in itertools.pairwise(edges):
        cells = deviation[:, low:high]
        centred = cells - cells.mean()
        spread = float(centred.std()) + 1e-6
        numbers += [
            spread,
            float((centred**3).mean()) / spread**3,
            float(cells.mean()),
            float((centred[1:] * centred[:-1]).mean()) / spread**2,
            float((centred[2:] * centred[:-2]).mean()) / spread**2 if len(centred) > 2 else 0.0,
            float((centred[:, 1:] * centred[:, :-1]).mean()) / spread**2,
        ]
    return np.asarray(numbers)
