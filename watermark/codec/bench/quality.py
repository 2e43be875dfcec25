"""How far a marked sound is from what it was: noise-to-mask ratio, PESQ where installed, STOI."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfiltfilt

from watermark.codec.loudness import bark

RATE = 32_000
_SIZE, _BANDS = 1_024, 24
#: P.862 sets the levels of both sounds by this band, in Hz.
LEVEL_HZ = (325.0, 3_250.0)


@dataclass(frozen=True)
class Quality:
    """NMR in dB (mean over active frames and 24 Bark bands), share of frames with a band over 0 and 6 dB, SNR in dB,
    STOI, and wide-band PESQ or None where the package ``pesq`` is not installed. ``pesq_level`` is PESQ of the sound
    after level_alone(): where that is low, the measure stands at its own threshold and says nothing of the mark.
    """

    nmr_db: float
    frames_over_0: float
    frames_over_6: float
    snr_db: float
    stoi: float
    pesq: float | None
    pesq_level: float | None


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
        pesq_level=_pesq(plain, level_alone(plain, marked)),
    )


def level_alone(plain: NDArray[np.float64], marked: NDArray[np.float64]) -> NDArray[np.float64]:
    """``plain`` with its level in LEVEL_HZ, and nothing else, changed as the mark changed it (some tenths of a dB).

    PESQ compares the bands below that one after such a change. Where one of them is loud enough to count in a single
    frame, 0.3 dB less makes the band silent as a whole, and the score falls from 4.64 to 4.26 with no mark at all.
    """
    sections = butter(4, LEVEL_HZ, "bandpass", fs=RATE, output="sos")
    before, after = (sosfiltfilt(sections, sound) for sound in (plain, marked))
    change = np.sqrt(np.mean(after**2) / np.mean(before**2))
    return np.asarray(plain + (change - 1) * before)


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
