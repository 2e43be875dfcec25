"""Phones with pitch marks (Kurihara et al. 2021, as ESPnet reads them out of Open JTalk's full-context labels).

"[" the pitch rises, "]" it falls, "#" an accent phrase ends, "_" a pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloning.engine.text.openjtalk.accents import accentuate, phrase
from cloning.engine.text.openjtalk.dictionary import Dictionary, shipped
from cloning.engine.text.openjtalk.lattice import morphemes
from cloning.engine.text.openjtalk.morae import MORAE
from cloning.engine.text.openjtalk.numbers import numbered
from cloning.engine.text.openjtalk.words import LONG, PAUSE, Word, words_of

RISE, FALL, BORDER, SHORT_PAUSE = "[", "]", "#", "_"
#: Marks follow only what a mora can end with.
ENDINGS = frozenset({"a", "i", "u", "e", "o", "N", "cl"})
#: Full-context labels count morae no further.
MOST_MORAE = 49


@dataclass(slots=True)
class _Phrase:
    accent: int
    morae: int = 0


@dataclass(slots=True)
class _Part:
    """A word in its phrase; the phrase is known when the word's first mora has been said."""

    phrase: _Phrase | None = None


@dataclass(slots=True)
class _Mora:
    part: _Part
    place: int = 0


@dataclass(slots=True)
class _Phone:
    """`mora` None: a pause."""

    name: str
    mora: _Mora | None


def _said(words: Sequence[Word]) -> list[_Phone]:
    """The phones of all words with their place in an accent phrase."""
    phones: list[_Phone] = []
    morae: list[_Mora] = []
    phrases: list[_Phrase] = []
    part = _Part()
    pause = False
    for word in words:
        if word.pronunciation == PAUSE:
            pause = True
            continue
        own: _Part | None = None
        at = 0
        while at < len(word.pronunciation):
            if word.pronunciation[at] == LONG:
                # Length belongs to the mora before, even when that is another word's.
                if phones and not pause:
                    morae.append(_Mora(own or part))
                    phones.append(_Phone(phones[-1].name, morae[-1]))
                at += 1
                continue
            size = next((n for n in (2, 1) if word.pronunciation[at : at + n] in MORAE), 0)
            if not size:
                break
            if pause and phones:
                phones.append(_Phone(SHORT_PAUSE, None))
            pause = False
            own = own or _Part()
            morae.append(_Mora(own))
            phones += [_Phone(name, morae[-1]) for name in MORAE[word.pronunciation[at : at + size]]]
            at += size
        if own is not None:
            if not phrases or word.chain != 1:
                phrases.append(_Phrase(word.accent))
            own.phrase = phrases[-1]
            part = own
    for mora in morae:
        if mora.part.phrase is not None:
            mora.part.phrase.morae += 1
            mora.place = mora.part.phrase.morae
    return phones


def marked(words: Sequence[Word]) -> list[str]:
    """Phones and marks of words whose accents are set."""
    phones = _said(words)
    out: list[str] = []
    for number, phone in enumerate(phones):
        following = phones[number + 1] if number + 1 < len(phones) else None
        out.append(phone.name)
        if phone.mora is None or phone.mora.part.phrase is None:
            continue
        phrase = phone.mora.part.phrase
        place = min(phone.mora.place, MOST_MORAE)
        # no mora follows a pause or the end
        next_place = 0
        if following is not None and following.mora is not None:
            next_place = min(following.mora.place, MOST_MORAE)
        distance = phone.mora.place - (phrase.accent or phrase.morae)
        if phone.mora.place == phrase.morae and next_place == 1 and phone.name in ENDINGS:
            out.append(BORDER)
        elif distance == 0 and next_place == place + 1 and place != min(phrase.morae, MOST_MORAE):
            out.append(FALL)
        elif place == 1 and next_place == 2:
            out.append(RISE)
    return out


def pronounce(text: str, dictionary: Dictionary | None = None) -> list[str]:
    """Phones and marks of a piece of text (kana, kanji, full-width letters and digits; no spaces, no punctuation)."""
    words = numbered(words_of(morphemes(dictionary or shipped(), text)))
    phrase(words)
    accentuate(words)
    return marked(words)
