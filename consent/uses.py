"""What a person may allow, each by its own yes. What is not named is not allowed. Pure."""

from typing import Final

USES: Final = (
    "own_use",
    "licence_to_others",
    "cross_lingual",
    "advertising",
    "political",
    "adult",
    "singing",
    "voice_mask",
)
"""The order is part of the compact receipt's format (`consent.compact`): new uses go to the end."""
