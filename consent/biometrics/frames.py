"""Sound to short-time spectra and back, for what listens a second time."""

from __future__ import annotations

from typing import Final

import numpy as np

_FFT: Final = 512
HOP: Final = 128


def _window() -> np.ndarray:
    return np.asarray(np.hanning(_FFT + 1)[:-1])


def spectra(sound: np.ndarray, hop: int = HOP) -> np.ndarray:
    """Sound (samples,) as complex128 (frames, 257), a frame every ``hop`` samples."""
    padded = np.pad(sound.astype(np.float64), _FFT)
    return np.asarray(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::hop] * _window(), axis=1))


def sound(spectra: np.ndarray, samples: int, hop: int = HOP) -> np.ndarray:
    """The sound of spectra (frames, 257), overlapped and added: float32 (samples,)."""
    window = _window()
    pieces = np.fft.irfft(spectra, n=_FFT, axis=1) * window
    size = (len(pieces) - 1) * hop + _FFT
    out, weight = np.zeros(size), np.zeros(size)
    for index, piece in enumerate(pieces):
        span = slice(index * hop, index * hop + _FFT)
        out[span] += piece
        weight[span] += window**2
    return np.asarray((out / np.maximum(weight, 1e-3))[_FFT : _FFT + samples], dtype=np.float32)
