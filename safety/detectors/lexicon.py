"""Finds lists of phrases, and regular expressions, in a normalised text. Nothing a text or a pack says can explode.

A phrase is looked up by its first letters at each place where a word may begin, so the cost follows the length of the
text and not the number of phrases. Regular expressions run in RE2, which takes time linear in the text and memory
within a bound; what it does not take (look-around, back references, too large) is no pattern here.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, compress
from typing import Final

import re2

from safety.detectors.normalise import Reading, Stream, Words, is_han, normalise, pinyin_of
from safety.detectors.spans import MAX_HITS, Hits

SHORTEST: Final = 2
"""Letters a phrase keeps at least. One Chinese character is enough: it is a word."""
LATIN_KEYS: Final = (2, 3, 5)
"""Letters by which a phrase is looked up: as many of these as it has."""
HAN_KEYS: Final = (1, 2)
"""The same of a phrase that begins with a Chinese character."""
SOUND_KEYS: Final = (5,)
"""And of pinyin, where five letters are mostly two syllables."""
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


class _Shelf:
    """Phrases by their first letters: each under the longest of the key lengths that it fills."""

    def __init__(self, keys: tuple[int, ...]) -> None:
        self._by_key: dict[int, dict[str, list[_Entry]]] = {length: {} for length in keys}

    def file(self, entry: _Entry) -> None:
        length = max(length for length in self._by_key if length <= len(entry.letters))
        self._by_key[length].setdefault(entry.letters[:length], []).append(entry)

    def at_edges(self, stream: Stream) -> Iterator[tuple[int, int, _Entry]]:
        """Where a phrase stands as whole words: (begin, end, entry), in no order."""
        letters, edges = stream.letters, stream.edges
        places = list(compress(range(len(letters)), edges))
        for length, by_key in self._by_key.items():
            if not by_key:
                continue
            for at in [at for at in places if letters[at : at + length] in by_key]:
                for entry in by_key[letters[at : at + length]]:
                    end = at + len(entry.letters)
                    if letters.startswith(entry.letters, at) and (entry.phrase.open or edges[end]):
                        yield at, end, entry


class Lexicon:
    """Named lists of phrases, made once for a pack and searched together in one pass over a text."""

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        """Raises PhraseTooShort."""
        self.names: Final = frozenset(lists)
        self._letters = _Shelf(LATIN_KEYS)
        self._han = _Shelf(HAN_KEYS)
        self._sounds = _Shelf(SOUND_KEYS)
        owners: dict[str, list[str]] = {}
        for name, phrases in lists.items():
            for written in phrases:
                owners.setdefault(written, []).append(name)
        for written, names in owners.items():
            phrase = Phrase.of(written)
            for letters in phrase.readings:
                shelf = self._han if is_han(letters[0]) else self._letters
                shelf.file(_Entry(letters, phrase, tuple(names)))
            for letters in phrase.sounds:
                self._sounds.file(_Entry(letters, phrase, tuple(names)))

    def find(self, stream: Stream) -> dict[str, Hits]:
        """Where each list has a phrase in ``stream`` as it is written."""
        return _kept(self._written(stream))

    def read(self, reading: Reading) -> list[dict[str, Hits]]:
        """Where each list has a phrase in each of the reading's streams; in the first by its sound too.

        What is found by sound is given its place in the first stream, so that a word in characters and one in pinyin
        stand beside each other.
        """
        first, *others = reading.streams
        by_sound = self._heard(reading) if reading.sound else self._sounds.at_edges(first)
        return [_kept(chain(self._written(first), by_sound)), *map(self.find, others)]

    def _written(self, stream: Stream) -> Iterable[tuple[int, int, _Entry]]:
        latin = self._letters.at_edges(stream)
        return latin if stream.letters.isascii() else chain(latin, self._han.at_edges(stream))

    def _heard(self, reading: Reading) -> Iterator[tuple[int, int, _Entry]]:
        """A short phrase counts by its sound only where a part of it was typed in Latin letters."""
        sound, begins, sounds = reading.sound, reading.words.begins, reading.words.sounds
        assert sound is not None
        for at, end, entry in self._sounds.at_edges(sound):
            if entry.phrase.han >= HOMOPHONES_FROM or not all(sound.sounded[at:end]):
                yield _placed(at, begins, sounds), _placed(end, begins, sounds), entry


def _placed(offset: int, begins: tuple[int, ...], sounds: tuple[int, ...]) -> int:
    """An offset of the stream of sounds in the first stream; inside a word it can be in Latin words alone."""
    word = bisect_right(sounds, offset) - 1
    return min(begins[word] + offset - sounds[word], begins[min(word + 1, len(begins) - 1)])


def _kept(hits: Iterable[tuple[int, int, _Entry]]) -> dict[str, Hits]:
    found: dict[str, list[tuple[int, int]]] = {}
    for begin, end, entry in hits:
        for name in entry.names:
            found.setdefault(name, []).append((begin, end))
    return {name: Hits.of(places) for name, places in found.items()}


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
                found.append((words.word_at(begin), words.word_at(end - 1) + 1))
            if len(found) >= MAX_HITS:
                break
        return found
