"""What may be asked to be spoken at all, before any policy: length, characters, and the digest it is known by."""

import hashlib
import re
import unicodedata
from collections.abc import Collection
from typing import Final

from django.conf import settings

from cloning.errors import ContainerUnknown, LanguageUnsupported, RateUnknown, TextInvalid
from cloning.models import CONTAINERS, LABEL_LANGUAGES, LANGUAGES, MAX_TEXT
from consent.scopes import CHANNELS, SPECIAL_USES
from safety.detectors.normalise import is_han

TIER_RATES: Final = {"free": (24_000,), "member": (32_000, 48_000)}
"""Rates in Hz at which each tier's outputs are delivered; the first is its default."""

ALLOWED_CONTROLS = frozenset("\n\t")
FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Co", "Cn"})
"""Control characters, lone surrogates, private use and unassigned code points: none has a sound."""


def check_text(text: str) -> str:
    """The text with surrounding white space removed. Raises TextInvalid (empty, too long, unspeakable characters)."""
    # Length first: nothing below may be asked to walk over a megabyte.
    if len(text) > MAX_TEXT:
        raise TextInvalid(f"A text has at most {MAX_TEXT} characters; this one has {len(text)}.")
    for character in text:
        if unicodedata.category(character) in FORBIDDEN_CATEGORIES and character not in ALLOWED_CONTROLS:
            raise TextInvalid(
                f"The text holds a character that cannot be spoken (U+{ord(character):04X}).",
                advice="Remove control characters and paste the text as plain text.",
            )
    text = text.strip()
    if not any(character.isalnum() for character in text):
        raise TextInvalid("The text holds no letter and no digit.", advice="Send the words to be spoken.")
    return text


def check_language(language: str) -> str:
    """Raises LanguageUnsupported."""
    if language not in LANGUAGES:
        raise LanguageUnsupported(f"Supported: {', '.join(LANGUAGES)}.")
    return language


def check_container(container: str) -> str:
    """Raises ContainerUnknown."""
    if container not in CONTAINERS:
        raise ContainerUnknown(f"Supported: {', '.join(CONTAINERS)}.")
    return container


def check_rate(rate: int | None) -> int:
    """``rate``, or the tier's default for None. Raises RateUnknown.

    The tier is the deployment's for everybody (``VOUCH_TIER``): people have no membership yet.
    """
    rates = TIER_RATES[settings.VOUCH_TIER]
    if rate is not None and rate not in rates:
        raise RateUnknown(f"Supported here: {', '.join(map(str, rates))} Hz.")
    return rates[0] if rate is None else rate


def label_language(language: str) -> str:
    """The language of the spoken label for a listener of ``language``: English where there is no such label."""
    return language if language in LABEL_LANGUAGES else LABEL_LANGUAGES[0]


_DIGIT_MS, _HAN_MS, _LETTER_MS, _SPACE_MS, _MARK_MS, _ONCE_MS = 800, 450, 130, 60, 500, 1_500


def longest_ms(text: str) -> int:
    """Milliseconds of speech that a text hardly ever exceeds: what is set aside before it is spoken.

    Twice as slow as ordinary speech; a digit is a word, a mark a pause. A recording that comes out longer still is
    counted when it is settled, and refused there if the licence has no room.
    """
    total = _ONCE_MS
    for character in text:
        if character.isdigit():
            total += _DIGIT_MS
        elif is_han(character):
            total += _HAN_MS
        elif character.isalpha():
            total += _LETTER_MS
        else:
            total += _SPACE_MS if character.isspace() else _MARK_MS
    return total


def check_uses(channel: str, territory: str, uses: Collection[str]) -> None:
    """What a requester declares. Raises TextInvalid for a word that is not known."""
    if channel and channel not in CHANNELS:
        raise TextInvalid(f"Channels: {', '.join(CHANNELS)}.", code="unknown_channel")
    if territory and not re.fullmatch("[A-Z]{2}", territory):
        raise TextInvalid("A territory is a country code such as DE.", code="unknown_territory")
    if unknown := set(uses) - SPECIAL_USES:
        raise TextInvalid(
            f"Uses to declare: {', '.join(sorted(SPECIAL_USES))}; not {sorted(unknown)[0][:40]}.", code="unknown_use"
        )


def digest(text: str) -> str:
    """SHA-256 (hex) of the text's UTF-8: the one digest that clearances, approvals and restrictions speak of."""
    return hashlib.sha256(text.encode()).hexdigest()
