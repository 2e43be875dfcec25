"""The audible label: put before (or after) the sound, and heard again in any file.

A rhythm or a spoken sentence, silence on either side, outside the content (GB 45438-2025, 5.3; the EU and India want it
at the beginning). Its level follows the speech's, so that it can neither drown nor be drowned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from watermark.codec.grid import Wave
from watermark.labels.profile import Kind, LabelProfile
from watermark.labels.rhythm import detect_rhythm, make_rhythm
from watermark.labels.spoken import Spoken, detect_spoken, words

#: Greatest RMS of the tone in dBFS: a sine at -3.5 dBFS RMS peaks at -0.5 dBFS.
MAX_LEVEL_DBFS = -3.5
#: Highest sample of the spoken words.
CEILING = 0.98
#: Frames within this many dB of the loudest count as active speech.
ACTIVE_RANGE_DB = 40.0

#: Seconds that a detected border may be off.
BORDER_S = 0.1

#: Begin and end in seconds, and what was said (None for a rhythm).
_Found = tuple[float, float, Spoken | None]

Position = Literal["start", "middle", "end"]


class Unlabelled(ValueError):
    """The sound cannot be given an audible label."""


@dataclass(frozen=True)
class Labelled:
    """``wave`` (samples,) with its label: the content lies between the two times, ``seconds`` is all the rest."""

    wave: Wave
    content_start_s: float
    content_end_s: float
    seconds: float


@dataclass(frozen=True)
class Heard:
    """A label heard in a file: kind, language (of spoken ones), begin and end in seconds, and where it stands: nothing
    but silence or another label lies before a start and after an end.

    ``per_minute`` are the units (words, characters) a minute of a spoken label; ``rate_is_legal`` is true for a rhythm.
    """

    kind: Kind
    language: str
    start_s: float
    end_s: float
    position: Position
    per_minute: float | None
    rate_is_legal: bool


def with_label(wave: Wave, rate: int, profile: LabelProfile, language: str) -> Labelled:
    """``wave`` (float (samples,), -1..1) with the profile's label in ``language``: silence, label, silence, sound.

    Raises Unlabelled when the sound is silent or its rate cannot hold the tone, BadProfile when an asset is wrong.
    """
    before, after = blocks(active_level_dbfs(wave, rate), rate, profile, language)
    result = np.concatenate([before, wave, after]).astype(np.float32)
    start = len(before)
    return Labelled(result, start / rate, (start + len(wave)) / rate, (len(result) - len(wave)) / rate)


def blocks(speech_dbfs: float, rate: int, profile: LabelProfile, language: str) -> tuple[Wave, Wave]:
    """What stands before and after a sound whose speech has that level: labels with silence on either side, or nothing.

    Raises Unlabelled when the rate cannot hold the tone, BadProfile when an asset is wrong.
    """
    silence = np.zeros(round(profile.silence_s * rate), np.float32)
    whole = np.concatenate([silence, _block(speech_dbfs, rate, profile, language), silence]).astype(np.float32)
    nothing = np.zeros(0, np.float32)
    return whole if "start" in profile.positions else nothing, whole if "end" in profile.positions else nothing


def hear(wave: Wave, rate: int, profile: LabelProfile) -> list[Heard]:
    """The labels that begin within ``profile.search_s`` of the start, or end so near the end, in order of time.

    ``wave`` is float mono (samples,).
    """
    size = round((profile.search_s + profile.rhythm.seconds) * rate)
    found: list[_Found] = []
    for first in [0, len(wave) - size] if len(wave) > size else [0]:
        part, shift = wave[first : first + size], first / rate
        if (rhythm := detect_rhythm(part, rate, profile.rhythm)) is not None:
            found.append((rhythm.start_s + shift, rhythm.end_s + shift, None))
        if (said := detect_spoken(part, rate, profile.spoken)) is not None:
            found.append((said.start_s + shift, said.end_s + shift, said))
    unique = {(one[2] is None, round(one[0])): one for one in reversed(found)}
    places = sorted(unique.values(), key=lambda one: one[0])
    return [_placed(wave, rate, one, places) for one in places]


def content_start(wave: Wave, rate: int, profile: LabelProfile) -> float:
    """Seconds after which the label at the start is over; 0 when there is none."""
    return end_of_start(hear(wave, rate, profile))


def end_of_start(heard: list[Heard]) -> float:
    """When the last of the labels at the start ends, in seconds; 0 when there is none."""
    return max((one.end_s for one in heard if one.position == "start"), default=0.0)


def active_level_dbfs(wave: Wave, rate: int) -> float:
    """RMS in dBFS over the 20 ms frames within ACTIVE_RANGE_DB of the loudest. Raises Unlabelled for silence."""
    size = rate // 50
    if len(wave) < size:
        raise Unlabelled("the sound is shorter than 20 ms")
    power = np.mean(wave[: len(wave) // size * size].reshape(-1, size) ** 2, axis=1)
    if not power.max() > 0:
        raise Unlabelled("the sound is silent")
    return float(10 * np.log10(power[power > power.max() * 10 ** (-ACTIVE_RANGE_DB / 10)].mean()))


def _block(speech: float, rate: int, profile: LabelProfile, language: str) -> Wave:
    """The profile's labels one after the other, with a silence between them, beside speech of that level in dBFS."""
    parts: list[Wave] = []
    for kind in profile.writes:
        if parts:
            parts.append(np.zeros(round(profile.silence_s * rate), np.float32))
        if kind == "rhythm":
            shape = profile.rhythm
            if shape.tone_hz * 2.2 > rate:
                raise Unlabelled(f"a rate of {rate} Hz cannot hold a tone of {shape.tone_hz:.0f} Hz")
            level = max(shape.level_dbfs, speech - shape.least_below_speech_db)
            parts.append(make_rhythm(rate, shape) * np.float32(np.sqrt(2) * 10 ** (min(level, MAX_LEVEL_DBFS) / 20)))
        else:
            said = words(profile.line(language), rate)
            level = max(profile.spoken_level_dbfs, speech - profile.spoken_least_below_speech_db)
            gain = min(10 ** ((level - active_level_dbfs(said, rate)) / 20), CEILING / float(np.abs(said).max()))
            parts.append(said * np.float32(gain))
    return np.concatenate(parts)


def _placed(wave: Wave, rate: int, one: _Found, labels: list[_Found]) -> Heard:
    start, end, said = one
    content = wave.copy()
    for begin, finish, _ in labels:
        content[max(0, round((begin - BORDER_S) * rate)) : round((finish + BORDER_S) * rate)] = 0
    middle = round((start + end) / 2 * rate)
    position: Position = "middle"
    if not _sounds(content[:middle], wave, rate):
        position = "start"
    elif not _sounds(content[middle:], wave, rate):
        position = "end"
    if said is None:
        return Heard("rhythm", "", start, end, position, None, True)
    return Heard("spoken", said.line.language, start, end, position, said.per_minute, said.rate_is_legal)


def _sounds(part: Wave, whole: Wave, rate: int) -> bool:
    """Whether a 20 ms frame of ``part`` comes within ACTIVE_RANGE_DB of the loudest of ``whole``."""
    size = rate // 50
    loudest = [
        float(np.mean(wave[: len(wave) // size * size].reshape(-1, size) ** 2, axis=1).max(initial=0.0))
        for wave in (part, whole)
    ]
    return loudest[0] > loudest[1] * 10 ** (-ACTIVE_RANGE_DB / 10)
