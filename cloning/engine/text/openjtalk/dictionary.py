"""The dictionary as this package ships it: a ZIP archive of sorted blocks, read block by block when a word needs it.

A compiled MeCab dictionary is 107 MB on disk. Packed (see `pack`) it is 9 MB, and a process that reads Japanese keeps
only the blocks it used.
"""

from __future__ import annotations

import io
import json
import threading
import zipfile
from bisect import bisect_left, bisect_right
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloning.engine.errors import TextError

#: The packed NAIST Japanese dictionary of Open JTalk 1.11.
SHIPPED = Path(__file__).resolve().parents[1] / "data" / "naist_jdic_1.11.zip"
#: No member of a real archive comes near; a larger one is refused before it is unpacked.
MOST_BYTES = 1 << 25
#: Columns of a block, one line each: see `pack`.
COLUMNS = 7


class Morpheme(NamedTuple):
    """One dictionary entry. `left`, `right`: connection classes; `cost`: its own cost; `feature`: part of speech (four
    levels), conjugation type and form, base form, reading, pronunciation, accent, accent rule, all as in the source."""

    surface: str
    left: int
    right: int
    cost: int
    feature: tuple[str, ...]


class CharacterClass(NamedTuple):
    """How unknown words start with a character. `kinds`: bit set of classes; `kind`: the one that names its unknown
    words; `length`: longest fixed length tried; `group`: also try the whole run; `always`: even beside known words."""

    kinds: int
    kind: int
    length: int
    group: bool
    always: bool


class _Block:
    """Entries between two surfaces, still as columns of text."""

    def __init__(self, text: str) -> None:
        columns = [line.split("\t") for line in text.split("\n")]
        if len(columns) != COLUMNS or len({len(column) for column in columns}) != 1:
            raise TextError("dictionary_damaged", "A block of the Japanese dictionary does not have its columns.")
        surfaces: list[str] = []
        before = ""
        for packed in columns[0]:
            before = before[: ord(packed[0]) - 48] + packed[1:]
            surfaces.append(before)
        self.surfaces = surfaces
        self.columns = columns


class Dictionary:
    """A packed dictionary. Safe to share between threads; nothing in it changes but its caches.

    Raises TextError (dictionary_missing, dictionary_damaged).
    """

    def __init__(self, path: Path = SHIPPED) -> None:
        try:
            # In memory, because processes forked from this one would share the position in an open file.
            self._archive = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
        except FileNotFoundError:
            raise TextError("dictionary_missing", f"The Japanese dictionary {path.name} is not there.") from None
        except zipfile.BadZipFile:
            raise TextError("dictionary_damaged", f"The Japanese dictionary {path.name} cannot be read.") from None
        self._lock = threading.Lock()
        about = json.loads(self._member("about.json"))
        self._heads: list[list[Any]] = about["heads"]
        self._accents: list[list[str]] = about["accents"]
        self._first: list[str] = about["first"]
        self._unknown: list[list[list[Any]]] = about["unknown"]
        self.block = lru_cache(maxsize=48)(self._block)
        self.entries = lru_cache(maxsize=1 << 14)(self._entries)

    def _member(self, name: str) -> bytes:
        try:
            info = self._archive.getinfo(name)
            if info.file_size > MOST_BYTES:
                raise TextError("dictionary_damaged", "A part of the Japanese dictionary is larger than it may be.")
            with self._lock:
                return self._archive.read(info)
        except (KeyError, zipfile.BadZipFile, EOFError):
            raise TextError("dictionary_damaged", f"The Japanese dictionary lacks its part {name}.") from None

    @cached_property
    def connections(self) -> NDArray[np.int16]:
        """Cost of a morpheme's left class (row) after another's right class (column)."""
        raw = np.frombuffer(self._member("matrix.bin"), dtype="<i2")
        right, left = int(raw[0]), int(raw[1])
        return raw[2:].reshape(left, right)

    @cached_property
    def _characters(self) -> NDArray[np.uint32]:
        raw = self._member("characters.bin")
        kinds = int.from_bytes(raw[:4], "little")
        return np.frombuffer(raw, dtype="<u4", offset=4 + 32 * kinds)

    def character(self, letter: str) -> CharacterClass:
        """The class of a character; those beyond the basic plane count as the default class, as in MeCab."""
        code = ord(letter)
        bits = int(self._characters[code if code < len(self._characters) else 0])
        return CharacterClass(
            bits & 0x3FFFF, bits >> 18 & 0xFF, bits >> 26 & 0xF, bool(bits >> 30 & 1), bool(bits >> 31)
        )

    def unknown(self, kind: int, surface: str) -> list[Morpheme]:
        """What an unknown word that starts with this class of character may be."""
        return [
            Morpheme(surface, left, right, cost, tuple(feature)) for left, right, cost, feature in self._unknown[kind]
        ]

    def _block(self, number: int) -> _Block:
        return _Block(self._member(f"blocks/{number:05d}").decode("utf-8"))

    def _entries(self, surface: str) -> tuple[tuple[Morpheme, ...], bool]:
        """Entries written exactly so, in the source's order, and whether a longer entry starts so."""
        number = bisect_right(self._first, surface) - 1
        following = self._first[number + 1] if number + 1 < len(self._first) else ""
        if number < 0:
            return (), following.startswith(surface)
        block = self.block(number)
        start, end = bisect_left(block.surfaces, surface), bisect_right(block.surfaces, surface)
        more = (block.surfaces[end] if end < len(block.surfaces) else following).startswith(surface)
        return tuple(self._morpheme(block, row) for row in range(start, end)), more

    def _morpheme(self, block: _Block, row: int) -> Morpheme:
        surface = block.surfaces[row]
        _, head, cost, base, reading, pronunciation, accent = (column[row] for column in block.columns)
        left, right, *parts = self._heads[int(head)]
        feature = (*parts, base or surface, reading, pronunciation or reading, *self._accents[int(accent)])
        return Morpheme(surface, left, right, int(cost), feature)

    def prefixes(self, text: str, start: int) -> list[Morpheme]:
        """All entries that begin at `start`, shortest first."""
        found: list[Morpheme] = []
        for end in range(start + 1, len(text) + 1):
            entries, more = self.entries(text[start:end])
            found.extend(entries)
            if not more:
                break
        return found


@lru_cache(maxsize=1)
def shipped() -> Dictionary:
    """The dictionary of this package, opened once."""
    return Dictionary()
