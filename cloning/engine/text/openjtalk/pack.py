"""Make the packed dictionary from a folder with a compiled MeCab dictionary (sys.dic, unk.dic, matrix.bin, char.bin).

`data/naist_jdic_1.11.zip` was made by this function from Debian's package open-jtalk-mecab-naist-jdic 1.11-3, which is
`mecab-naist-jdic` of Open JTalk 1.11 (BSD licence, included as COPYING) compiled for UTF-8.

The archive holds `about.json` (connection classes and parts of speech, accents, first surface of every block, unknown
words), `matrix.bin` and `characters.bin` as MeCab has them, and blocks of about 512 entries sorted by surface. A block
is seven lines of tab-separated columns: surface (one character for the number of characters shared with the entry
before, counted from "0", then the rest), place in `heads`, cost, base form (empty = surface), reading, pronunciation
(empty = reading), place in `accents`.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cloning.engine.errors import TextError

#: MeCab's file format: ten numbers, then the character set in 32 bytes.
HEADER = struct.Struct("<10I32s")
MAGIC = 0xEF718F77
BLOCK = 512
#: Everything in the archive carries this time, so that packing twice gives the same bytes.
WHEN = (2012, 12, 25, 0, 0, 0)


class Row(NamedTuple):
    """surface, connection classes, cost, feature columns."""

    surface: str
    left: int
    right: int
    cost: int
    feature: list[str]


def compiled(path: Path) -> list[Row]:
    """All entries of a compiled dictionary, sorted by surface; entries of one surface keep their order."""
    raw = path.read_bytes()
    magic, _, _, _, _, _, trie_bytes, token_bytes, feature_bytes, _, charset = HEADER.unpack_from(raw)
    if magic ^ MAGIC != len(raw) or charset.rstrip(b"\0").upper() != b"UTF-8":
        raise TextError("dictionary_damaged", f"{path.name} is not a compiled MeCab dictionary in UTF-8.")
    at = HEADER.size
    trie = np.frombuffer(raw, dtype=[("base", "<i4"), ("check", "<u4")], count=trie_bytes // 8, offset=at)
    token = [("left", "<u2"), ("right", "<u2"), ("pos", "<u2"), ("cost", "<i2"), ("feature", "<u4"), ("more", "<u4")]
    tokens = np.frombuffer(raw, dtype=token, count=token_bytes // 16, offset=at + trie_bytes)
    start = at + trie_bytes + token_bytes
    features = raw[start : start + feature_bytes]
    rows = []
    for surface, first, count in _words(trie["base"], trie["check"]):
        for entry in tokens[first : first + count]:
            offset = int(entry["feature"])
            feature = features[offset : features.index(b"\0", offset)].decode("utf-8").split(",")
            rows.append(Row(surface, int(entry["left"]), int(entry["right"]), int(entry["cost"]), feature))
    return sorted(rows, key=lambda row: row.surface)


def _words(base: np.ndarray, check: np.ndarray) -> list[tuple[str, int, int]]:
    """Surfaces of a double-array trie with the place and number of their entries, found from the leaves upwards."""
    places = np.arange(len(base))
    parents = check.tolist()
    node = {int(base[p]): int(p) for p in np.nonzero((check > 0) | (places == 0))[0]}
    root = int(base[0])
    found = []
    for leaf in np.nonzero((base < 0) & (check == places))[0].tolist():
        value = -int(base[leaf]) - 1
        letters = bytearray()
        at = leaf
        while at != root:
            child = node[at]
            letters.append(child - parents[child] - 1)
            at = parents[child]
        found.append((bytes(reversed(letters)).decode("utf-8"), value >> 8, value & 0xFF))
    return found


def _common(rows: list[tuple[object, ...]]) -> dict[tuple[object, ...], int]:
    return {key: place for place, (key, _) in enumerate(Counter(rows).most_common())}


def pack(folder: Path, target: Path) -> None:
    """Pack the compiled dictionary in `folder` into the archive `target`. The same input gives the same bytes.

    Raises TextError (dictionary_damaged).
    """
    rows = compiled(folder / "sys.dic")
    heads = _common([(row.left, row.right, *row.feature[:6]) for row in rows])
    accents = _common([tuple(row.feature[9:11]) for row in rows])
    blocks: list[list[Row]] = []
    for row in rows:
        if not blocks or (len(blocks[-1]) >= BLOCK and blocks[-1][-1].surface != row.surface):
            blocks.append([])
        blocks[-1].append(row)
    characters = (folder / "char.bin").read_bytes()
    names = [
        characters[4 + 32 * n : 36 + 32 * n].split(b"\0")[0].decode()
        for n in range(int.from_bytes(characters[:4], "little"))
    ]
    unknown = compiled(folder / "unk.dic")
    about = {
        "heads": list(heads),
        "accents": list(accents),
        "first": [block[0].surface for block in blocks],
        "unknown": [[row[1:] for row in unknown if row.surface == name] for name in names],
    }
    with zipfile.ZipFile(target, "w") as archive:

        def add(name: str, content: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(name, WHEN), content, zipfile.ZIP_DEFLATED, 9)

        for licence in ("COPYING", "copyright"):
            if (folder / licence).is_file():
                add(licence, (folder / licence).read_bytes())
        add("about.json", json.dumps(about, ensure_ascii=False, separators=(",", ":")).encode())
        add("matrix.bin", (folder / "matrix.bin").read_bytes())
        add("characters.bin", characters)
        for number, block in enumerate(blocks):
            add(f"blocks/{number:05d}", _columns(block, heads, accents).encode())


def _columns(block: list[Row], heads: dict[tuple[object, ...], int], accents: dict[tuple[object, ...], int]) -> str:
    lines = []
    before = ""
    for row in block:
        shared = next((n for n, (a, b) in enumerate(zip(before, row.surface, strict=False)) if a != b), None)
        shared = min(len(before), len(row.surface)) if shared is None else shared
        before = row.surface
        base, reading, pronunciation, *accent = row.feature[6:]
        lines.append(
            (
                chr(48 + shared) + row.surface[shared:],
                str(heads[(row.left, row.right, *row.feature[:6])]),
                str(row.cost),
                "" if base == row.surface else base,
                reading,
                "" if pronunciation == reading else pronunciation,
                str(accents[tuple(accent)]),
            )
        )
    return "\n".join("\t".join(column) for column in zip(*lines, strict=True))
