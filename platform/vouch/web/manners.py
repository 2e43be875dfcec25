"""The studio's sliders, from the bounds that the back end holds: numbers as text, so that no locale rewrites them."""

from dataclasses import asdict
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


def presets() -> list[tuple[str, list[tuple[str, str]]]]:
    """Each mood with its settings at full strength."""
    return [(name, [(key, f"{value:g}") for key, value in settings.items()]) for name, settings in PRESETS.items()]
