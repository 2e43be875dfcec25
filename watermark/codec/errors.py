"""What the codec refuses, by name."""

from __future__ import annotations


class UnmarkableAudio(ValueError):
    """The sound cannot carry or show a mark: wrong shape or rate, too short or long, silent, clipped, not finite."""


class MarkTooWeak(ValueError):
    """The mark did not read back, even at the greatest strength allowed. Nothing may be delivered."""


class BadKey(ValueError):
    """The key is not a byte string of the allowed length."""


class BadPayload(ValueError):
    """The payload is not an integer of 1 to 2**48 - 1."""
