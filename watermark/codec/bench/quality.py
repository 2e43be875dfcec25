"""How far a marked sound is from what it was: noise-to-mask ratio, PESQ where installed, STOI."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from watermark.codec.loudness import bark

RATE = 32_000
_SIZE, _BANDS = 1_024, 24


@dataclass(frozen=True)
class Quality:
    """NMR in dB (mean over active frames and 24 Bark bands), share of frames with a band over 0 and 6 dB, SNR in dB,
    STOI, and wide-band PESQ or None where the package ``pesq`` is not installed."""

    nmr_db: float
    frames_over_0: float
    frames_over_6: float
    snr_db: float
    stoi: float
    pesq: float | None


def nmr_db(plain: NDArray[np.float64], marked: NDArray[np.float64]) -> float:
    """The noise-to-mask ratio alone, as in quality()."""
    return float(10 * np.log10(_noise_to_mask(plain, marked - plain).mean()))


def quality(plain: NDArray[np.float64], marked: NDArray[np.float64]) -> Quality:
    """Of two aligned sounds (samples,) at 32 kHz, normalised as speech usually is (the floor is absolute)."""
    from pystoi import stoi

    ratio = _noise_to_mask(plain, marked - plain)
    worst = ratio.max(axis=1)
    return Quality(
        nmr_db=float(10 * np.log10(ratio.mean())),
        frames_over_0=float(np.mean(worst > 1)),
        frames_over_6=float(np.mean(worst > 4)),
        snr_db=float(10 * np.log10(np.sum(plain**2) / np.sum((marked - plain) ** 2))),
        stoi=float(stoi(plain, marked, RATE, extended=False)),
        pesq=_pesq(plain, marked),
    )


def _noise_to_mask(plain: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    """E / T (active frames, bands): two-slope spreading over Bark (12 dB up, 27 dB down), offset 10 + b / 2 dB."""
    hertz = np.asarray(np.fft.rfftfreq(_SIZE, 1 / RATE), np.float64)
    place = np.floor(bark(hertz)).astype(int)
    sums = np.stack([place == band for band in range(_BANDS)], axis=1).astype(np.float64)
    window = np.hanning(_SIZE)

    def bands(sound: NDArray[np.float64]) -> NDArray[np.float64]:
        frames = np.lib.stride_tricks.sliding_window_view(sound, _SIZE)[::512]
        return np.asarray(np.abs(np.fft.rfft(frames * window, axis=1)) ** 2 @ sums)

    host, noise = bands(plain), bands(error)
    up = np.arange(_BANDS)[None, :] - np.arange(_BANDS)[:, None]
    spread = 10 ** (-np.where(up > 0, 12.0 * up, -27.0 * up) / 10)
    mask = host @ spread * 10 ** (-(10 + np.arange(_BANDS) / 2) / 10) + 1e-7 * _SIZE
    loud = host.sum(axis=1)
    return np.asarray((noise / mask)[loud > 1e-4 * loud.max()])


def _pesq(plain: NDArray[np.float64], marked: NDArray[np.float64]) -> float | None:
    try:
        module = importlib.import_module("pesq")
    except ImportError:
        return None
    return float(module.pesq(16_000, resample_poly(plain, 1, 2), resample_poly(marked, 1, 2), "wb"))
