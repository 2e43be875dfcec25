"""Levels of training recordings, number for number as the official preparation writes them to its 16-bit files.

Both steps mix a recording at a fixed peak with the recording as it is, so that loud and quiet stay apart.
"""

from __future__ import annotations

import numpy as np

from cloning.engine.errors import TrainingRefused
from cloning.engine.features.audio import PEAK_MIX, SILENT_PEAK, TARGET_PEAK
from cloning.engine.features.reference_audio import to_16k

#: Rate of the recordings, in Hz.
SAMPLE_RATE = 32_000
#: Peak and share of the second mix, after slicing.
CONTENT_PEAK, CONTENT_MIX = 0.95, 0.5
#: Scale of the wave that HuBERT hears while features are prepared; its first norm removes it.
CONTENT_SCALE = 1145.14
#: A louder float recording is left out (upstream's limit).
MOST_PEAK = 2.2


def sliced(chunk: np.ndarray, *, compat: bool = False) -> np.ndarray:
    """A piece of the slicer, (N,) float32 -> (N,) int16.

    A piece above full scale is first divided by its peak; upstream (`compat`) then divides by the old peak once more.
    Silence stays silence (upstream gives NaN).
    """
    peak = float(np.abs(chunk).max(initial=0.0))
    if peak < SILENT_PEAK:
        return np.asarray(chunk * 32767, dtype=np.int16)
    if peak > 1:
        chunk = chunk / np.float32(peak)
        peak = peak if compat else 1.0
    mixed = chunk / np.float32(peak) * (TARGET_PEAK * PEAK_MIX) + (1 - PEAK_MIX) * chunk
    return np.asarray(mixed * 32767, dtype=np.int16)


def content_input(wave: np.ndarray, *, compat: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A training recording, (N,) float32 at 32 kHz -> what is kept of it, (N,) int16 at 32 kHz, and what HuBERT hears,
    (ceil(N / 2),) float32 at 16 kHz in the scale +-1145.

    Values above full scale stop at the limit of 16 bits; upstream's (`compat`) wrap around. Raises TrainingRefused
    `bad_audio` for a peak above 2.2 and for silence.
    """
    peak = float(np.abs(wave).max(initial=0.0))
    if not SILENT_PEAK <= peak <= MOST_PEAK:
        raise TrainingRefused("bad_audio", "the recording is silent, too loud, or holds values that are not numbers")
    at_peak = wave / np.float32(peak)
    kept = at_peak * (CONTENT_PEAK * CONTENT_MIX * 32768) + (1 - CONTENT_MIX) * 32768 * wave
    heard = at_peak * (CONTENT_PEAK * CONTENT_MIX * CONTENT_SCALE) + (1 - CONTENT_MIX) * CONTENT_SCALE * wave
    if not compat:
        kept = np.clip(kept, -32768, 32767)
    return kept.astype(np.int32).astype(np.int16), to_16k(heard.astype(np.float32), SAMPLE_RATE)
