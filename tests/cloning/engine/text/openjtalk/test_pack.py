import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cloning.engine.errors import TextError
from cloning.engine.text.openjtalk.dictionary import SHIPPED, Dictionary
from cloning.engine.text.openjtalk.pack import HEADER, MAGIC, compiled, pack


def trie(words: dict[str, tuple[int, int]]) -> np.ndarray:
    """A double array as MeCab writes it, one state after the other without reuse of room."""
    units = np.zeros(1 << 18, dtype=[("base", "<i4"), ("check", "<u4")])
    free = 1
    states = [("", 0)]
    names = {name.encode(): value for name, value in words.items()}
    while states:
        prefix, place = states.pop()
        base, free = free, free + 257
        units[place]["base"] = base
        start = bytes.fromhex(prefix)
        if start in names:
            first, count = names[start]
            units[base] = (-((first << 8 | count) + 1), base)
        for letter in sorted({name[len(start)] for name in names if name.startswith(start) and name != start}):
            units[base + letter + 1]["check"] = base
            states.append((start.hex() + f"{letter:02x}", base + letter + 1))
    return units[:free]


def write(path: Path, entries: list[tuple[str, int, int, int, str]]) -> None:
    surfaces: dict[str, tuple[int, int]] = {}
    tokens, features = b"", b""
    for number, (surface, left, right, cost, feature) in enumerate(entries):
        first, count = surfaces.get(surface, (number, 0))
        surfaces[surface] = (first, count + 1)
        tokens += struct.pack("<HHHhII", left, right, 0, cost, len(features), 0)
        features += feature.encode() + b"\0"
    units = trie(surfaces).tobytes()
    body = units + tokens + features
    size = HEADER.size + len(body)
    head = (size ^ MAGIC, 102, 0, len(entries), 3, 3, len(units), len(tokens), len(features), 0, b"utf-8")
    path.write_bytes(HEADER.pack(*head) + body)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tail = "*,*,*,*,*,{0},{1},{2},0/1,C1"
    write(
        tmp_path / "sys.dic",
        [
            ("あ", 1, 2, -5, "感動詞," + tail.format("あ", "ア", "ア")),
            ("あ", 2, 2, 7, "名詞," + tail.format("亜", "ア", "アー")),
            ("あい", 1, 1, 300, "名詞," + tail.format("あい", "アイ", "アイ")),
            ("い", 0, 0, 0, "名詞," + tail.format("い", "イ", "イ")),
        ],
    )
    write(tmp_path / "unk.dic", [("DEFAULT", 1, 1, 9, "記号,一般,*,*,*,*,*")])
    (tmp_path / "matrix.bin").write_bytes(np.array([3, 3, *range(9)], dtype="<i2").tobytes())
    kinds = struct.pack("<I32s", 1, b"DEFAULT") + np.full(0xFFFF, 1 | 1 << 30, dtype="<u4").tobytes()
    (tmp_path / "char.bin").write_bytes(kinds)
    return tmp_path


def test_packing_keeps_every_entry(source: Path) -> None:
    pack(source, source / "packed.zip")
    packed = Dictionary(source / "packed.zip")
    rows = compiled(source / "sys.dic")
    assert [row.surface for row in rows] == ["あ", "あ", "あい", "い"]
    for row in rows:
        entries, _ = packed.entries(row.surface)
        assert (row.surface, row.left, row.right, row.cost, tuple(row.feature)) in entries
    assert [entry.cost for entry in packed.prefixes("あいう", 0)] == [-5, 7, 300]
    assert packed.connections.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert packed.unknown(0, "！")[0].feature == ("記号", "一般", "*", "*", "*", "*", "*")
    assert packed.character("あ").group


def test_packing_twice_gives_the_same_bytes(source: Path) -> None:
    pack(source, source / "one.zip")
    pack(source, source / "two.zip")
    assert (source / "one.zip").read_bytes() == (source / "two.zip").read_bytes()


def test_what_is_no_dictionary_is_refused(source: Path) -> None:
    raw = (source / "sys.dic").read_bytes()
    (source / "sys.dic").write_bytes(raw[:-1])
    with pytest.raises(TextError, match="dictionary_damaged"):
        compiled(source / "sys.dic")


def test_the_shipped_dictionary_is_whole() -> None:
    with zipfile.ZipFile(SHIPPED) as archive:
        assert archive.testzip() is None
        assert len([name for name in archive.namelist() if name.startswith("blocks/")]) == len(Dictionary()._first)
