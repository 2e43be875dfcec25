"""Finds lists of phrases, and regular expressions, in a normalised text. Nothing a text or a pack says can explode.

A phrase is looked up by its first letters at each place where a word may begin, so the cost follows the length of the
text and not the number of phrases. Regular expressions run in RE2, which takes time linear in the text and memory
within a bound; what it does not take (look-around, back references, too large) is no pattern here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import re2

from safety.detectors.normalise import Stream, Words, is_han, normalise, pinyin_of
from safety.detectors.spans import MAX_HITS, Hits

SHORTEST: Final = 2
"""Letters a phrase keeps at least. One Chinese character is enough: it is a word."""
KEY: Final = 3
"""Letters by which a phrase is looked up."""
HOMOPHONES_FROM: Final = 3
"""Chinese characters from which a phrase is found by its sound alone. A shorter one has too many innocent homophones:
it counts only where a part of it was typed in Latin letters."""
SHORTEST_SOUND: Final = 5
"""Letters of pinyin a phrase needs to be found by its sound."""
MAX_REGEX: Final = 500
"""Characters of a regular expression."""
REGEX_MEMORY: Final = 1 << 20
"""Bytes RE2 may spend on one pattern."""


class PhraseTooShort(ValueError):
    """After normalising, too little of the phrase is left: it would match almost anything."""


class RegexRefused(ValueError):
    """The bounded engine does not take this regular expression."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase as its normalised letters; a symbol in it may give it two readings. ``sounds``: its pinyin, of Chinese.

    ``open``: written with a star at its end, it may go on ("transfer*" finds "transferring"). ``han``: its Chinese
    characters.
    """

    readings: tuple[str, ...]
    sounds: tuple[str, ...] = ()
    open: bool = False
    han: int = 0

    @classmethod
    def of(cls, written: str) -> "Phrase":
        """Raises PhraseTooShort."""
        return _phrase(written)


@lru_cache(maxsize=20_000)
def _phrase(written: str) -> Phrase:
    """Packs follow one another and share most of their phrases."""
    stem = written.removesuffix("*")
    readings = tuple(dict.fromkeys(stream.letters for stream in normalise(stem)))
    if any(len(letters) < SHORTEST and not is_han(letters) for letters in readings):
        raise PhraseTooShort(written)
    han = sum(is_han(char) for char in readings[0])
    return Phrase(readings, _sounds(readings[0]) if han >= SHORTEST else (), stem != written, han)


def _sounds(letters: str) -> tuple[str, ...]:
    """The pinyin as spoken in context, and character by character as a text is read (see `normalise`)."""
    from pypinyin import lazy_pinyin

    spoken = "".join(lazy_pinyin(letters))
    single = "".join(pinyin_of(char) if is_han(char) else char for char in letters)
    folded = [normalise(one)[0].letters for one in (spoken, single)]
    return tuple(dict.fromkeys(one for one in folded if len(one) >= SHORTEST_SOUND))


@dataclass(frozen=True, slots=True)
class _Entry:
    letters: str
    phrase: Phrase
    names: tuple[str, ...]


class Lexicon:
    """Named lists of phrases, made once for a pack and searched together in one pass over a text."""

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        """Raises PhraseTooShort."""
        self.names: Final = frozenset(lists)
        self._letters: dict[str, list[_Entry]] = {}
        self._sounds: dict[str, list[_Entry]] = {}
        owners: dict[str, list[str]] = {}
        for name, phrases in lists.items():
            for written in phrases:
                owners.setdefault(written, []).append(name)
        for written, names in owners.items():
            phrase = Phrase.of(written)
            for letters in phrase.readings:
                _file(self._letters, _Entry(letters, phrase, tuple(names)))
            for letters in phrase.sounds:
                _file(self._sounds, _Entry(letters, phrase, tuple(names)))

    def find(self, stream: Stream, *, sound: bool = False) -> dict[str, Hits]:
        """Where each list has a phrase in ``stream``: at most MAX_HITS each, in order. ``sound``: by pinyin too."""
        found: dict[str, Hits] = {}
        letters, edges = stream.letters, stream.edges
        shelves = (self._letters, self._sounds) if sound else (self._letters,)
        firsts = [frozenset(key[0] for key in shelf) for shelf in shelves]
        for at, letter in enumerate(letters):
            if not edges[at]:
                continue
            for shelf, first in zip(shelves, firsts, strict=True):
                if letter not in first:
                    continue
                for length in range(1, KEY + 1):
                    for entry in shelf.get(letters[at : at + length], ()) if at + length <= len(letters) else ():
                        if len(entry.letters) < KEY and len(entry.letters) != length:
                            continue
                        end = at + len(entry.letters)
                        if not letters.startswith(entry.letters, at) or not (entry.phrase.open or edges[end]):
                            continue
                        if not _heard(entry.phrase, stream, at, end, by_sound=shelf is self._sounds):
                            continue
                        for name in entry.names:
                            hits = found.setdefault(name, [])
                            if len(hits) < MAX_HITS:
                                hits.append((at, end))
        return found


def _file(shelf: dict[str, list[_Entry]], entry: _Entry) -> None:
    shelf.setdefault(entry.letters[:KEY], []).append(entry)


def _heard(phrase: Phrase, stream: Stream, begin: int, end: int, *, by_sound: bool) -> bool:
    """In a stream of sounds, the pinyin of a character is no Latin word ("ma" is no mother), and a short phrase counts
    by its sound only where a part of it was typed in Latin letters."""
    if not stream.sounded:
        return True
    sounded = stream.sounded[begin:end]
    if not by_sound:
        return not any(sounded)
    return phrase.han >= HOMOPHONES_FROM or not all(sounded)


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression over the words of a text (lower case, one space between, no punctuation)."""

    compiled: "re2._Regexp"

    @classmethod
    def of(cls, written: str) -> "Regex":
        """Raises RegexRefused."""
        if not 0 < len(written) <= MAX_REGEX:
            raise RegexRefused(f"a pattern has 1 to {MAX_REGEX} characters")
        options = re2.Options()
        options.max_mem = REGEX_MEMORY
        options.log_errors = False
        try:
            compiled = re2.compile(written, options)
        except re2.error as error:
            raise RegexRefused(str(error)) from error
        if compiled.search("") is not None:
            raise RegexRefused("the pattern matches the empty text")
        return cls(compiled)

    def find(self, words: Words) -> list[tuple[int, int]]:
        """Which words match: at most MAX_HITS pairs (first, behind the last), in order."""
        found: list[tuple[int, int]] = []
        for match in self.compiled.finditer(words.text):
            begin, end = match.span()
            if end > begin:
                found.append((words.word_at[begin], words.word_at[end - 1] + 1))
            if len(found) >= MAX_HITS:
                break
        return found
