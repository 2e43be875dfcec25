"""What can be measured on a recording before anybody is judged by it: levels, noise, bandwidth, room, pace.

Everything is measured on 16 kHz mono sound and one speech mask. Nothing here decides: the limits are in `quality`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter1d

from consent.biometrics import loudness, speech
from consent.biometrics.audio import MAX_TRAINING_SECONDS, MODEL_RATE, at_model_rate, checked, decibels

#: A sample this near full scale counts as clipped.
FULL_SCALE: Final = 0.999
#: A band still counts as sound when it is this far below the loudest one (dB), measured on speech only.
BANDWIDTH_DROP_DB: Final = 60.0
#: ... and this far above the background in the same band (dB), so that hiss is not taken for bandwidth.
BANDWIDTH_OVER_NOISE_DB: Final = 3.0
#: Background frames needed for a noise estimate (6 x 32 ms, about 0.2 s).
NOISE_FRAMES: Final = 6
_FFT: Final = 512
#: Frames of the envelope that pace and reverberation are read from: 10 ms apart.
_HOP: Final = 160
#: Bands of the decay estimate, Hz: speech is loud there, and rooms ring there.
_DECAY_BANDS: Final = ((300, 700), (700, 1_300), (1_300, 2_200), (2_200, 3_400))
#: A decay counts when the level falls for this many frames (0.1 s) by at least so many dB.
_DECAY_FRAMES: Final = 10
_DECAY_DB: Final = 12.0
#: From the fastest decays of speech to the room's: on 60 recordings, dry speech reads 0.17 s, synthetic rooms of 0.3 s
#: (direct sound 6 dB stronger) 0.25 s and of 0.6 s (equally strong) 0.34 s. A straight line through the three.
_DRY_DECAY: Final = 0.16
_ROOM_SCALE: Final = 3.3
#: A nucleus of a syllable: a peak of the envelope that stands this far (dB) above the dips beside it.
_SYLLABLE_DB: Final = 3.0


@dataclass(frozen=True)
class Measurements:
    """Everything measured. None means: could not be measured (no speech, no background, too short).

    Seconds, shares 0..1, dB of full scale, Hz. ``reverberation``: seconds for the sound of the room to fall by 60 dB,
    read from the fastest falls of speech itself; noise below 15 dB makes it read up to 0.3 s too long.
    ``syllables``: a second of net speech.
    """

    seconds: float
    net_speech: float
    silence_share: float
    longest_pause: float
    snr_db: float | None
    noise_dbfs: float | None
    peak_dbfs: float
    clipped_share: float
    lufs: float | None
    bandwidth_hz: float | None
    reverberation: float | None
    syllables: float | None


def measure(wave: np.ndarray, rate: int, *, max_seconds: float = MAX_TRAINING_SECONDS) -> Measurements:
    """Measure a recording (samples,) at ``rate`` Hz; levels in dB of full scale. Raises AudioError."""
    sound = checked(wave, rate, max_seconds=max_seconds)
    listened = at_model_rate(sound, rate)
    mask = speech.frame_mask(listened)
    # The edges of speech belong to neither side: two frames around every stretch are left out of the background.
    background = ~binary_dilation(mask, iterations=2) if mask.any() else ~mask
    powers = _frame_powers(listened, mask.size)
    # The median frame: one slammed door is not the background.
    noise = float(np.median(powers[background])) if background.sum() >= NOISE_FRAMES else None
    snr = None
    if mask.any() and noise is not None:
        snr = decibels(max(float(powers[mask].mean()) - noise, 1e-12) / max(noise, 1e-12))
    stretches = speech.runs(mask)
    pauses = [after - before for (_, before), (after, _) in itertools.pairwise(stretches)]
    peak = float(np.abs(sound).max())
    return Measurements(
        seconds=sound.size / rate,
        net_speech=float(mask.sum()) * speech.FRAME / MODEL_RATE,
        silence_share=1.0 - float(mask.mean()),
        longest_pause=max(pauses, default=0) * speech.FRAME / MODEL_RATE,
        snr_db=snr,
        noise_dbfs=None if noise is None else decibels(noise),
        peak_dbfs=decibels(peak**2),
        clipped_share=float((np.abs(sound) >= FULL_SCALE).mean()),
        lufs=loudness.integrated(sound, rate),
        bandwidth_hz=_bandwidth(listened, mask, background) if mask.any() else None,
        reverberation=reverberation(listened) if mask.any() else None,
        syllables=_syllables(listened, mask),
    )


def _frame_powers(listened: np.ndarray, count: int) -> np.ndarray:
    """Mean square of each 32 ms frame (count,)."""
    padded = np.zeros(count * speech.FRAME, dtype=np.float64)
    padded[: listened.size] = listened
    return np.asarray((padded.reshape(count, speech.FRAME) ** 2).mean(1))


def _bandwidth(listened: np.ndarray, mask: np.ndarray, background: np.ndarray) -> float:
    """The highest frequency in Hz (0..8,000) at which speech stands above the drop and above the background."""
    frames = np.zeros(mask.size * speech.FRAME, dtype=np.float32)
    frames[: listened.size] = listened
    shaped = frames.reshape(mask.size, speech.FRAME)
    window = np.hanning(_FFT).astype(np.float32)

    def spectrum(chosen: np.ndarray) -> np.ndarray:
        total, count = np.zeros(_FFT // 2 + 1), 0
        for start in range(0, mask.size, 4096):
            part = shaped[start : start + 4096][chosen[start : start + 4096]]
            total += (np.abs(np.fft.rfft(part * window, _FFT)) ** 2).sum(0)
            count += len(part)
        # Smoothed over 5 bins (156 Hz) so that a single line is not a band.
        return np.convolve(total / max(count, 1), np.full(5, 0.2), mode="same") + 1e-20

    voiced = spectrum(mask)
    present = voiced > voiced.max() * 10.0 ** (-BANDWIDTH_DROP_DB / 10.0)
    if background.sum() >= NOISE_FRAMES:
        present &= voiced > spectrum(background) * 10.0 ** (BANDWIDTH_OVER_NOISE_DB / 10.0)
    return float(np.flatnonzero(present)[-1] * MODEL_RATE / _FFT) if present.any() else 0.0


def band_levels(listened: np.ndarray) -> np.ndarray:
    """Levels in dB of the decay bands every 10 ms: 16 kHz sound (samples,) to (frames, bands)."""
    if listened.size < _FFT:
        return np.zeros((0, len(_DECAY_BANDS)))
    window = np.hanning(_FFT).astype(np.float32)
    edges = [(round(low * _FFT / MODEL_RATE), round(high * _FFT / MODEL_RATE)) for low, high in _DECAY_BANDS]
    frames = np.lib.stride_tricks.sliding_window_view(listened, _FFT)[::_HOP]
    found = []
    for start in range(0, len(frames), 4096):
        power = np.abs(np.fft.rfft(frames[start : start + 4096] * window, axis=1)) ** 2
        found.append(np.stack([power[:, low:high].sum(1) for low, high in edges], axis=1))
    return np.asarray(10.0 * np.log10(np.concatenate(found) + 1e-12))


def reverberation(listened: np.ndarray) -> float | None:
    """Reverberation time (60 dB) in seconds of 16 kHz sound (samples,), blind; None where nothing falls."""
    decay = fastest_decay(listened)
    return None if decay is None else max(0.0, _ROOM_SCALE * (decay - _DRY_DECAY))


def fastest_decay(listened: np.ndarray) -> float | None:
    """Seconds in which the fastest falls of the level would reach 60 dB; None where nothing falls.

    In each band, straight lines are laid through every 0.1 s in which the level falls by at least 12 dB and stays above
    the noise; a room lets nothing fall faster than itself, so the tenth percentile of the times is the estimate (after
    Vieira 2004 and Loellmann et al. 2010, who fit the same decays by maximum likelihood).
    """
    levels = band_levels(listened)
    if len(levels) <= 2 * _DECAY_FRAMES:
        return None
    floor = np.percentile(levels, 10, axis=0) + 6.0
    steps = np.arange(_DECAY_FRAMES) - (_DECAY_FRAMES - 1) / 2.0
    windows = np.lib.stride_tricks.sliding_window_view(levels, _DECAY_FRAMES, axis=0)
    slopes = windows @ steps / (steps**2).sum() * (MODEL_RATE / _HOP)
    fall = windows[:, :, 0] - windows[:, :, -1]
    residual = windows - windows.mean(-1, keepdims=True) - slopes[:, :, None] / (MODEL_RATE / _HOP) * steps
    straight = residual.std(-1) < 0.25 * np.maximum(fall, 1e-9)
    chosen = (fall >= _DECAY_DB) & straight & (windows[:, :, -1] > floor)
    if chosen.sum() < 8:
        return None
    return float(np.percentile(60.0 / -slopes[chosen], 10))


def _syllables(listened: np.ndarray, mask: np.ndarray) -> float | None:
    """Syllable nuclei a second of net speech: peaks of the 300 to 3,400 Hz envelope (de Jong and Wempe 2009)."""
    net = float(mask.sum()) * speech.FRAME / MODEL_RATE
    levels = band_levels(listened)
    if net < 1.0 or not len(levels):
        return None
    envelope = gaussian_filter1d(10.0 * np.log10((10.0 ** (levels / 10.0)).sum(1)), 2.5)
    inside = mask[np.minimum((np.arange(envelope.size) * _HOP + _FFT // 2) // speech.FRAME, mask.size - 1)]
    least = np.median(envelope[inside]) - 15.0 if inside.any() else 0.0
    count, low, high, rising = 0, np.inf, -np.inf, True
    for level, speaks in zip(envelope, inside, strict=True):
        if rising:
            high = max(high, level)
            if level < high - _SYLLABLE_DB:
                count += int(high > least)
                low, rising = level, False
        else:
            low = min(low, level)
            if level > low + _SYLLABLE_DB and speaks:
                high, rising = level, True
    return count / net
