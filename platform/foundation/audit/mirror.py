"""Checking a published tile folder as a whole: every tile against the one below, the leaves against the root. Pure.

``leaves`` gives what ``rebuild`` compares with the signed checkpoints; ``higher`` compares the tiles above level 0,
which the root alone does not need, but which proofs are made from.
"""

from collections.abc import Iterator

from foundation.audit import tiles
from foundation.audit.rebuild import MAX_FINDINGS, ExportedLeaf
from foundation.audit.tiles import WIDTH, BadTile, Fetch, Tile


def leaves(fetch: Fetch, size: int) -> Iterator[ExportedLeaf]:
    """The leaves of a tree of ``size``, with their bodies where the bundles are there. Raises BadTile."""
    tree = tiles.TileTree(fetch, size)
    bodies_from = fetch(_bottom(0, size).entries_path) is not None if size else False
    for index in range(-(-size // WIDTH)):
        hashes = tree.hashes(0, index)
        tree.forget(0, index)
        bodies: list[bytes] | list[None] = [None] * len(hashes)
        if bodies_from:
            tile = _bottom(index, size)
            data = fetch(tile.entries_path)
            if data is None:
                raise BadTile(f"{tile.entries_path}: missing, though others are there")
            bodies = tiles.read_entries(tile, data)
        for offset, (hashed, body) in enumerate(zip(hashes, bodies, strict=True)):
            yield ExportedLeaf(index * WIDTH + offset, body, hashed)


def higher(fetch: Fetch, size: int) -> list[str]:
    """What is wrong above level 0: one line for each hash that is not the root of the full tile below it.

    At most ``MAX_FINDINGS``. Raises BadTile for a tile that is missing or malformed.
    """
    findings: list[str] = []
    tree = tiles.TileTree(fetch, size)
    for tile in tiles.covering(size):
        if tile.level == 0:
            continue
        hashes = tree.hashes(tile.level, tile.index)
        for offset, stated in enumerate(hashes):
            below = tile.index * WIDTH + offset
            if tiles.root_of(tree.hashes(tile.level - 1, below)) != stated:
                name = Tile(tile.level - 1, below).path
                findings.append(f"{tile.path}: hash {offset} is not the root of {name}")
            if tile.level == 1:
                tree.forget(0, below)
            if len(findings) >= MAX_FINDINGS:
                return findings
    return findings


def _bottom(index: int, size: int) -> Tile:
    return Tile(0, index, min(WIDTH, size - index * WIDTH))
