"""Pitch and formants of finished speech, moved apart from each other and from its length.

A phase vocoder with locked phases (Laroche & Dolson, "Improved phase vocoder time-scale modification of audio", IEEE
Trans. Speech Audio Proc. 7, 1999) stretches the sound, resampling brings it back to its length and so moves pitch and
formants together; a filter from frame to frame then puts the formants where they are wanted. Envelopes by iterated
cepstral smoothing (Röbel & Rodet, "Efficient spectral envelope estimation", DAFx 2005). No weights, no chance.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from cloning.engine.errors import EngineError

MOST_SEMITONES: Final = 12.0
FRAME_SECONDS: Final = 0.064
"""A frame: long enough to part the harmonics of a low voice."""
HOPS: Final = 8
"""Frames overlap by 7/8: what phases need to stay together."""
LIFTER_SECONDS: Final = 0.0022
"""Quefrencies below this are the envelope: under the period of a 450 Hz voice, whose harmonics it must not follow."""
ROUNDS: Final = 8
"""After so many the envelope rests on the harmonics and not between them."""
MOST_GAIN: Final = 10 ** (30 / 20)
"""A hole in the spectrum is not filled with more than 30 dB."""
FLOOR: Final = 1e-5

Wave = npt.NDArray[np.float32]
Spectra = npt.NDArray[np.complex128]
Real = npt.NDArray[np.float64]


def shifted(pcm: Wave, rate: int, *, pitch: float = 0.0, formants: float = 0.0) -> Wave:
    """The same speech, higher or lower: float32 mono in, the same number of samples out.

    ``pitch`` and ``formants``: semitones up (+) or down (-), -12 to 12. Formants alone make a voice sound smaller or
    larger; pitch alone keeps whose mouth it is. 0 and 0 give back the very samples. The loudness stays, and no
    sample gets larger than the largest before (or 1). Raises EngineError("bad_request").
    """
    for name, value in (("pitch", pitch), ("formants", formants)):
        if not (math.isfinite(value) and abs(value) <= MOST_SEMITONES):
            raise EngineError("bad_request", f"{name} must be between -{MOST_SEMITONES:g} and {MOST_SEMITONES:g}")
    if (pitch == 0 and formants == 0) or len(pcm) == 0:
        return pcm
    size = 2 ** round(math.log2(FRAME_SECONDS * rate))
    sound = pcm.astype(np.float64)
    ratio, wanted = 2 ** (pitch / 12), 2 ** (formants / 12)
    moved = _moved(sound, size, ratio) if pitch else sound
    made = _reshaped(moved, sound, size, wanted, rate)
    loudness, before = math.sqrt(float(np.mean(made**2))), math.sqrt(float(np.mean(sound**2)))
    if loudness > 0:
        made *= before / loudness
    loudest, bound = float(np.abs(made).max()), float(np.abs(sound).max())
    if loudest > max(bound, 1e-9):
        made *= bound / loudest
    return made.astype(np.float32)


def _moved(sound: Real, size: int, ratio: float) -> Real:
    """Pitch and formants times ``ratio``, the length kept."""
    stretched = _stretched(sound, size, ratio)
    # soxr takes whole or fractional rates; their quotient is all that counts.
    made = soxr.resample(stretched, ratio, 1.0, quality="HQ")
    return _fitted(np.asarray(made, dtype=np.float64), len(sound))


def _stretched(sound: Real, size: int, ratio: float) -> Real:
    """``ratio`` times as long, pitch kept."""
    hop = size // HOPS
    step = hop / ratio  # of the analysis, so that the synthesis has even hops
    padded = np.pad(sound, (size // 2, size + hop))
    window = np.hanning(size + 1)[:-1]
    frames = int((len(sound) + size // 2) / step) + 1
    bins = np.arange(size // 2 + 1)
    expected = 2 * np.pi * hop * bins / size
    phase = np.zeros(len(bins))
    made = np.zeros(frames * hop + size)
    weight = np.zeros_like(made)
    for n in range(frames):
        start = round(n * step)
        if start + size > len(padded):
            break
        here = np.fft.rfft(padded[start : start + size] * window)
        # What the phase was one even hop earlier tells each bin's own frequency.
        earlier = max(start - hop, 0)
        before = np.fft.rfft(padded[earlier : earlier + size] * window)
        if n == 0:
            phase = np.angle(here)
        else:
            turned = np.angle(here) - np.angle(before) - expected
            phase = _locked(phase + expected + turned - 2 * np.pi * np.round(turned / (2 * np.pi)), here)
        at = n * hop
        made[at : at + size] += np.fft.irfft(np.abs(here) * np.exp(1j * phase), size) * window
        weight[at : at + size] += window**2
    made /= np.maximum(weight, 1e-3)
    return _fitted(made[round(size / 2 * ratio) :] if ratio > 1 else made[size // 2 :], round(len(sound) * ratio))


def _locked(phase: Real, here: Spectra) -> Real:
    """Every bin turns as its nearest peak does, and keeps its angle to it."""
    size = np.abs(here)
    inner = size[1:-1]
    peaks = np.flatnonzero((inner > size[:-2]) & (inner >= size[2:])) + 1
    if not len(peaks):
        return phase
    borders = (peaks[1:] + peaks[:-1] + 1) // 2
    nearest = peaks[np.searchsorted(borders, np.arange(len(size)), side="right")]
    angle = np.angle(here)
    locked: Real = phase[nearest] + angle - angle[nearest]
    return locked


def _reshaped(moved: Real, original: Real, size: int, wanted: float, rate: int) -> Real:
    """``moved`` with the envelope of ``original``, its formants times ``wanted``."""
    hop = size // 4
    window = np.hanning(size + 1)[:-1]
    lifter = max(2, round(LIFTER_SECONDS * rate))
    bins = np.arange(size // 2 + 1)
    padded, model = (np.pad(one, (size, size + hop)) for one in (moved, original))
    made, weight = np.zeros(len(padded)), np.zeros(len(padded))
    for start in range(0, len(padded) - size, hop):
        here = np.fft.rfft(padded[start : start + size] * window)
        aim = _envelope(np.fft.rfft(model[start : start + size] * window), lifter, size)
        aim = np.interp(bins / wanted, bins, aim)
        gain = np.exp(aim - _envelope(here, lifter, size))
        here *= np.clip(gain, 1 / MOST_GAIN, MOST_GAIN)
        made[start : start + size] += np.fft.irfft(here, size) * window
        weight[start : start + size] += window**2
    return (made / np.maximum(weight, 1e-3))[size : size + len(moved)]


def _envelope(spectrum: Spectra, lifter: int, size: int) -> Real:
    """Log magnitude of the smooth envelope, a value a bin."""
    log = np.log(np.abs(spectrum) + FLOOR)
    smooth: Real = np.full(len(log), -np.inf)
    for _ in range(ROUNDS):
        cepstrum = np.fft.irfft(np.maximum(log, smooth), size)
        cepstrum[lifter : size - lifter + 1] = 0
        smooth = np.fft.rfft(cepstrum, size).real
    return smooth


def _fitted(sound: Real, length: int) -> Real:
    return sound[:length] if len(sound) >= length else np.pad(sound, (0, length - len(sound)))
