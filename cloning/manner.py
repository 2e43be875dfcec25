"""How a text is to be spoken: the numbers of a request that change its sound and nothing else.

Plain numbers and no torch: a web process checks them. The engine checks them again (`cloning.engine.synthesis`), and a
test holds the two to the same bounds.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from foundation.errors import Refused

BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "speed": (0.5, 2.0),
    "temperature": (0.05, 2.0),
    "top_k": (1, 1025),
    "top_p": (0.05, 1.0),
    "repetition_penalty": (1.0, 2.0),
    "pause": (0.0, 2.0),
    "liveliness": (0.0, 1.0),
    "pitch": (-12.0, 12.0),
    "formants": (-6.0, 6.0),
}
"""The least and the most of each; ``pause`` in seconds, ``pitch`` and ``formants`` in semitones."""

DRAWN: Final = frozenset({"temperature", "top_k", "top_p", "repetition_penalty"})
"""How codes are drawn: each may be left to the voice's model."""
SHIFTS: Final = frozenset({"pitch", "formants"})
"""What is done to the finished speech (`cloning.engine.shift`), not by the models."""
PRESETS: Final[Mapping[str, Mapping[str, float]]] = {
    "excited": {"speed": 1.18, "pause": 0.15, "liveliness": 0.9, "pitch": 2.0},
    "gentle": {"speed": 0.88, "pause": 0.45, "liveliness": 0.3, "pitch": -0.5},
    "lazy": {"speed": 0.72, "pause": 0.8, "liveliness": 0.2, "pitch": -1.5},
    "serious": {"speed": 0.94, "pause": 0.4, "liveliness": 0.35, "pitch": -1.0},
}
"""Moods at full strength. They are names for settings and nothing more: no model was taught an emotion."""


class MannerInvalid(Refused):
    """A number that says how to speak is out of its range."""

    code = "manner_invalid"
    advice = "Leave it out to speak as the voice does by itself."


@dataclass(frozen=True, slots=True)
class Manner:
    """``speed`` 1 is as trained, 2 twice as fast. ``pause``: seconds of silence between sentences. ``liveliness``: how
    much the sound may vary. ``temperature``, ``top_k``, ``top_p``, ``repetition_penalty``: how the codes of speech are
    drawn; None leaves that to the voice's model. ``pitch`` and ``formants``: semitones up or down; formants make a
    voice sound smaller or larger. Raises MannerInvalid."""

    speed: float = 1.0
    pause: float = 0.3
    liveliness: float = 0.5
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    pitch: float = 0.0
    formants: float = 0.0

    def __post_init__(self) -> None:
        for name, (least, most) in BOUNDS.items():
            value = getattr(self, name)
            if value is None and name in DRAWN:
                continue
            whole = name == "top_k"
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise MannerInvalid(f"{name} is a {'whole ' if whole else ''}number.")
            if not (math.isfinite(value) and least <= value <= most):
                raise MannerInvalid(f"{name} is {least:g} to {most:g}; {value:g} was asked for.")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Manner":
        """From names and values as they came in or were kept; a ``preset`` with its ``strength`` (0 to 1) comes first
        and what is named beside it wins. Raises MannerInvalid, also for an unknown name."""
        if "preset" in given or "strength" in given:
            plain = {name: value for name, value in given.items() if name not in ("preset", "strength")}
            given = {**preset(given.get("preset"), given.get("strength", 1.0)), **plain}
        unknown = sorted(str(name)[:40] for name in given.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise MannerInvalid(f"Unknown: {', '.join(unknown[:8])}.")
        return cls(**given)

    def kept(self) -> dict[str, float]:
        """What differs from the default: what the database keeps."""
        plain = asdict(Manner())
        return {name: value for name, value in asdict(self).items() if value != plain[name]}

    def for_engine(self) -> dict[str, Any]:
        """The same under the names of `cloning.engine.synthesis.SpeechRequest`, for starter voices."""
        return self._named({"pause": "fragment_interval", "liveliness": "noise_scale"})

    def for_tts(self) -> dict[str, Any]:
        """The same under the names of `cloning.engine.tts.request.TtsRequest`, for voices of mounted versions."""
        return self._named({"speed": "speed_factor", "pause": "fragment_interval", "liveliness": "noise_scale"})

    def _named(self, names: Mapping[str, str]) -> dict[str, Any]:
        asked = {name: value for name, value in asdict(self).items() if name not in SHIFTS}
        return {names.get(name, name): value for name, value in asked.items() if value is not None}


def preset(name: object, strength: object = 1.0) -> dict[str, float]:
    """The settings of a mood: from the voice's own way (``strength`` 0) to all of it (1). Raises MannerInvalid."""
    settings = PRESETS.get(name) if isinstance(name, str) else None
    if settings is None:
        raise MannerInvalid(f"A preset is one of {', '.join(PRESETS)}.")
    if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength <= 1:
        raise MannerInvalid("strength is 0 to 1.")
    own = asdict(Manner())
    return {key: round(own[key] + strength * (value - own[key]), 3) for key, value in settings.items()}
