"""Looking for the bytes of a known recording wherever a machine could have kept them. Pure but for reading files.

A needle is a stretch of a recording in one of the spellings in which software keeps sound: 16-bit samples, 32-bit
floats, base64, hexadecimal. Resampled or re-encoded sound has other bytes: what such a search proves is that no copy
lies in the places it read, not that no trace does.
"""

import base64
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LENGTH: Final = 48
"""Bytes of a needle's stretch: 24 samples of real speech do not happen twice by chance."""
BLOCK: Final = 1 << 20
"""Bytes read at a time."""


@dataclass(frozen=True, slots=True)
class Needle:
    """``name`` says of what and in which spelling."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Hit:
    needle: str
    path: Path


@dataclass(slots=True)
class Search:
    """What was read, and what was found. ``unread``: files that could not be opened."""

    files: int
    size: int
    hits: list[Hit]
    unread: list[Path]


def stretches(pcm: bytes, count: int = 4) -> list[bytes]:
    """``count`` stretches of 16-bit little-endian samples where the sound is loud, so that no silence is looked for.

    Raises ValueError for sound too short or too quiet to be told from anything else.
    """
    starts = range(0, len(pcm) - LENGTH + 1, LENGTH)
    loud = sorted(starts, key=lambda at: len(set(pcm[at : at + LENGTH])), reverse=True)
    found = [pcm[at : at + LENGTH] for at in loud[:count]]
    if len(found) < count or len(set(found[-1])) < LENGTH // 2:
        raise ValueError("this sound has nothing by which it could be known again")
    return found


def needles(name: str, stretch: bytes) -> list[Needle]:
    """The stretch as 16-bit samples, as floats in -1..1, in base64 at each of its three alignments, in hexadecimal."""
    samples = struct.unpack(f"<{len(stretch) // 2}h", stretch)
    floats = struct.pack(f"<{len(samples)}f", *(sample / 32768 for sample in samples))
    spelled = [Needle(f"{name} as 16-bit samples", stretch), Needle(f"{name} as floats", floats)]
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + stretch)
        # The first and last quartets depend on what stands beside the stretch.
        spelled.append(Needle(f"{name} in base64", text[4 * (shift > 0) : -4]))
    return [*spelled, Needle(f"{name} in hexadecimal", stretch.hex().encode())]


def search(places: Iterable[Path], wanted: Sequence[Needle]) -> Search:
    """Every regular file under the places, whole; links are not followed."""
    done = Search(0, 0, [], [])
    for path in _files(places):
        try:
            found, size = _in_file(path, wanted)
        except FileNotFoundError:
            continue  # a temporary file that went while we looked
        except OSError:
            done.unread.append(path)
            continue
        done.files, done.size = done.files + 1, done.size + size
        done.hits += [Hit(name, path) for name in found]
    return done


def _files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_file():
            yield place
        for folder, _, names in os.walk(place):
            for name in names:
                path = Path(folder) / name
                if path.is_file() and not path.is_symlink():
                    yield path


def _in_file(path: Path, wanted: Sequence[Needle]) -> tuple[list[str], int]:
    overlap = max(len(needle.data) for needle in wanted) - 1
    missing = list(wanted)
    found: list[str] = []
    size, tail = 0, b""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            size += len(block)
            window = tail + block
            for needle in [needle for needle in missing if needle.data in window]:
                found.append(needle.name)
                missing.remove(needle)
            tail = window[-overlap:]
    return found, size
