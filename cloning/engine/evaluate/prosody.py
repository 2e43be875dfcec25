"""Melody and pace beside the source's: pitch contours laid over each other, and how long each word takes.

Pitch is YIN's (de Cheveigné and Kawahara 2002). Two readings of one text are laid over each other by dynamic time
warping (Sakoe and Chiba 1978) of their mel cepstra, which needs no recogniser and no language.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import dct
from scipy.signal import butter, sosfiltfilt

from cloning.engine.evaluate.hearing import RATE

#: 100 frames a second; 64 ms windows hold two periods of the lowest pitch.
HOP, WINDOW = 160, 1024
#: Searched pitch in Hz.
LOW, HIGH = 60.0, 500.0
#: Only what lies below this, in Hz, is searched for a period.
LOW_PASS = 900.0
#: The first dip this deep is the period (YIN's threshold); a frame is voiced below the second, which is mild, because a
#: rough voice has a melody too.
DIP, APERIODIC = 0.1, 0.45
#: In a rough voice a dip this much above the deepest may be the period as well.
NEARLY = 0.1
#: How far below the loudest frame speech may be, in dB; below the floor (dBFS) nothing is speech.
QUIET_DB, FLOOR_DB = 35.0, -60.0
MELS, CEPSTRA = 40, 13
#: Frames voiced in both readings that a correlation needs.
LEAST_FRAMES = 20


@dataclass(frozen=True, slots=True)
class Melody:
    """Two readings of one text: `voice`, `source` in semitones around each one's own median, over the same frames.

    `correlation`: Pearson's; `spread`: root mean square of their difference in semitones; `roughness`: mean
    aperiodicity where both are voiced, of voice and source.
    """

    voice: np.ndarray
    source: np.ndarray
    correlation: float
    spread: float
    roughness: tuple[float, float]


def pitch(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A wave (samples,) at RATE -> for the frame around every HOP-th sample: Hz, NaN where unvoiced, and aperiodicity.

    Aperiodicity: YIN's normalised difference at the period, 0 for a pure repetition, about 1 for noise.
    """
    # Harmonics above this carry the roughness of a synthetic voice and nothing about its melody.
    low = sosfiltfilt(butter(4, LOW_PASS, "low", fs=RATE, output="sos"), np.pad(wave, WINDOW // 2))
    pieces = _windows(low[WINDOW // 2 : WINDOW // 2 + len(wave)], WINDOW)
    longest, shortest = int(RATE / LOW), int(RATE / HIGH)
    half = WINDOW - longest
    # Squared difference of the first `half` samples and the same number `lag` later: by FFT, as in the paper.
    size = 2 * WINDOW
    spectrum = np.fft.rfft(pieces, size)
    cross = np.fft.irfft(spectrum * np.conj(np.fft.rfft(pieces[:, :half], size)), size)[:, : longest + 1]
    power = np.concatenate([np.zeros((len(pieces), 1)), np.cumsum(pieces**2, axis=1)], axis=1)
    lags = np.arange(longest + 1)
    unlike = power[:, half : half + 1] + (power[:, half + lags] - power[:, lags]) - 2 * cross
    unlike = np.maximum(unlike, 0.0)
    normal = unlike[:, 1:] * lags[1:] / np.maximum(np.cumsum(unlike[:, 1:], axis=1), 1e-12)
    searched = normal[:, shortest - 1 :]
    # The first dip that is deep, or nearly as deep as the deepest, followed to its bottom: every multiple of the period
    # is a dip too.
    start = (searched < np.maximum(DIP, searched.min(axis=1) + NEARLY)[:, None]).argmax(axis=1)
    rising = np.diff(searched, axis=1, append=np.inf) >= 0
    bottom = np.array([first + row[first:].argmax() for first, row in zip(start, rising, strict=True)], dtype=int)
    depth = searched[np.arange(len(bottom)), bottom]
    level = 10 * np.log10(np.mean(pieces**2, axis=1) + 1e-12)
    voiced = (depth < APERIODIC) & (level > max(FLOOR_DB, level.max(initial=FLOOR_DB) - QUIET_DB))
    return np.where(voiced, RATE / (bottom + shortest + _vertex(searched, bottom)), np.nan), depth


def melody(voice: np.ndarray, source: np.ndarray) -> Melody | None:
    """Two readings at RATE held against each other; None where too little is voiced in both at the same place."""
    a, b = _sounding(voice), _sounding(source)
    first, second = warp(cepstra(a), cepstra(b))
    (hertz, rough), (other_hertz, other_rough) = pitch(a), pitch(b)
    one, two = semitones(hertz)[first], semitones(other_hertz)[second]
    both = np.isfinite(one) & np.isfinite(two)
    if both.sum() < LEAST_FRAMES or not (np.ptp(one[both]) > 0 and np.ptp(two[both]) > 0):
        return None
    correlation = float(np.corrcoef(one[both], two[both])[0, 1])
    spread = float(np.sqrt(np.mean((one[both] - two[both]) ** 2)))
    roughness = float(rough[first][both].mean()), float(other_rough[second][both].mean())
    return Melody(one, two, correlation, spread, roughness)


def semitones(hertz: np.ndarray) -> np.ndarray:
    """Semitones from the median of what is voiced; NaN stays NaN."""
    if not np.isfinite(hertz).any():
        return np.full(len(hertz), np.nan)
    return np.asarray(12 * np.log2(hertz / np.nanmedian(hertz)))


def cepstra(wave: np.ndarray) -> np.ndarray:
    """(frames, CEPSTRA - 1) mel cepstra without the level, each with mean 0 and deviation 1 over the utterance."""
    power = np.abs(np.fft.rfft(_windows(wave, 400) * np.hanning(400), 512)) ** 2
    bands = np.log(power @ _filters().T + 1e-8)
    found = dct(bands, type=2, norm="ortho", axis=1)[:, 1:CEPSTRA]
    return np.asarray((found - found.mean(axis=0)) / (found.std(axis=0) + 1e-6))


def warp(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two rows of features (frames, width) -> the path of least distance, as frame numbers of both, from the first
    frames to the last. One step goes on by one frame in either or in both."""
    distance = np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0.0))
    rows, columns = distance.shape
    cost = np.full((rows + 1, columns + 1), np.inf)
    cost[0, 0] = 0.0
    # Cells of one anti-diagonal depend on the two before it only, so each is computed at once.
    for diagonal in range(rows + columns - 1):
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        j = diagonal - i
        before = np.minimum(np.minimum(cost[i, j + 1], cost[i + 1, j]), cost[i, j])
        cost[i + 1, j + 1] = distance[i, j] + before
    path = [(rows - 1, columns - 1)]
    while path[-1] != (0, 0):
        i, j = path[-1]
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        path.append(min(steps, key=lambda place: cost[place[0] + 1, place[1] + 1]))
    back = np.array(path[::-1])
    return back[:, 0], back[:, 1]


def _vertex(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """How far the vertex of the parabola through a minimum and its neighbours is from it, -0.5..0.5."""
    rows = np.arange(len(place))
    left = values[rows, np.maximum(place - 1, 0)]
    right = values[rows, np.minimum(place + 1, values.shape[1] - 1)]
    bend = left + right - 2 * values[rows, place]
    inside = (place > 0) & (place < values.shape[1] - 1) & (bend > 1e-12)
    return np.asarray(np.where(inside, np.clip((left - right) / np.where(inside, 2 * bend, 1.0), -0.5, 0.5), 0.0))


def _windows(wave: np.ndarray, size: int) -> np.ndarray:
    """(frames, size) float64, mean removed; frames centred on every HOP-th sample."""
    padded = np.pad(wave.astype(np.float64), (size // 2, size // 2))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(wave) : HOP]
    return np.asarray(pieces - pieces.mean(axis=1, keepdims=True))


def _sounding(wave: np.ndarray) -> np.ndarray:
    """The wave without the quiet before its first and after its last sound."""
    level = 10 * np.log10((_windows(wave, 400) ** 2).mean(axis=1) + 1e-12)
    loud = np.flatnonzero(level > level.max(initial=-120.0) - QUIET_DB)
    return wave[loud[0] * HOP : (loud[-1] + 1) * HOP] if len(loud) else wave


def _filters() -> np.ndarray:
    """(MELS, 257) triangles, evenly spaced on the mel scale of O'Shaughnessy (1987) from 0 Hz to half the rate."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), MELS + 2) / 2595) - 1)
    bins = np.linspace(0, RATE / 2, 257)
    rising = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))
