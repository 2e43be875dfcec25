"""What may be asked to be spoken at all, before any policy: length, characters, and the digest it is known by."""

import hashlib
import re
import unicodedata
from collections.abc import Collection
from uuid import UUID

from django.conf import settings

from cloning import membership
from cloning.errors import ContainerUnknown, LanguageUnsupported, MaskHasItsOwn, RateUnknown, TextInvalid
from cloning.manner import Manner
from cloning.models import CONTAINERS, LABEL_LANGUAGES, LANGUAGES, MAX_TEXT, STREAMED_CONTAINERS
from consent.scopes import CHANNELS, SPECIAL_USES
from safety.detectors.folding import is_han

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


def check_streamed(container: str) -> str:
    """Raises ContainerUnknown for one that cannot leave before its end is known."""
    if container not in STREAMED_CONTAINERS:
        raise ContainerUnknown(
            f"{container} cannot be streamed: {', '.join(STREAMED_CONTAINERS)} can.", code="container_not_streamed"
        )
    return container


def check_rate(rate: int | None, *, person_id: UUID | None = None) -> int:
    """``rate``, or the default of the person's tier (`cloning.membership`) for None. Raises RateUnknown."""
    tier = membership.tier_of(person_id)
    rates = membership.RATES[tier]
    if rate is not None and rate not in rates:
        more = (
            " Members have more." if settings.VOUCH_TIER == membership.BY_ACCOUNT and tier != membership.MEMBER else ""
        )
        raise RateUnknown(f"Supported for you: {', '.join(map(str, rates))} Hz.{more}", tier=tier)
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


def check_masked(manner: Manner | None, mask: UUID | None, *, instant: bool = False) -> None:
    """Raises MaskHasItsOwn for a manner that moves pitch or formants of a masked voice, and for an instant one: a mask
    was measured on the trained voice."""
    if mask is not None and instant:
        raise MaskHasItsOwn("A mask belongs to the trained voice.", advice="Leave out mask, or instant.")
    if mask is not None and manner is not None and (manner.pitch or manner.formants):
        raise MaskHasItsOwn


def digest(text: str) -> str:
    """SHA-256 (hex) of the text's UTF-8: the one digest that clearances, approvals and restrictions speak of."""
    return hashlib.sha256(text.encode()).hexdigest()
