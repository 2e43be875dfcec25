"""Label profiles: what each market's law wants heard and written, in one versioned file.

Every number stands in ``profiles/labels-1.json``, because most of them are the project's own reading: the standards
quoted there give the rhythm's pattern and the speaking rate, but no tone, level or length. A profile says what is
written (``writes``, ``positions``), what a checker accepts, and which layers a file must carry (``requires``, out of
LAYERS).
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_FOLDER = Path(__file__).parent

#: The file in force. Another version is another file beside it.
VERSION = "labels-1"
#: The profile that is used when nobody names one: its label satisfies the audible rule of every other profile.
DEFAULT_PROFILE = "eu"
NAMES = ("cn", "eu", "in", "us")
KINDS = ("rhythm", "spoken")
POSITIONS = ("start", "end")
#: What a profile may require of a file.
LAYERS = ("audible", "aigc", "c2pa", "time_stamp", "watermark", "log")
PATTERN = "short long short short"

Kind = Literal["rhythm", "spoken"]


class BadProfile(ValueError):
    """The label profile is unknown or malformed."""


@dataclass(frozen=True)
class RhythmShape:
    """The rhythm's values. Times in seconds, levels in dB, lengths of bursts and gaps in units."""

    pattern: str
    unit_s: float
    long_units: float
    gap_units: tuple[float, ...]
    tone_hz: float
    ramp_s: float
    level_dbfs: float
    least_below_speech_db: float

    @property
    def bursts(self) -> tuple[float, ...]:
        """Lengths of the four bursts in seconds."""
        return tuple(self.unit_s * (self.long_units if word == "long" else 1) for word in self.pattern.split())

    @property
    def gaps(self) -> tuple[float, ...]:
        """Lengths of the three gaps in seconds."""
        return tuple(self.unit_s * units for units in self.gap_units)

    @property
    def seconds(self) -> float:
        """From the first burst's begin to the last one's end."""
        return sum(self.bursts) + sum(self.gaps)


@dataclass(frozen=True)
class SpokenLine:
    """A sentence: its text, how many units (characters or words) it counts and how many a minute are allowed."""

    language: str
    text: str
    unit: str
    count: int
    per_minute: tuple[float, float]
    file: str
    sha256: str

    def asset(self) -> bytes:
        """The spoken sentence, a FLAC file. Raises BadProfile when it is not the one the profile pins."""
        path = _FOLDER / "words" / self.file
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise BadProfile(f"{self.file} is missing or not the recording that the profile names")
        return data


@dataclass(frozen=True)
class LabelProfile:
    """One market's label, and the values all of them share."""

    name: str
    version: str
    basis: str
    writes: tuple[Kind, ...]
    accepts: tuple[Kind, ...]
    positions: tuple[str, ...]
    accepts_positions: tuple[str, ...]
    requires: tuple[str, ...]
    rhythm: RhythmShape
    spoken: tuple[SpokenLine, ...]
    spoken_level_dbfs: float
    spoken_least_below_speech_db: float
    fallback_language: str
    silence_s: float
    search_s: float

    def line(self, language: str) -> SpokenLine:
        """The sentence in ``language`` (``zh``, ``zh-Hans``, ``en-GB`` ...), or in the fallback language."""
        lines = {line.language: line for line in self.spoken}
        return lines.get(language.replace("_", "-").split("-")[0].lower(), lines[self.fallback_language])


@functools.cache
def load_profile(name: str = DEFAULT_PROFILE) -> LabelProfile:
    """The profile of this name in the file in force. Raises BadProfile."""
    if name not in NAMES:
        raise BadProfile(f"there is no label profile {name!r}; there are {', '.join(NAMES)}")
    return parse(json.loads((_FOLDER / "profiles" / f"{VERSION}.json").read_text("utf-8")), name)


def parse(values: dict[str, Any], name: str) -> LabelProfile:
    """The profile ``name`` out of a profile file's content. Raises BadProfile for anything it should not hold."""
    try:
        shared = {key: value for key, value in values.items() if key not in ("profiles", "rhythm", "spoken", "date")}
        rhythm = RhythmShape(**_tuples(values["rhythm"]))
        spoken = tuple(SpokenLine(language=key, **_tuples(line)) for key, line in values["spoken"].items())
        profile = LabelProfile(name=name, rhythm=rhythm, spoken=spoken, **shared, **_tuples(values["profiles"][name]))
    except (KeyError, TypeError, AttributeError) as error:
        raise BadProfile(f"{name}: its values are not those of a label profile") from error
    if rhythm.pattern != PATTERN or len(rhythm.gap_units) != 3:
        raise BadProfile(f"the rhythm is {PATTERN}, with three gaps")
    for found, known in (
        (profile.writes + profile.accepts, KINDS),
        (profile.positions + profile.accepts_positions, POSITIONS),
        (profile.requires, LAYERS),
        ((profile.fallback_language,), tuple(line.language for line in spoken)),
    ):
        if not found or not set(found) <= set(known):
            raise BadProfile(f"{name}: {', '.join(found) or 'nothing'} where one of {', '.join(known)} must stand")
    if not (set(profile.writes) & set(profile.accepts) and set(profile.positions) & set(profile.accepts_positions)):
        raise BadProfile(f"{name}: it would not accept what it writes")
    return profile


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
