"""The door for sound: whatever an uploader hands in becomes clean mono float32, or a named AudioError.

Length and shape are judged from the array's header before a single sample is touched, so that an hour of audio costs
nothing to refuse.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import soxr

#: Every model in this package listens at 16 kHz.
MODEL_RATE: Final = 16_000
#: Below 8 kHz nothing is speech any more; above 96 kHz no microphone has more to say.
MIN_RATE: Final = 8_000
MAX_RATE: Final = 96_000
#: A live answer is a handful of words; a minute leaves room for the slowest reader.
MAX_LIVE_SECONDS: Final = 60.0
#: Training speech: twenty minutes is far above what a voice needs and still fits in memory beside the models.
MAX_TRAINING_SECONDS: Final = 1_200.0
#: A float wave reaches 1.0; a decoder may overshoot a little. Beyond 4.0 (+12 dB) the numbers are not a wave.
MAX_AMPLITUDE: Final = 4.0

_INTEGER_SCALES: Final = {
    np.dtype(np.int16): (0.0, 1.0 / 32_768.0),
    np.dtype(np.int32): (0.0, 1.0 / 2_147_483_648.0),
    np.dtype(np.uint8): (128.0, 1.0 / 128.0),
}
_FLOATS: Final = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64))


class AudioError(ValueError):
    """The array is not usable sound. ``code`` says why, for machines; the message, for people.

    Codes: ``bad_rate bad_type not_mono empty too_long not_finite out_of_range no_speech``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def checked(wave: np.ndarray, rate: int, *, max_seconds: float = MAX_TRAINING_SECONDS) -> np.ndarray:
    """Return ``wave`` as float32 (samples,) with its mean removed.

    Floats are taken as they are, int16, int32 and uint8 are scaled to -1..1. Raises AudioError.
    """
    if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError("bad_rate", f"the sample rate must be a whole number from {MIN_RATE} to {MAX_RATE} Hz")
    if not isinstance(wave, np.ndarray) or (wave.dtype not in _FLOATS and wave.dtype not in _INTEGER_SCALES):
        raise AudioError("bad_type", "sound is an array of float16/32/64, int16, int32 or uint8")
    if wave.ndim != 1:
        raise AudioError("not_mono", f"one channel is expected, the array has shape {wave.shape}")
    if wave.size == 0:
        raise AudioError("empty", "there is no sound in the recording")
    if wave.size > max_seconds * rate:
        raise AudioError("too_long", f"{wave.size / rate:.0f} s of audio, at most {max_seconds:.0f} s are taken")
    if wave.dtype in _INTEGER_SCALES:
        offset, scale = _INTEGER_SCALES[wave.dtype]
        sound = (wave.astype(np.float32) - np.float32(offset)) * np.float32(scale)
    else:
        if not np.isfinite(wave).all():
            raise AudioError("not_finite", "the recording holds values that are not numbers")
        if np.abs(wave).max() > MAX_AMPLITUDE:
            raise AudioError("out_of_range", "float samples must lie in -1..1")
        sound = wave.astype(np.float32)
    return np.asarray(sound - sound.mean(dtype=np.float64), dtype=np.float32)


def at_model_rate(sound: np.ndarray, rate: int) -> np.ndarray:
    """Resample checked sound to 16 kHz, float32 (samples,)."""
    if rate == MODEL_RATE:
        return sound
    return np.asarray(soxr.resample(sound, rate, MODEL_RATE), dtype=np.float32)


def decibels(power: float, *, floor: float = 1e-12) -> float:
    """Power (mean square, 1.0 = full scale) in dB, never below -120."""
    return float(10.0 * np.log10(max(float(power), floor)))
