"""Recordings from a person's disk: a folder of sound files with their texts, or a list file as upstream writes it.

A line of a list is `path|speaker|language|text`. A relative path is looked for beside the list, then in the folder it
was started from. Everything is bounded before it is read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from cloning.engine.errors import TrainingRefused
from cloning.engine.training.prepare import MOST_RECORDINGS, MOST_SECONDS, Recording

SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
#: Largest sound file, text file and list read.
MOST_SOUND_BYTES = 200 * 2**20
MOST_TEXT_BYTES = 64 * 2**10
MOST_LIST_BYTES = 16 * 2**20
#: Most entries of a folder that are looked at.
MOST_ENTRIES = 100_000
#: The languages of lists, in any case, as upstream's tools write them.
LIST_LANGUAGES = {
    "zh": "zh", "ja": "ja", "jp": "ja", "en": "en", "en-us": "en", "ko": "ko", "yue": "yue",
}  # fmt: skip


def read_recordings(path: Path) -> list[Recording]:
    """A folder or a list file. Raises TrainingRefused: `no_recordings`, `too_much`, `bad_audio`, `bad_transcript`,
    `bad_list`; OSError."""
    if path.is_dir():
        return read_folder(path)
    if path.is_file():
        return read_list(path)
    raise TrainingRefused("no_recordings", f"there is neither a folder nor a list file {path!s:.200}")


def read_folder(folder: Path) -> list[Recording]:
    """The sound files of a folder in name order, each with the text of the .txt beside it. Raises TrainingRefused."""
    entries = []
    for entry in folder.iterdir():
        entries.append(entry)
        if len(entries) > MOST_ENTRIES:
            raise TrainingRefused("too_much", f"the folder holds more than {MOST_ENTRIES} entries")
    sounds = sorted(entry for entry in entries if entry.suffix.lower() in SOUNDS and entry.is_file())
    if len(sounds) > MOST_RECORDINGS:
        raise TrainingRefused("too_much", f"at most {MOST_RECORDINGS} recordings are taken")
    reader = _Reader()
    return [reader.read(path, _text_beside(path)) for path in sounds]


def read_list(path: Path) -> list[Recording]:
    """The recordings of an upstream list. Empty lines are passed over. Raises TrainingRefused."""
    lines = [line for line in _text(path, MOST_LIST_BYTES, "bad_list").splitlines() if line.strip()]
    if len(lines) > MOST_RECORDINGS:
        raise TrainingRefused("too_much", f"at most {MOST_RECORDINGS} recordings are taken")
    reader = _Reader()
    recordings = []
    for number, line in enumerate(lines, 1):
        fields = line.split("|", 3)
        if len(fields) != 4:
            raise TrainingRefused("bad_list", f"line {number} is not path|speaker|language|text")
        name, speaker, language, text = (field.strip() for field in fields)
        known = LIST_LANGUAGES.get(language.lower())
        if known is None:
            raise TrainingRefused("bad_list", f"line {number}: the language {language[:20]!r} is not known")
        beside = path.parent / name
        found = beside if beside.is_file() else Path(name)
        if not found.is_file():
            raise TrainingRefused("bad_list", f"line {number}: there is no file {name[:200]}")
        recordings.append(reader.read(found, text or None, language=known, speaker=speaker))
    return recordings


class _Reader:
    """Reads sound files, at most MOST_SECONDS of them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def read(self, path: Path, transcript: str | None, *, language: str | None = None, speaker: str = "") -> Recording:
        if path.stat().st_size > MOST_SOUND_BYTES:
            raise TrainingRefused("too_much", f"{path.name} is larger than {MOST_SOUND_BYTES >> 20} MB")
        try:
            with soundfile.SoundFile(path) as file:
                self.seconds += file.frames / file.samplerate
                if self.seconds > MOST_SECONDS:
                    raise TrainingRefused("too_much", f"at most {MOST_SECONDS / 60:.0f} minutes are taken")
                wave: np.ndarray = file.read(file.frames, dtype="float32")
                rate = file.samplerate
        except (soundfile.SoundFileError, ValueError, TypeError) as error:
            raise TrainingRefused("bad_audio", f"{path.name} is not a readable sound file") from error
        return Recording(wave, rate, transcript, language=language, name=path.name, speaker=speaker)


def _text_beside(path: Path) -> str | None:
    beside = path.with_suffix(".txt")
    return _text(beside, MOST_TEXT_BYTES, "bad_transcript").strip() or None if beside.is_file() else None


def _text(path: Path, most: int, code: str) -> str:
    """A UTF-8 file, with or without a byte order mark."""
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise TrainingRefused(code, f"{path.name} is larger than {most >> 10} kB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TrainingRefused(code, f"{path.name} is not UTF-8 text") from error
