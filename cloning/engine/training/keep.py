"""Prepared material as files, for a person who wants to look at it or to train with other tools of the family.

Names and layout are upstream's: `5-wav32k/NAME.wav` (16 bits), `2-name2text.txt` (name and symbols, tab-separated) and
`6-name2semantic.tsv` (name and codes). Written only into a folder that the caller hands in; whoever does that must also
see to it that the files die with the recording.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import soundfile

from cloning.engine.errors import TrainingRefused
from cloning.engine.text.symbols import SYMBOLS

if TYPE_CHECKING:
    from cloning.engine.training.prepare import Item

T = TypeVar("T")

#: Errors of the system that mean: no room.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_material(folder: Path, items: Sequence[Item], rate: int) -> None:
    """Only the owner may read the files. Raises TrainingRefused `disk_full`, OSError."""
    names = [f"{_plain(item.name)}_{place:05d}" for place, item in enumerate(items)]

    def write() -> None:
        waves = folder / "5-wav32k"
        waves.mkdir(parents=True, exist_ok=True)
        for name, item in zip(names, items, strict=True):
            # In memory first: on a full disk the sound library stops with an assertion, not with an error.
            sound = io.BytesIO()
            soundfile.write(sound, item.wave.numpy(), rate, format="WAV", subtype="PCM_16")
            with _private(waves / f"{name}.wav") as file:
                file.write(sound.getvalue())
        readable = [(name, item) for name, item in zip(names, items, strict=True) if item.has_text]
        with _private(folder / "2-name2text.txt") as file:
            for name, item in readable:
                file.write(f"{name}\t{' '.join(SYMBOLS[row] for row in item.phones.tolist())}\n".encode())
        with _private(folder / "6-name2semantic.tsv") as file:
            file.write(b"item_name\tsemantic_audio\n")
            for name, item in readable:
                file.write(f"{name}\t{' '.join(str(code) for code in item.codes.tolist())}\n".encode())

    with_room(write)


def with_room(write: Callable[[], T]) -> T:
    """What `write` gives. Raises TrainingRefused `disk_full` when the system says that there is no room."""
    try:
        return write()
    except OSError as error:
        if error.errno in FULL:
            raise TrainingRefused("disk_full", "there is no room left to write") from error
        raise


def write_whole(path: Path, data: bytes) -> None:
    """The file with all of the data or as it was before; only its owner may read it.

    Raises TrainingRefused `disk_full`, OSError.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")

    def write() -> None:
        try:
            with _private(part) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    with_room(write)


def _private(path: Path) -> BinaryIO:
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", Path(name).stem)[:80].lstrip(".") or "item"
