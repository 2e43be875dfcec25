"""What a content encoder can hear: the phones that sound different from each other, and which of them a symbol says.

Not the text's symbols (`symbols`): stress is not heard, marks are pauses, and the reduced vowel, which the English
synthesiser tells from `ah`, has no symbol of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloning.engine.text.symbols import SYMBOLS

#: Phones of the English synthesiser's lexicon: ARPAbet without stress, the reduced vowel `ax`, and the pause.
ENGLISH = str.split(
    "pau aa ae ah ao aw ax ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z zh"
)
#: Of Mandarin the initials and the finals without tone, as the text's symbols spell them.
INITIALS = str.split("b c ch d f g h j k l m n p q r s sh t w x y z zh")
FINALS = str.split(
    "a ai an ang ao e ei en eng er i i0 ia ian iang iao ie in ing iong ir iu o ong ou u ua uai uan uang ui un uo "
    "v van ve vn E En"
)
#: The classes of the content encoder. Finals are told with their tones, so that its frames, and the codes, carry them.
PHONES = [
    *ENGLISH,
    *(f"cmn:{name}" for name in INITIALS),
    *(f"cmn:{name}{tone}" for name in FINALS for tone in range(1, 6)),
]
PHONE_INDEX = {name: index for index, name in enumerate(PHONES)}
PAUSE = PHONE_INDEX["pau"]
#: The reduced vowel, and the class by which the text's symbols name it.
REDUCED, NAMED = PHONE_INDEX["ax"], PHONE_INDEX["ah"]
#: Stand where a Mandarin syllable has no initial; nothing is heard of them.
SILENT = frozenset({"AA", "EE", "OO"})


def phone_class(symbol: str) -> int | None:
    """The class of a text's symbol; None for marks and whatever else is not heard by itself."""
    if symbol in SILENT:
        return None
    english = PHONE_INDEX.get(symbol.rstrip("012").lower()) if symbol[:1].isupper() else None
    return PHONE_INDEX.get(f"cmn:{symbol}") if english is None else english


def classes_of(ids: Sequence[int]) -> list[int]:
    """Phones of a text's symbols, in order; marks are left out, they are pauses that need not be spoken."""
    found = (phone_class(SYMBOLS[row]) for row in ids)
    return [phone for phone in found if phone is not None]
