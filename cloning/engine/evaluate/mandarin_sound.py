"""What the Mandarin recogniser sees of a sound: 100 frames a second of log-mels and of pitch.

It shares nothing with the front end that voices learn from (`features.content`, `starter.pitch`): other windows, other
filters, and a pitch found along a whole utterance instead of frame by frame. Tones are heard in the pitch; mels of a
small network hardly show it.
"""

from __future__ import annotations

import functools

import numpy as np

RATE = 16_000
#: 10 ms.
HOP = 160
#: 32 ms for mels, 40 ms for pitch: more than two periods of the lowest one.
WINDOW, PITCH_WINDOW = 512, 640
#: Mel filters, and where they begin and end in Hz.
BANDS, EDGES = 56, (70.0, 7_600.0)
#: Power below this share of the loudest band of an utterance is a floor: -70 dB.
FLOOR = 1e-7
#: Searched pitch in Hz, and steps in an octave (half a semitone).
LOWEST, HIGHEST, STEPS = 60.0, 520.0, 24
#: Correlation that an octave of height is worth: of two periods that fit as well, the shorter is the pitch.
HEIGHT = 0.03
#: Most steps that pitch moves from a frame to the next, and what each costs in correlation.
REACH, JUMP = 4, 0.04
#: Correlation from which a frame is voiced.
VOICED = 0.55
#: Unit of pitch in nats, about four semitones; and the limit in units.
UNIT, MOST = 0.25, 5.0
#: Numbers of a frame: mels, then pitch in units around its median, then how well it fits (0..1).
CHANNELS = BANDS + 2
#: Frames correlated at a time, so that a long sound needs little memory.
_AT_ONCE = 2_000


def seen(wave: np.ndarray) -> np.ndarray:
    """Sound (samples,) at RATE to (CHANNELS, samples // HOP) float32: mels in nats, pitch, and its fit.

    Nothing but zeros gives mels of the floor, pitch 0 and fit 0.
    """
    wave = np.asarray(wave, np.float32)
    frames = len(wave) // HOP
    if not frames:
        return np.zeros((CHANNELS, 0), np.float32)
    mels = np.concatenate([np.log(_mels(part) + 1e-12) for part in _pieces(wave, frames, WINDOW)])
    mels = np.maximum(mels, mels.max() + np.log(FLOOR))
    pitch, fit = _pitch(wave, frames)
    return np.concatenate([mels.T, pitch[None], fit[None]]).astype(np.float32)


def normalised(sound: np.ndarray) -> np.ndarray:
    """What `seen` gives, made independent of loudness, microphone and speaker: (CHANNELS + 1, T).

    Mels lose their mean over the louder half of the frames; a further channel is the pitch in units of its own spread.
    """
    mels, pitch, fit = sound[:BANDS], sound[BANDS], sound[BANDS + 1]
    if not sound.shape[1]:
        return np.zeros((CHANNELS + 1, 0), np.float32)
    loudness = mels.mean(axis=0)
    loud = loudness >= np.median(loudness)
    voiced = loud & (fit > VOICED)
    if voiced.sum() > 3:
        pitch = pitch - np.median(pitch[voiced])
        spread = float(np.subtract(*np.quantile(pitch[voiced], (0.9, 0.1)))) / 2
    else:
        spread = 1.0
    mels = (mels - mels[:, loud].mean(axis=1, keepdims=True)) / 3.0
    own = pitch / (spread + 0.15)
    return np.concatenate([mels, np.clip([pitch, own], -MOST, MOST), fit[None] * 2 - 1]).astype(np.float32)


def _pieces(wave: np.ndarray, frames: int, window: int) -> list[np.ndarray]:
    """Frames (n, window) around the middle of every hop, at most _AT_ONCE in a piece."""
    padded = np.pad(wave[: frames * HOP], (window - HOP) // 2 + 1)
    views = np.lib.stride_tricks.sliding_window_view(padded, window)[::HOP][:frames]
    return [views[start : start + _AT_ONCE] for start in range(0, frames, _AT_ONCE)]


def _mels(frames: np.ndarray) -> np.ndarray:
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32), axis=1)) ** 2
    return np.asarray(power.astype(np.float32) @ _filters())


@functools.cache
def _filters() -> np.ndarray:
    """Triangles on the mel scale of O'Shaughnessy (1987), (WINDOW // 2 + 1, BANDS), each summing to 1."""
    low, high = (1127.0 * np.log1p(edge / 700.0) for edge in EDGES)
    corners = 700.0 * np.expm1(np.linspace(low, high, BANDS + 2) / 1127.0)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)[:, None]
    rising = (frequencies - corners[:-2]) / np.diff(corners)[:-1]
    falling = (corners[2:] - frequencies) / np.diff(corners)[1:]
    # The lowest triangles are narrower than a bin: each takes at least the bin nearest to its middle.
    weights = np.maximum(np.minimum(rising, falling), 0.0)
    nearest = np.abs(frequencies - corners[1:-1]).argmin(axis=0)
    weights[nearest, np.arange(BANDS)] = np.maximum(weights[nearest, np.arange(BANDS)], 1e-3)
    return np.asarray(weights / weights.sum(axis=0), np.float32)


def _pitch(wave: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Pitch in units around its median, and how well it fits (0..1), each (frames,).

    Autocorrelation over that of the window (Boersma 1993), then the one path through all frames that fits best and
    jumps least; where nothing is voiced it goes on between its neighbours.
    """
    fits = np.concatenate([_correlations(part) for part in _pieces(wave, frames, PITCH_WINDOW)])
    path = _best_path(fits)
    place = path.astype(np.float32)
    # The top of a parabola through three steps.
    inner = np.clip(path, 1, fits.shape[1] - 2)
    rows = np.arange(frames)
    left, middle, right = (fits[rows, inner + step] for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    top = np.clip(0.5 * (left - right) / np.minimum(bend, -1e-4), -1, 1)
    place += np.where((bend < -1e-4) & (inner == path), top, 0)
    fit = np.clip(fits[rows, path], 0.0, 1.0)
    nats = place * (np.log(2.0) / STEPS)
    voiced = fit > VOICED
    nats = nats - np.median(nats[voiced]) if voiced.any() else np.zeros_like(nats)
    return np.clip(nats / UNIT, -MOST, MOST).astype(np.float32), fit.astype(np.float32)


@functools.cache
def _lags() -> tuple[np.ndarray, np.ndarray]:
    """Lags in samples of every searched pitch, low to high, and the window's own correlation at all whole lags."""
    count = int(STEPS * np.log2(HIGHEST / LOWEST)) + 1
    lags = RATE / (LOWEST * 2.0 ** (np.arange(count) / STEPS))
    window = np.hanning(PITCH_WINDOW)
    own = np.correlate(window, window, "full")[PITCH_WINDOW - 1 :]
    return lags, (own / own[0])[: int(lags[0]) + 2].astype(np.float32)


def _correlations(frames: np.ndarray) -> np.ndarray:
    """Frames (n, PITCH_WINDOW) to how well each pitch fits, (n, pitches), -1..1."""
    lags, own = _lags()
    pieces = (frames - frames.mean(axis=1, keepdims=True)) * np.hanning(PITCH_WINDOW).astype(np.float32)
    spectrum = np.fft.rfft(pieces, 1024, axis=1)
    # 1024 points are enough: what wraps around lies behind the longest lag.
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : len(own)]
    correlation = correlation / (correlation[:, :1] + 1e-6) / own
    below = lags.astype(int)
    share = (lags - below).astype(np.float32)
    return np.asarray(correlation[:, below] * (1 - share) + correlation[:, below + 1] * share, np.float32)


def _best_path(fits: np.ndarray) -> np.ndarray:
    """One pitch for each frame, (n,) int: Viterbi."""
    count = fits.shape[1]
    fits = fits + HEIGHT * np.arange(count, dtype=np.float32) / STEPS
    moves = np.arange(-REACH, REACH + 1)
    cost = (JUMP * np.abs(moves))[:, None]
    sources = np.clip(np.arange(count) + moves[:, None], 0, count - 1)
    came = np.zeros(fits.shape, np.int16)
    score = fits[0]
    columns = np.arange(count)
    for frame in range(1, len(fits)):
        offers = score[sources] - cost
        best = offers.argmax(axis=0)
        came[frame] = sources[best, columns]
        score = offers[best, columns] + fits[frame]
    path = np.zeros(len(fits), int)
    path[-1] = int(score.argmax())
    for frame in range(len(fits) - 1, 0, -1):
        path[frame - 1] = came[frame, path[frame]]
    return path
