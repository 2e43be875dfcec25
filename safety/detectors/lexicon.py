"""Finds lists of phrases, and regular expressions, in a normalised text. Nothing a text or a pack says can explode.

A phrase is looked up by its first letters at each place where a word may begin, all places at once, so the cost
follows the length of the text and not the number of phrases (see `shelves`). Regular expressions run in RE2, which
takes time linear in the text and memory within a bound; what it does not take (look-around, back references, too
large) is no pattern here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import re2
from numpy.typing import NDArray

from safety.detectors.folding import is_han
from safety.detectors.normalise import Reading, Stream, Words, normalise, pinyin_of
from safety.detectors.shelves import Entry, Found, Shelf
from safety.detectors.spans import Hits, Packed, each_once, on_one_ground, pack

SHORTEST: Final = 2
"""Letters a phrase keeps at least. One Chinese character is enough: it is a word."""
LATIN_KEYS: Final = (2, 3, 5)
"""Letters by which a phrase is looked up: as many of these as it has."""
HAN_KEYS: Final = (1, 2)
"""The same of a phrase that begins with a Chinese character."""
SOUND_KEY: Final = 5
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


class Lexicon:
    """Named lists of phrases, made once for a pack and searched together in one pass over a text."""

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        """Raises PhraseTooShort."""
        self.names: Final = frozenset(lists)
        self._order: Final = sorted(lists)
        number = {name: at for at, name in enumerate(self._order)}
        owners: dict[str, list[int]] = {}
        for name, phrases in lists.items():
            for written in phrases:
                owners.setdefault(written, []).append(number[name])
        letters: list[tuple[Entry, int]] = []
        sounds: list[tuple[Entry, int]] = []
        for written, names in owners.items():
            phrase = Phrase.of(written)
            for one in phrase.readings:
                keys = HAN_KEYS if is_han(one[0]) else LATIN_KEYS
                key = max(length for length in keys if length <= len(one))
                letters.append((Entry(one, phrase.open, tuple(names)), key))
            for one in phrase.sounds:
                entry = Entry(one, phrase.open, tuple(names), by_sound_alone=phrase.han >= HOMOPHONES_FROM)
                sounds.append((entry, SOUND_KEY))
        self._letters = Shelf(letters)
        self._sounds = Shelf(sounds)

    def find(self, stream: Stream) -> dict[str, Hits]:
        """Where each list has a phrase in ``stream`` as it is written."""
        return on_one_ground(self._by_list([self._letters.find(stream)]))

    def read(self, reading: Reading) -> list[dict[str, Hits]]:
        """Where each list has a phrase in each of the reading's streams; in the first by its sound too."""
        return [on_one_ground(lists) for lists in self.places(reading)]

    def places(self, reading: Reading) -> list[dict[str, Packed]]:
        """As `read`, but as numbers (`spans.pack`), in order and each once, however many.

        What is found by sound is given its place in the first stream, so that a word in characters and one in pinyin
        stand beside each other.
        """
        first, *others = reading.streams
        by_sound = self._sounds.find(first) if reading.sound is None else self._heard(reading.sound, reading.words)
        return [
            self._by_list([self._letters.find(first), by_sound]),
            *(self._by_list([self._letters.find(other)]) for other in others),
        ]

    def _heard(self, sound: Stream, words: Words) -> Found:
        """A short phrase counts by its sound only where a part of it was typed in Latin letters."""
        found = self._sounds.find(sound)
        spoken = np.zeros(len(sound.sounded) + 1, np.int64)  # letters before each place that stand for a character
        np.cumsum(np.frombuffer(sound.sounded, np.uint8), out=spoken[1:])
        typed = spoken[found.ends] - spoken[found.begins] < found.ends - found.begins
        found = found.only(typed | self._sounds.by_sound_alone[found.entries])
        return Found(_placed(found.begins, words), _placed(found.ends, words), found.entries, found.names)

    def _by_list(self, parts: Sequence[Found]) -> dict[str, Packed]:
        owners, packed = [], []
        if not any(len(found.begins) for found in parts):
            return {}
        for found in parts:
            owner, at = found.owners()
            owners.append(owner)
            packed.append(pack(found.begins[at], found.ends[at]))
        # Few lists, small numbers: those numpy sorts by their digits.
        all_owners = np.concatenate(owners).astype(np.min_scalar_type(len(self._order)))
        all_packed = np.concatenate(packed)
        order = np.argsort(all_packed)
        order = order[np.argsort(all_owners[order], kind="stable")]
        all_owners, all_packed = all_owners[order], all_packed[order]
        bounds = np.searchsorted(all_owners, np.arange(len(self._order) + 1))
        lists = {}
        for number, (begin, end) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
            if begin < end:
                lists[self._order[number]] = each_once(all_packed[begin:end])
        return lists


def _placed(offsets: NDArray[Any], words: Words) -> NDArray[Any]:
    """Offsets of the stream of sounds in the first stream; inside a word they can be in Latin words alone."""
    word = np.searchsorted(words.sounds, offsets, "right") - 1
    behind = words.begins[np.minimum(word + 1, len(words.begins) - 1)]
    return np.minimum(words.begins[word] + offsets - words.sounds[word], behind)


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
            compiled = re2.compile(written.encode(), options)  # offsets in bytes cost no counting
        except re2.error as error:
            raise RegexRefused(str(error)) from error
        if compiled.search(b"") is not None:
            raise RegexRefused("the pattern matches the empty text")
        return cls(compiled)

    def find(self, words: Words) -> NDArray[np.int64]:
        """Which words match: pairs (first, behind the last), in order; they do not overlap, so the words bound them."""
        spans = (match.span() for match in self.compiled.finditer(words.encoded))
        some = [span for span in spans if span[0] < span[1]]
        if not some:
            return np.zeros((0, 2), np.int64)
        found = np.array(some, np.int64)
        return np.stack([words.at(found[:, 0]), words.at(found[:, 1] - 1) + 1], axis=1)
