"""The audible label: a rhythm, short-long-short-short, placed before the speech (GB 45438-2025, 5.3 c and d).

The pattern is the standard's; it gives no tone, level or length, so those stand in a versioned profile and are the
project's own choice. Three units between the second and the third burst make the rhythm the two Morse letters of
"AI"; with equal gaps it would be an L.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from watermark.codec.grid import Wave

_PROFILES = Path(__file__).with_name("profiles")

#: Name of the profile in force.
DEFAULT_PROFILE = "rhythm-1"
#: Greatest RMS of the tone in dBFS: a sine at -3.5 dBFS RMS peaks at -0.5 dBFS.
MAX_LEVEL_DBFS = -3.5
#: Frames within this many dB of the loudest count as active speech.
ACTIVE_RANGE_DB = 40.0
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


class BadProfile(ValueError):
    """The label profile is unknown or malformed."""


class Unlabelled(ValueError):
    """The sound cannot be given an audible label."""


@dataclass(frozen=True)
class LabelProfile:
    """Every value of a rhythm label. Times in seconds, levels in dB, lengths of bursts and gaps in units."""

    name: str
    pattern: str
    unit_s: float
    long_units: float
    gap_units: tuple[float, float, float]
    tone_hz: float
    ramp_s: float
    level_dbfs: float
    least_below_speech_db: float
    silence_s: float
    search_s: float

    @property
    def bursts(self) -> tuple[float, ...]:
        """Lengths of the four bursts in seconds."""
        return tuple(self.unit_s * (self.long_units if word == "long" else 1) for word in self.pattern.split())

    @property
    def gaps(self) -> tuple[float, ...]:
        """Lengths of the three gaps in seconds."""
        return tuple(self.unit_s * units for units in self.gap_units)

    @property
    def rhythm_seconds(self) -> float:
        """From the first burst's begin to the last one's end."""
        return sum(self.bursts) + sum(self.gaps)

    @property
    def seconds(self) -> float:
        """Everything that stands before the speech, the silences on either side included."""
        return self.rhythm_seconds + 2 * self.silence_s


@dataclass(frozen=True)
class Rhythm:
    """A rhythm label found: begin and end in seconds, long over short, and how far it stands above its gaps."""

    start_s: float
    end_s: float
    ratio: float
    depth_db: float


def load_profile(name: str = DEFAULT_PROFILE) -> LabelProfile:
    """The profile of this name that ships with the package. Raises BadProfile."""
    path = _PROFILES / f"{name}.json"
    if not re.fullmatch(r"[a-z0-9-]{1,40}", name) or not path.is_file():
        raise BadProfile(f"there is no label profile {name!r}")
    values = json.loads(path.read_text())
    if set(values) != {field.name for field in fields(LabelProfile)}:
        raise BadProfile(f"{name}: its values are not those of a label profile")
    profile = LabelProfile(**{**values, "gap_units": tuple(values["gap_units"])})
    if profile.pattern != "short long short short" or len(profile.gap_units) != 3 or profile.name != name:
        raise BadProfile(f"{name}: the rhythm is short long short short, with three gaps")
    return profile


def with_label(wave: Wave, rate: int, profile: LabelProfile) -> Wave:
    """``wave`` (samples,) behind its label: silence, rhythm, silence, sound; ``profile.seconds`` longer.

    The tone is never more than ``least_below_speech_db`` under the speech's active level. Raises Unlabelled when the
    sound is silent or its rate cannot hold the tone.
    """
    if profile.tone_hz * 2.2 > rate:
        raise Unlabelled(f"a rate of {rate} Hz cannot hold a tone of {profile.tone_hz:.0f} Hz")
    level = max(profile.level_dbfs, active_level_dbfs(wave, rate) - profile.least_below_speech_db)
    amplitude = np.sqrt(2) * 10 ** (min(level, MAX_LEVEL_DBFS) / 20)
    silence = np.zeros(round(profile.silence_s * rate), np.float32)
    parts = [silence]
    for index, seconds in enumerate(profile.bursts):
        parts.append(_burst(seconds, rate, profile) * np.float32(amplitude))
        if index < len(profile.gaps):
            parts.append(np.zeros(round(profile.gaps[index] * rate), np.float32))
    return np.concatenate([*parts, silence, wave]).astype(np.float32)


def active_level_dbfs(wave: Wave, rate: int) -> float:
    """RMS in dBFS over the 20 ms frames within ACTIVE_RANGE_DB of the loudest. Raises Unlabelled for silence."""
    size = rate // 50
    if len(wave) < size:
        raise Unlabelled("the sound is shorter than 20 ms")
    power = np.mean(wave[: len(wave) // size * size].reshape(-1, size) ** 2, axis=1)
    if not power.max() > 0:
        raise Unlabelled("the sound is silent")
    return float(10 * np.log10(power[power > power.max() * 10 ** (-ACTIVE_RANGE_DB / 10)].mean()))


def detect_rhythm(wave: Wave, rate: int, profile: LabelProfile) -> Rhythm | None:
    """The first rhythm label that begins within ``profile.search_s`` of the start, or None.

    A moment is tone when most of its power lies within 40 Hz of the profile's tone. Four such bursts must have the
    profile's lengths and gaps within LENGTH_TOLERANCE, long over short within RATIO_RANGE, and gaps GAP_DEPTH_DB
    below them.
    """
    part = wave[: round((profile.search_s + profile.seconds) * rate)].astype(np.float64)
    step = max(1, round(STEP_S * rate))
    if len(part) < step * 10:
        return None
    carrier = np.exp(-2j * np.pi * profile.tone_hz * np.arange(len(part)) / rate)
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
    return _match(_runs(is_tone), power, profile, step / rate)


def _match(runs: NDArray[np.int64], power: NDArray[np.float64], profile: LabelProfile, step_s: float) -> Rhythm | None:
    for first in range(len(runs) - len(profile.bursts) + 1):
        bursts = runs[first : first + len(profile.bursts)]
        lengths = np.asarray((bursts[:, 1] - bursts[:, 0]) * step_s, np.float64)
        gaps = np.asarray((bursts[1:, 0] - bursts[:-1, 1]) * step_s, np.float64)
        if not (_near(lengths, profile.bursts) and _near(gaps, profile.gaps)):
            continue
        ratio = float(lengths[1] / lengths[[0, 2, 3]].mean())
        loud = min(power[begin:end].mean() for begin, end in bursts)
        middles = [(left[1] + right[0]) // 2 for left, right in itertools.pairwise(bursts)]
        quiet = max(power[middle] for middle in middles)
        depth = float(10 * np.log10(loud / max(quiet, 1e-10)))
        if RATIO_RANGE[0] <= ratio <= RATIO_RANGE[1] and depth >= GAP_DEPTH_DB:
            return Rhythm(float(bursts[0, 0] * step_s), float(bursts[-1, 1] * step_s), ratio, depth)
    return None


def _burst(seconds: float, rate: int, profile: LabelProfile) -> Wave:
    count = round(seconds * rate)
    ramp = round(profile.ramp_s * rate)
    envelope = np.ones(count)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(ramp) / ramp) if ramp else np.empty(0)
    envelope[:ramp] = rise
    envelope[count - ramp :] = rise[::-1]
    return (envelope * np.sin(2 * np.pi * profile.tone_hz * np.arange(count) / rate)).astype(np.float32)


def _runs(on: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Begins and ends (runs, 2) of the stretches of True."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    return change.reshape(-1, 2)


def _near(found: NDArray[np.float64], wanted: tuple[float, ...]) -> bool:
    return bool(np.all(np.abs(found / np.array(wanted) - 1) <= LENGTH_TOLERANCE))
