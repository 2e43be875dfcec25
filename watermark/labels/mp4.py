"""The AIGC label of an M4A: ``moov.udta.meta`` with its key in ``keys`` and its text in ``ilst`` (TC260-PG-202510A).

QuickTime's metadata layout (handler ``mdta``): ``keys`` lists names, each item of ``ilst`` is named by its number in
that list and holds a ``data`` box of type 1 (UTF-8). mutagen and iTunes use another place (``----``), not this one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

#: Boxes of one level that are read; more is no sound file.
MAX_BOXES = 10_000
UTF8 = 1


class Mp4Error(ValueError):
    """The file's boxes are malformed, or in a layout that a label cannot be added to."""


def items(data: bytes) -> list[tuple[str, str]]:
    """Names and texts of all UTF-8 items in ``moov.udta.meta`` and ``moov.meta``, in order. Raises Mp4Error."""
    found: list[tuple[str, str]] = []
    moovs = list(_named(data, b"moov"))
    if not moovs:
        raise Mp4Error("the file has no moov box")
    for _, moov in moovs:
        metas = [meta for _, udta in _named(moov, b"udta") for _, meta in _named(udta, b"meta")]
        for meta in [*metas, *(meta for _, meta in _named(moov, b"meta"))]:
            found += _items(meta)
    return found


def with_item(data: bytes, name: str, text: str) -> bytes:
    """``data`` with one more item. ``moov`` must be the last box: nothing that its offsets point at then moves.

    Raises Mp4Error.
    """
    boxes = list(_boxes(data))
    if not boxes or boxes[-1][1] != b"moov":
        raise Mp4Error("the moov box is not the last one")
    at, _, moov = boxes[-1]
    children = list(_boxes(moov))
    if any(kind == b"meta" for _, kind, _ in children):
        raise Mp4Error("the file has metadata in another place already")
    kept = b"".join(_box(kind, body) for _, kind, body in children if kind != b"udta")
    # What the encoder wrote there (its own name) would be a second `meta` beside ours.
    others = b"".join(
        _box(kind, body) for _, udta in _named(moov, b"udta") for _, kind, body in _boxes(udta) if kind != b"meta"
    )
    return data[:at] + _box(b"moov", kept + _box(b"udta", others + _meta(name, text)))


def _meta(name: str, text: str) -> bytes:
    handler = _box(b"hdlr", b"\0" * 8 + b"mdta" + b"\0" * 12 + b"\0")
    key = name.encode()
    keys = _box(b"keys", struct.pack(">II", 0, 1) + struct.pack(">I4s", 8 + len(key), b"mdta") + key)
    value = _box(b"data", struct.pack(">II", UTF8, 0) + text.encode())
    return _box(b"meta", b"\0" * 4 + handler + keys + _box(b"ilst", _box(struct.pack(">I", 1), value)))


def _items(meta: bytes) -> Iterator[tuple[str, str]]:
    # ISO's meta is a full box (four bytes of version and flags); QuickTime's is not.
    body = meta if meta[4:8] == b"hdlr" else meta[4:]
    names: list[str] = []
    for _, keys in _named(body, b"keys"):
        names += _keys(keys)
    for _, ilst in _named(body, b"ilst"):
        for _, kind, item in _boxes(ilst):
            number = struct.unpack(">I", kind)[0]
            for _, value in _named(item, b"data"):
                if 1 <= number <= len(names) and len(value) >= 8 and struct.unpack_from(">I", value)[0] == UTF8:
                    yield names[number - 1], value[8:].decode("utf-8", "replace")


def _keys(body: bytes) -> list[str]:
    names, at = [], 8
    while at + 8 <= len(body):
        size = struct.unpack_from(">I", body, at)[0]
        if size < 8 or at + size > len(body):
            raise Mp4Error("the list of keys is cut short")
        names.append(body[at + 8 : at + size].decode("utf-8", "replace"))
        at += size
    return names


def _named(data: bytes, name: bytes) -> Iterator[tuple[int, bytes]]:
    return ((at, body) for at, kind, body in _boxes(data) if kind == name)


def _boxes(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Offset, kind and body of each box of one level. Raises Mp4Error when they do not fill ``data`` exactly."""
    at = count = 0
    while at < len(data):
        if at + 8 > len(data) or count >= MAX_BOXES:
            # udta may end in four zero bytes (QuickTime's terminator).
            if data[at:] == b"\0" * 4:
                return
            raise Mp4Error("the file ends inside a box")
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1 and at + 16 <= len(data):
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        elif size == 0:
            size = len(data) - at
        if size < head or at + size > len(data):
            raise Mp4Error("a box is longer than what holds it")
        yield at, kind, data[at + head : at + size]
        at += size
        count += 1


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body
