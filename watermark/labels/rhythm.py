"""The rhythm label: short-long-short-short (GB 45438-2025, 5.3 c).

Three units between the second and the third burst make it the two Morse letters of "AI"; with equal gaps it would be
an L.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from watermark.codec.grid import Wave
from watermark.labels.profile import RhythmShape

#: Step of the checker's envelopes in seconds.
STEP_S = 0.005
#: Length of their averaging window in seconds: 25 ms passes 40 Hz to either side of the tone.
AVERAGE_S = 0.025
#: Share of the power that must lie at the tone for a moment to count as tone.
PURITY = 0.7
#: Moments more than this many dB under the loudest tone are not tone.
TONE_RANGE_DB = 12.0
#: A burst must stand at least this many dB above the gaps beside it.
GAP_DEPTH_DB = 20.0
#: Allowed error of a burst or gap against the profile, as a share.
LENGTH_TOLERANCE = 0.4
#: Bounds of long over short (labels of other makers vary; the standard gives no number).
RATIO_RANGE = (2.0, 4.0)


@dataclass(frozen=True)
class Rhythm:
    """A rhythm label found: begin and end in seconds, long over short, and how far it stands above its gaps."""

    start_s: float
    end_s: float
    ratio: float
    depth_db: float


def make_rhythm(rate: int, shape: RhythmShape) -> Wave:
    """The bursts and gaps (samples,) at a peak of 1."""
    parts = []
    for index, seconds in enumerate(shape.bursts):
        parts.append(_burst(seconds, rate, shape))
        if index < len(shape.gaps):
            parts.append(np.zeros(round(shape.gaps[index] * rate), np.float32))
    return np.concatenate(parts)


def detect_rhythm(part: Wave, rate: int, shape: RhythmShape) -> Rhythm | None:
    """The first rhythm label in ``part`` (samples,), or None.

    A moment is tone when most of its power lies within 40 Hz of the shape's tone. Four such bursts must have the
    shape's lengths and gaps within LENGTH_TOLERANCE, long over short within RATIO_RANGE, and gaps GAP_DEPTH_DB
    below them.
    """
    part = part.astype(np.float64)
    step = max(1, round(STEP_S * rate))
    if len(part) < step * 10:
        return None
    carrier = np.exp(-2j * np.pi * shape.tone_hz * np.arange(len(part)) / rate)
    size = round(AVERAGE_S * rate)
    shifted = part * carrier
    tone_re = uniform_filter1d(shifted.real, size, mode="constant")[::step]
    tone_im = uniform_filter1d(shifted.imag, size, mode="constant")[::step]
    tone = 2 * (tone_re**2 + tone_im**2)
    power = uniform_filter1d(part**2, size, mode="constant")[::step]
    is_tone = tone > PURITY * (power + 1e-10)
    if not is_tone.any():
        return None
    is_tone &= tone > tone[is_tone].max() * 10 ** (-TONE_RANGE_DB / 10)
    return _match(_runs(is_tone), power, shape, step / rate)


def _match(runs: NDArray[np.int64], power: NDArray[np.float64], shape: RhythmShape, step_s: float) -> Rhythm | None:
    for first in range(len(runs) - len(shape.bursts) + 1):
        bursts = runs[first : first + len(shape.bursts)]
        lengths = np.asarray((bursts[:, 1] - bursts[:, 0]) * step_s, np.float64)
        gaps = np.asarray((bursts[1:, 0] - bursts[:-1, 1]) * step_s, np.float64)
        if not (_near(lengths, shape.bursts) and _near(gaps, shape.gaps)):
            continue
        ratio = float(lengths[1] / lengths[[0, 2, 3]].mean())
        loud = min(power[begin:end].mean() for begin, end in bursts)
        middles = [(left[1] + right[0]) // 2 for left, right in itertools.pairwise(bursts)]
        quiet = max(power[middle] for middle in middles)
        depth = float(10 * np.log10(loud / max(quiet, 1e-10)))
        if RATIO_RANGE[0] <= ratio <= RATIO_RANGE[1] and depth >= GAP_DEPTH_DB:
            return Rhythm(float(bursts[0, 0] * step_s), float(bursts[-1, 1] * step_s), ratio, depth)
    return None


def _burst(seconds: float, rate: int, shape: RhythmShape) -> Wave:
    count = round(seconds * rate)
    ramp = round(shape.ramp_s * rate)
    envelope = np.ones(count)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(ramp) / ramp) if ramp else np.empty(0)
    envelope[:ramp] = rise
    envelope[count - ramp :] = rise[::-1]
    return (envelope * np.sin(2 * np.pi * shape.tone_hz * np.arange(count) / rate)).astype(np.float32)


def _runs(on: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Begins and ends (runs, 2) of the stretches of True."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    return change.reshape(-1, 2)


def _near(found: NDArray[np.float64], wanted: tuple[float, ...]) -> bool:
    return bool(np.all(np.abs(found / np.array(wanted) - 1) <= LENGTH_TOLERANCE))
