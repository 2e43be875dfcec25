"""The studio's sliders and moods, from what the back end holds: numbers as text, so that no locale rewrites them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cloning.manner import BOUNDS, PRESETS, Manner

SLIDERS: Final[tuple[tuple[str, Promise, str], ...]] = (
    ("speed", _("Speed"), "0.02"),
    ("pitch", _("Pitch"), "0.5"),
    ("formants", _("Speaker’s size (up is smaller)"), "0.5"),
    ("pause", _("Pause between sentences"), "0.05"),
    ("liveliness", _("Liveliness"), "0.05"),
)
"""Name of the setting, words, step."""


def sliders() -> list[dict[str, object]]:
    plain = asdict(Manner())
    return [
        {
            "name": name,
            "words": words,
            "step": step,
            "least": f"{BOUNDS[name][0]:g}",
            "most": f"{BOUNDS[name][1]:g}",
            "plain": f"{plain[name]:g}",
        }
        for name, words, step in SLIDERS
    ]


SAMPLES: Final[Mapping[str, str]] = {
    "en": "I looked for the keys all morning. They were in the garden.",
    "zh": "我找了一上午的钥匙。原来它们在花园里。",
}
"""What every mood says to be compared: two sentences, so that the pause between them is heard too."""
SAMPLE_SEED: Final = 20
PLAIN: Final = ""
"""The mood that is none: as the voice does."""


@dataclass(frozen=True)
class Mood:
    """``settings`` at full strength; ``sample``: the recording of it that was made before as JSON, or ""."""

    name: str
    settings: list[tuple[str, str]]
    sample: str


def moods(samples: Mapping[str, str]) -> list[Mood]:
    """The voice's own way first. ``samples`` by mood: see `vouch.web.takes.samples`."""
    known: dict[str, Mapping[str, float]] = {PLAIN: {}, **PRESETS}
    return [
        Mood(name, [(key, f"{value:g}") for key, value in settings.items()], samples.get(name, ""))
        for name, settings in known.items()
    ]
