"""What an offer may be called: never as somebody whose voice it is not, nor in letters that only look right. Pure.

Names are compared as they are seen: `safety.detectors` folds look-alike letters, invisible ones and digits that stand
for letters, so a protected name is found in any spelling that a reader would take for it. Letters of several scripts
in one word are refused whatever they spell (UTS 39, single script; Chinese beside Latin is ordinary and allowed).
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from safety.detectors.folding import is_han
from safety.detectors.normalise import Stream, normalise
from safety.detectors.patterns import Phrase, PhraseTooShort, find

CLAIMS: Final = (
    "official", "verified", "the real", "celebrity", "impersonation", "impersonator", "sounds like", "soundalike",
    "imitation of", "voice of", "clone of", "官方", "真人原声", "明星", "模仿", "冒充", "高仿", "认证",
)  # fmt: skip
"""What a title may not claim, whoever's name stands beside it."""
SPELLED: Final = 8
"""Letters from which a name is also found without regard to where words begin."""
_CONTACT: Final = re.compile(r"@\w|https?:|www\.|\w\.(?:com|net|org|io|cn)\b|\d{6,}", re.IGNORECASE)
_SCRIPTS: Final = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "GEORGIAN")


@dataclass(frozen=True, slots=True)
class NameRefusal:
    """``rule``: protected_name, mixed_scripts, claim or contact."""

    rule: str
    says: str


def refusal(text: str, protected: Iterable[str]) -> NameRefusal | None:
    """Why ``text`` may not stand in an offer; None when it may. ``protected``: names nobody offers a voice under."""
    if _CONTACT.search(text):
        return NameRefusal("contact", "Addresses, handles and numbers do not belong in an offer.")
    for word in re.findall(r"\w+", text):
        if _mixed(word):
            return NameRefusal("mixed_scripts", f"'{word[:40]}' is written in letters of several scripts.")
    streams = normalise(text)
    for name in protected:
        if _stands_in(name, streams):
            return NameRefusal("protected_name", "The title uses a name that is protected here.")
    for claim in CLAIMS:
        if _stands_in(claim, streams):
            return NameRefusal("claim", f"A title claims nothing such as '{claim}'.")
    return None


def skeleton(text: str) -> str:
    """What a reader takes the text for: equal for titles that look alike."""
    return normalise(text)[0].letters


def _stands_in(name: str, streams: Sequence[Stream]) -> bool:
    try:
        phrase = Phrase.of(name)
    except PhraseTooShort:
        return False
    if any(find(letters, stream) for stream in streams for letters in phrase.readings):
        return True
    # Spelled letter by letter there are no words to go by; a long name hardly stands in other words by chance.
    runs = [_run(letters) for letters in phrase.readings]
    return any(len(run) >= SPELLED and run in _run(stream.letters) for stream in streams for run in runs)


def _run(letters: str) -> str:
    """Letters without immediate repetition, across words."""
    return "".join(one for one, before in zip(letters, " " + letters, strict=False) if one != before)


def _mixed(word: str) -> bool:
    scripts = set()
    for character in unicodedata.normalize("NFKC", word):
        if character.isalpha() and not is_han(character):
            name = unicodedata.name(character, "")
            scripts.add(next((one for one in _SCRIPTS if name.startswith(one)), "OTHER"))
    return len(scripts) > 1
