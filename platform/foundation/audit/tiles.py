"""The tree as static files that any web server can hand out: tiles and entry bundles (c2sp.org/tlog-tiles). Pure.

A tile holds up to 256 neighbouring hashes of every eighth level of the tree: ``tile/0/000`` the first 256 leaf hashes,
``tile/1/000`` the roots of the first 256 full tiles below it, and so on. A full tile never changes. The one at the
right edge is partial, and its width is part of its name. A bundle ``tile/entries/…`` holds the leaves themselves.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from foundation.audit import merkle

HEIGHT: Final = 8
"""Levels of the tree in one tile."""

WIDTH: Final = 1 << HEIGHT
"""Hashes in a full tile."""

FULL_SIZE: Final = WIDTH * merkle.HASH_SIZE
"""Bytes of a full tile."""

MAX_LEVEL: Final = 63
"""The highest level the specification names; a tree of 2^63 leaves ends at level 7."""

MAX_ENTRY: Final = 0xFFFF
"""Bytes of an entry: its length is written in two."""

MAX_BUNDLE: Final = WIDTH * (2 + MAX_ENTRY)
"""Bytes of the largest bundle."""

Fetch = Callable[[str], bytes | None]
"""``path -> bytes`` of a published file, None when it is not there."""

_PATH = re.compile(r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class BadTile(ValueError):
    """A path that names no tile, or bytes that are none; the message says which."""


@dataclass(frozen=True, slots=True)
class Tile:
    """``width`` hashes of tree level ``8 * level``, from position ``256 * index``."""

    level: int
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if not (0 <= self.level <= MAX_LEVEL and self.index >= 0 and 1 <= self.width <= WIDTH):
            raise BadTile(f"no tile has level {self.level}, index {self.index}, width {self.width}")

    @property
    def path(self) -> str:
        """``tile/<L>/<N>[.p/<W>]``."""
        return _path(str(self.level), self)

    @property
    def entries_path(self) -> str:
        """``tile/entries/<N>[.p/<W>]``: where the leaves of this level-0 tile lie."""
        if self.level:
            raise BadTile("only level 0 has entries")
        return _path("entries", self)


def parse_path(path: str) -> tuple[Tile, bool]:
    """The tile that a path names, and whether it is its bundle of entries. Raises BadTile for any other spelling."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise BadTile(f"{path[:80]!r} names no tile")
    kind, elements, width = found.groups()
    index = int(elements.replace("/", "").replace("x", ""))
    tile = Tile(0 if kind == "entries" else int(kind), index, WIDTH if width is None else int(width))
    # One spelling only: no partial tile of full width, no leading x000.
    if (tile.entries_path if kind == "entries" else tile.path) != path:
        raise BadTile(f"{path[:80]!r} is no tile's own spelling")
    return tile, kind == "entries"


def covering(size: int, *, since: int = 0) -> Iterator[Tile]:
    """The tiles of a tree of ``size`` leaves which a tree of ``since`` leaves did not have, lowest level first.

    Raises merkle.TreeShrank, merkle.OutsideTree.
    """
    if since < 0 or size < 0:
        raise merkle.OutsideTree(f"{since} to {size}")
    if since > size:
        raise merkle.TreeShrank(f"{since} to {size}")
    for level in range(MAX_LEVEL + 1):
        hashes, before = size >> (HEIGHT * level), since >> (HEIGHT * level)
        if not hashes:
            return
        if hashes == before:
            continue
        full, rest = divmod(hashes, WIDTH)
        for index in range(before // WIDTH, full):
            yield Tile(level, index)
        if rest:
            yield Tile(level, full, rest)


def read_tile(tile: Tile, data: bytes) -> list[bytes]:
    """The hashes in a tile's bytes. Raises BadTile when the length is another than the tile's."""
    if len(data) != tile.width * merkle.HASH_SIZE:
        raise BadTile(f"{tile.path}: {len(data)} bytes, not {tile.width * merkle.HASH_SIZE}")
    return [data[start : start + merkle.HASH_SIZE] for start in range(0, len(data), merkle.HASH_SIZE)]


def write_entries(entries: Sequence[bytes]) -> bytes:
    """The bundle of up to 256 leaves. Raises BadTile for more, or a leaf above 65,535 bytes."""
    if not 1 <= len(entries) <= WIDTH or any(len(entry) > MAX_ENTRY for entry in entries):
        raise BadTile("a bundle holds 1 to 256 entries of at most 65,535 bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def read_entries(tile: Tile, data: bytes) -> list[bytes]:
    """The leaves in a bundle's bytes. Raises BadTile when they are not exactly ``tile.width``."""
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < tile.width:
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise BadTile(f"{tile.entries_path}: cut off in entry {len(entries)}")
        entries.append(data[at + 2 : end])
        at = end
    if len(entries) != tile.width or at != len(data):
        raise BadTile(f"{tile.entries_path}: not {tile.width} entries")
    return entries


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of neighbouring hashes: what a full tile hands up to the level above."""
    row = list(hashes)
    if not row or len(row) & (len(row) - 1):
        raise BadTile(f"{len(row)} hashes are no perfect subtree")
    while len(row) > 1:
        row = [merkle.node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


class TileTree:
    """The hashes of a published tree, for ``merkle.root`` and the proofs. Tiles are fetched once and kept.

    Nothing read here is trusted: whoever asks compares the root, or the proof, with a signed checkpoint.
    """

    def __init__(self, fetch: Fetch, size: int) -> None:
        self.size = size
        self._fetch = fetch
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def __call__(self, level: int, position: int) -> bytes:
        """The root of the perfect subtree, as a ``merkle.Reader``. Raises BadTile for a tile missing or malformed."""
        tile_level, inside = divmod(level, HEIGHT)
        first = position << inside
        hashes = self.hashes(tile_level, first // WIDTH)
        at = first % WIDTH
        return root_of(hashes[at : at + (1 << inside)])

    def hashes(self, level: int, index: int) -> list[bytes]:
        """The hashes of a tile of this tree; a partial one may have been replaced by its full tile since."""
        if (level, index) not in self._tiles:
            width = min(WIDTH, (self.size >> (HEIGHT * level)) - index * WIDTH)
            tile = Tile(level, index, width)
            for named in dict.fromkeys((tile, Tile(level, index))):
                data = self._fetch(named.path)
                if data is not None:
                    self._tiles[level, index] = read_tile(named, data)[:width]
                    break
            else:
                raise BadTile(f"{tile.path}: missing")
        return self._tiles[level, index]

    def forget(self, level: int, index: int) -> None:
        """Drops a tile: a walk over a whole log keeps constant memory."""
        self._tiles.pop((level, index), None)


def _path(kind: str, tile: Tile) -> str:
    digits = str(tile.index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
    number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    partial = "" if tile.width == WIDTH else f".p/{tile.width}"
    return f"tile/{kind}/{number}{partial}"
