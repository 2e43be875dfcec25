"""Reading every user text frame of an MP3, repeated ones too.

mutagen joins frames of one description, so it cannot tell one AIGC label from two; the law counts them.
"""

from __future__ import annotations

from collections.abc import Iterator

#: Encodings of ID3v2 text frames, with the size of their terminator.
_ENCODINGS = {0: ("latin-1", 1), 1: ("utf-16", 2), 2: ("utf-16-be", 2), 3: ("utf-8", 1)}


class Id3Error(ValueError):
    """The tag is malformed or in a form that is not read here (v2.2, unsynchronised, extended header)."""


def user_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Description and text of each TXXX frame of all ID3v2.3 and v2.4 tags in front of the sound. Raises Id3Error."""
    at = 0
    while data[at : at + 3] == b"ID3":
        if at + 10 > len(data):
            raise Id3Error("the tag is cut short")
        version, flags, size = data[at + 3], data[at + 5], _syncsafe(data[at + 6 : at + 10])
        if version not in (3, 4) or flags & ~0x20:  # 0x20: experimental, changes nothing
            raise Id3Error("the tag is of a version or form that is not read here")
        end = at + 10 + size
        if end > len(data):
            raise Id3Error("the tag is longer than the file")
        yield from _frames(data[at + 10 : end], version)
        at = end


def _frames(body: bytes, version: int) -> Iterator[tuple[str, str]]:
    at = 0
    while at + 10 <= len(body) and body[at]:
        raw = body[at + 4 : at + 8]
        size = _syncsafe(raw) if version == 4 else int.from_bytes(raw, "big")
        content = body[at + 10 : at + 10 + size]
        if len(content) != size:
            raise Id3Error("a frame is longer than its tag")
        if body[at : at + 4] == b"TXXX":
            if body[at + 9]:
                raise Id3Error("a text frame is compressed, encrypted or unsynchronised")
            yield _user_text(content)
        at += 10 + size


def _user_text(content: bytes) -> tuple[str, str]:
    if not content or content[0] not in _ENCODINGS:
        raise Id3Error("a text frame has no known encoding")
    name, width = _ENCODINGS[content[0]]
    rest, end = content[1:], 0
    while rest[end : end + width] != b"\0" * width:
        end += width
        if end >= len(rest):
            raise Id3Error("a user text frame has no description")
    try:
        return rest[:end].decode(name), rest[end + width :].decode(name).rstrip("\0")
    except UnicodeDecodeError as error:
        raise Id3Error("a text frame is not in its encoding") from error


def _syncsafe(raw: bytes) -> int:
    if any(byte & 0x80 for byte in raw):
        raise Id3Error("a size is not syncsafe")
    return raw[0] << 21 | raw[1] << 14 | raw[2] << 7 | raw[3]
