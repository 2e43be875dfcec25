"""Less background under speech, for a second listening: spectral subtraction (Berouti, Schwartz and Makhoul 1979)."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.ndimage import uniform_filter1d

_FFT: Final = 512
_HOP: Final = 128
#: Times the background's power that is taken off, and the least gain that is left.
_OVER: Final = 2.0
_LEAST_GAIN: Final = 0.08
#: The background of a bin is the median of its quietest share of frames, of at least this many.
_QUIETEST: Final = 5
_LEAST_FRAMES: Final = 8


def quieter(sound: np.ndarray) -> np.ndarray:
    """16 kHz sound (samples,) with its steady background reduced, float32 (samples,)."""
    window = np.hanning(_FFT + 1)[:-1]
    padded = np.pad(sound.astype(np.float64), _FFT)
    spectra = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP] * window, axis=1)
    power = np.abs(spectra) ** 2
    quietest = np.sort(power, axis=0)[: max(_LEAST_FRAMES, len(power) // _QUIETEST)]
    background = np.median(quietest, axis=0)
    smooth = np.maximum(uniform_filter1d(power, 3, axis=0), 1e-12)
    gain = np.sqrt(np.maximum(1.0 - _OVER * background / smooth, _LEAST_GAIN**2))
    frames = np.fft.irfft(spectra * gain, n=_FFT, axis=1) * window
    out, weight = np.zeros(padded.size), np.zeros(padded.size)
    for index, frame in enumerate(frames):
        span = slice(index * _HOP, index * _HOP + _FFT)
        out[span] += frame
        weight[span] += window**2
    return np.asarray((out / np.maximum(weight, 1e-3))[_FFT : _FFT + sound.size], dtype=np.float32)
