"""Tiles against the specification's own examples, against the tree itself, and bent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.audit import merkle, mirror, tiles
from foundation.audit.tiles import BadTile, Tile


class Published:
    """The files of a log of ``size`` leaves, made from the definition alone."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.bodies = [f"leaf {number}".encode() for number in range(size)]
        self.publish()

    def publish(self) -> None:
        """Makes the files from the bodies."""
        size = self.size
        self.nodes: dict[tuple[int, int], bytes] = {}
        for index, body in enumerate(self.bodies):
            value = self.nodes[0, index] = merkle.leaf_hash(body)
            for level, position in merkle.completed_by(index):
                value = self.nodes[level, position] = merkle.node_hash(self.nodes[level - 1, 2 * position], value)
        self.files: dict[str, bytes] = {}
        for tile in tiles.covering(size):
            first = tile.index * tiles.WIDTH
            self.files[tile.path] = b"".join(
                self.nodes[tile.level * tiles.HEIGHT, first + offset] for offset in range(tile.width)
            )
            if tile.level == 0:
                self.files[tile.entries_path] = tiles.write_entries(self.bodies[first : first + tile.width])

    def read(self, level: int, position: int) -> bytes:
        return self.nodes[level, position]

    def root(self) -> bytes:
        return merkle.root(self.size, self.read)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(0, 0), "tile/0/000"),
        (Tile(1, 999, 3), "tile/1/999.p/3"),
        (Tile(2, 1000), "tile/2/x001/000"),
        (Tile(63, 7, 255), "tile/63/007.p/255"),
    ],
)
def test_a_tile_has_the_path_of_the_specification(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert tiles.parse_path(path) == (tile, False)


def test_the_specifications_tree_of_seventy_thousand() -> None:
    paths = [tile.path for tile in tiles.covering(70_000)]
    assert [sum(path.startswith(f"tile/{level}/") for path in paths) for level in range(4)] == [274, 2, 1, 0]
    assert paths[273:] == ["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert [tile.path for tile in tiles.covering(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert list(tiles.covering(0)) == []


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/x000/001",
        "tile/0/1",
        "tile/0/001.p/256",
        "tile/0/001.p/0",
        "tile/64/000",
        "tile/00/000",
        "tile/0/000.p/01",
        "tile/0/../000",
        "tile/entries/x1/000",
        "checkpoint",
        "tile/0/000\n",
    ],
)
def test_another_spelling_names_no_tile(path: str) -> None:
    with pytest.raises(BadTile):
        tiles.parse_path(path)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**40), st.integers(0, 3), st.integers(1, 256), st.booleans())
def test_every_path_reads_back(index: int, level: int, width: int, entries: bool) -> None:
    tile = Tile(0 if entries else level, index, width)
    assert tiles.parse_path(tile.entries_path if entries else tile.path) == (tile, entries)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1500), st.integers(0, 1500))
def test_growing_writes_what_the_smaller_tree_lacked_and_no_more(one: int, other: int) -> None:
    small, large = sorted((one, other))
    had = {tile.path for tile in tiles.covering(small)}
    new = {tile.path for tile in tiles.covering(large, since=small)}
    assert not had & new
    assert {tile.path for tile in tiles.covering(large)} <= had | new


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 700, 1025])
def test_roots_and_proofs_come_out_of_tiles_alone(size: int) -> None:
    made = Published(size)
    read = tiles.TileTree(made.files.get, size)
    assert merkle.root(size, read) == made.root()
    for index in {0, size // 3, size - 1}:
        assert merkle.inclusion_proof(index, size, read) == merkle.inclusion_proof(index, size, made.read)
    for old in {1, size // 2, size}:
        assert merkle.consistency_proof(old, size, read) == merkle.consistency_proof(old, size, made.read)


def test_a_partial_tile_that_has_become_full_is_read_from_the_full_one() -> None:
    grown, made = Published(768), Published(600)
    files = {**made.files, **grown.files}
    del files["tile/0/002.p/88"]
    read = tiles.TileTree(files.get, 600)
    assert merkle.root(600, read) == made.root()
    assert merkle.root(300, read) == merkle.root(300, made.read)


@pytest.mark.parametrize("size", [1, 256, 700])
def test_a_mirror_gives_every_leaf_with_and_without_its_body(size: int) -> None:
    made = Published(size)
    whole = list(mirror.leaves(made.files.get, size))
    assert [leaf.body for leaf in whole] == made.bodies
    hashes = {path: data for path, data in made.files.items() if "entries" not in path}
    bare = list(mirror.leaves(hashes.get, size))
    assert [leaf.leaf_hash for leaf in bare] == [leaf.leaf_hash for leaf in whole]
    assert all(leaf.body is None for leaf in bare)
    assert mirror.higher(made.files.get, size) == []
    assert list(mirror.leaves(made.files.get, 0)) == []


def test_a_bent_bit_in_any_tile_is_found() -> None:
    """Level 0 by the root, higher levels by the tile below; every bundle by its hashes."""
    made = Published(700)
    for path, data in made.files.items():
        for at in range(0, len(data), 97):
            bent = {**made.files, path: data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]}
            assert _wrong(bent, made), (path, at)


def test_cut_longer_and_missing_files_are_named() -> None:
    made = Published(300)
    for path, data in made.files.items():
        for bent in (data[:-1], data + b"\x00", b""):
            with pytest.raises(BadTile, match=path.replace(".", r"\.")):
                _read_all({**made.files, path: bent}, 300)
    for path in made.files:
        less = {name: data for name, data in made.files.items() if name != path}
        # The first bundle gone says that this mirror has none; any other one gone is a hole.
        if path != "tile/entries/000":
            with pytest.raises(BadTile, match="missing"):
                _read_all(less, 300)


def test_entries_have_bounds() -> None:
    assert tiles.read_entries(Tile(0, 0, 2), tiles.write_entries([b"", b"x" * 65_535])) == [b"", b"x" * 65_535]
    for entries in ([], [b"x"] * 257, [b"x" * 65_536]):
        with pytest.raises(BadTile):
            tiles.write_entries(entries)
    with pytest.raises(BadTile):
        tiles.read_entries(Tile(0, 0, 2), b"\x00")


def _read_all(files: dict[str, bytes], size: int) -> None:
    list(mirror.leaves(files.get, size))
    mirror.higher(files.get, size)


def _wrong(files: dict[str, bytes], made: Published) -> bool:
    try:
        frontier = merkle.Frontier()
        changed = False
        for leaf in mirror.leaves(files.get, made.size):
            frontier.append(leaf.leaf_hash)
            changed |= leaf.body is not None and merkle.leaf_hash(leaf.body) != leaf.leaf_hash
        return changed or frontier.root() != made.root() or bool(mirror.higher(files.get, made.size))
    except BadTile:
        return True
