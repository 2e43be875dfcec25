"""Pitch of speech by autocorrelation, 50 frames a second. Only teaches the content encoder's pitch head."""

from __future__ import annotations

import numpy as np

RATE = 16_000
#: One value every 20 ms, like the content frames.
HOP = 320
#: 64 ms: two periods of the lowest pitch.
WINDOW = 1024
#: Searched range in Hz.
LOW, HIGH = 60.0, 400.0
#: Normalised autocorrelation from which a frame counts as voiced.
VOICED = 0.5
#: A lag counts as good when its correlation is at least this share of the best one.
NEARLY = 0.95
#: Frames quieter than this share of the loudest one are unvoiced.
QUIET = 0.03
#: Unit of the normalised log pitch: 0.25 nats is a typical spread within a sentence.
SPREAD = 0.25


def normalised_pitch(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wave (samples,) at 16 kHz to (pitch, voiced), each (samples // 320,).

    pitch is (ln f0 - its median over voiced frames) / SPREAD, 0 where unvoiced; voiced is bool.
    """
    frames = len(wave) // HOP
    padded = np.pad(wave[: frames * HOP], (WINDOW - HOP) // 2)
    index = np.arange(frames)[:, None] * HOP + np.arange(WINDOW)
    pieces = padded[index]
    pieces = pieces - pieces.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(pieces, 2 * WINDOW, axis=1)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)
    shortest, longest = int(RATE / HIGH), int(RATE / LOW)
    energy = correlation[:, :1]
    # Later lags see fewer samples; without this the estimate leans towards high pitch.
    fair = correlation[:, shortest : longest + 1] * (WINDOW / (WINDOW - np.arange(shortest, longest + 1)))
    # Every multiple of the period correlates as well; the shortest lag that is nearly the best is the period.
    peak = np.zeros_like(fair, dtype=bool)
    peak[:, 1:-1] = (fair[:, 1:-1] >= fair[:, :-2]) & (fair[:, 1:-1] >= fair[:, 2:])
    good = peak & (fair >= NEARLY * fair.max(axis=1, keepdims=True))
    best = np.where(good.any(axis=1), good.argmax(axis=1), fair.argmax(axis=1))
    strength = fair[np.arange(frames), best] / np.maximum(energy[:, 0], 1e-9)
    loud = np.sqrt(energy[:, 0])
    voiced = (strength > VOICED) & (loud > QUIET * loud.max(initial=1e-9))
    log_pitch = np.log(RATE / (best + shortest))
    middle = np.median(log_pitch[voiced]) if voiced.any() else 0.0
    pitch = np.where(voiced, (log_pitch - middle) / SPREAD, 0.0)
    return np.clip(pitch, -4, 4).astype(np.float32), voiced
