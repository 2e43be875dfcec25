"""Care of raw audio: one channel, one rate, one level, and cutting at pauses. Waves are float32 (samples,) in -1..1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import soxr

from cloning.engine.errors import TrainingRefused

#: Highest peak a normalised recording has.
TARGET_PEAK = 0.9
#: Share of the peak-normalised wave in the mix with the original one (upstream's alpha; keeps loud and quiet apart).
PEAK_MIX = 0.25
#: Below this peak (-60 dBFS) a recording is silence: raising it would only raise noise.
SILENT_PEAK = 1e-3
#: Sample rates that are believed, in Hz.
RATES = (8_000, 192_000)


@dataclass(frozen=True)
class SlicerSettings:
    """Thresholds of the slicer (upstream's defaults)."""

    #: A hop quieter than this (dB, RMS, full scale 1.0) is silent.
    threshold_db: float = -34.0
    #: No piece is meant to be shorter than this.
    min_length_ms: int = 4000
    #: A pause shorter than this is not cut.
    min_interval_ms: int = 300
    #: Step of the level measurement.
    hop_ms: int = 10
    #: At most this much silence stays at either end of a piece.
    max_silence_ms: int = 500


def mono(wave: np.ndarray) -> np.ndarray:
    """(samples,) or (samples, channels), float or int16, to float32 (samples,).

    Raises TrainingRefused `bad_audio` for another shape or for values that are not finite.
    """
    if wave.ndim == 2:
        wave = wave.astype(np.float32).mean(axis=1) / (32768.0 if wave.dtype == np.int16 else 1.0)
    elif wave.dtype == np.int16:
        wave = wave / 32768.0
    if wave.ndim != 1:
        raise TrainingRefused("bad_audio", "sound must have the shape (samples,) or (samples, channels)")
    wave = np.ascontiguousarray(wave, dtype=np.float32)
    if not np.isfinite(wave).all():
        raise TrainingRefused("bad_audio", "the sound holds values that are not numbers")
    return wave


def resample(wave: np.ndarray, rate: int, target: int) -> np.ndarray:
    """Change the sample rate (soxr, high quality). Raises TrainingRefused `bad_audio` for a rate outside RATES."""
    if not RATES[0] <= rate <= RATES[1]:
        raise TrainingRefused("bad_audio", f"a sample rate of {rate} Hz is not accepted")
    if rate == target:
        return wave
    return np.asarray(soxr.resample(wave, rate, target, quality="HQ"), dtype=np.float32)


def normalise(wave: np.ndarray) -> np.ndarray:
    """Bring the level near TARGET_PEAK, keeping a part of the original dynamics; never above 1.0.

    A wave below SILENT_PEAK comes back unchanged.
    """
    peak = float(np.abs(wave).max(initial=0.0))
    if peak < SILENT_PEAK:
        return wave
    if peak > 1.0:
        wave, peak = wave / peak, 1.0
    return (wave * (PEAK_MIX * TARGET_PEAK / peak + (1.0 - PEAK_MIX))).astype(np.float32)


def level(wave: np.ndarray, *, frame: int, hop: int) -> np.ndarray:
    """RMS of windows of `frame` samples centred on every hop-th sample; (samples // hop + 1,)."""
    padded = np.pad(wave.astype(np.float64), frame // 2)
    total = np.concatenate([[0.0], np.cumsum(padded**2)])
    starts = np.arange(0, len(padded) - frame + 1, hop)
    return np.sqrt(np.maximum(total[starts + frame] - total[starts], 0.0) / frame)


def slices(wave: np.ndarray, rate: int, settings: SlicerSettings | None = None) -> list[tuple[int, int]]:
    """Where to cut a long recording: sample ranges [start, end) of the pieces between pauses.

    Pauses are cut at their quietest hop, so a piece keeps some of the silence around it. Equal to upstream's
    slicer2 on its fixture. A recording without a usable pause is one piece; pure silence may give none.
    """
    s = settings or SlicerSettings()
    interval = rate * s.min_interval_ms / 1000
    hop = round(rate * s.hop_ms / 1000)
    frame = min(round(interval), 4 * hop)
    min_interval = round(interval / hop)
    min_length = round(rate * s.min_length_ms / 1000 / hop)
    keep = round(rate * s.max_silence_ms / 1000 / hop)
    if len(wave) // hop + 1 <= min_length:
        return [(0, len(wave))]
    rms = level(wave, frame=frame, hop=hop)
    cuts = list(_silences(rms, 10 ** (s.threshold_db / 20), min_length, min_interval, keep))
    if not cuts:
        return [(0, len(wave))]
    pieces: list[tuple[int, int]] = []
    if cuts[0][0] > 0:
        pieces.append((0, cuts[0][0]))
    pieces += [(left[1], right[0]) for left, right in pairwise(cuts)]
    if cuts[-1][1] < len(rms):
        pieces.append((cuts[-1][1], len(rms)))
    return [(start * hop, min(len(wave), end * hop)) for start, end in pieces]


def _silences(
    rms: np.ndarray, threshold: float, min_length: int, min_interval: int, keep: int
) -> Iterator[tuple[int, int]]:
    """Stretches to leave out, in hops: (end of the piece before, start of the piece after)."""

    def quietest(start: int, end: int) -> int:
        return start + int(rms[start:end].argmin())

    silence: int | None = None
    piece = 0
    for i, value in enumerate(rms):
        if value < threshold:
            silence = i if silence is None else silence
            continue
        if silence is None:
            continue
        leading = silence == 0 and i > keep
        middle = i - silence >= min_interval and i - piece >= min_length
        if leading or middle:
            if i - silence <= keep:
                cut = quietest(silence, i + 1)
                yield (0, cut) if silence == 0 else (cut, cut)
                piece = cut
            else:
                # Long pause: keep its quiet edges, at most `keep` hops each.
                left, right = quietest(silence, silence + keep + 1), quietest(i - keep, i + 1)
                if i - silence <= 2 * keep:
                    middle_cut = quietest(i - keep, silence + keep + 1)
                    left, right = min(left, middle_cut), max(right, middle_cut)
                if silence == 0:
                    yield (0, right)
                    piece = i
                else:
                    yield (left, right)
                    piece = right
        silence = None
    if silence is not None and len(rms) - silence >= min_interval:
        end = min(len(rms) - 1, silence + keep)
        yield (quietest(silence, end + 1), len(rms) + 1)
