"""Why raw audio, and papers that speak for a person, may be held at all, and for how long at most."""

from datetime import timedelta
from enum import StrEnum
from typing import Final

LIMIT: Final = timedelta(hours=72)
"""No raw recording, and nothing derived from one, is readable longer than this after its first byte arrived."""

MAX_HOLD: Final = timedelta(days=90)
"""The longest legal hold. A longer one is asked for again, by two people again."""


class Purpose(StrEnum):
    CHALLENGE = "challenge"
    TRAINING = "training"
    TRACE = "trace"
    DOCUMENT = "document"
    SEARCH = "search"
