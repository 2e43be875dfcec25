"""A table of lines from the bytes somebody sent: CSV, plain text, or subtitles (SubRip). Pure.

What is wrong with the whole raises `errors.TableInvalid`; what is wrong with one line is named beside it and the others
go on. The bytes are bounded before they are decoded, and the lines while they are read.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import srt

from cloning.batches import errors
from cloning.batches.models import MAX_FILE
from cloning.errors import TextInvalid
from cloning.models import MAX_SEED
from cloning.texts import check_text

MAX_BYTES: Final = 512 * 1024
MAX_LINES: Final = 1_000
MAX_PAUSE_MS: Final = 10_000
MAX_TIME_MS: Final = 30 * 60 * 1000
"""Where a narration ends at the latest, and so the last time of a subtitle."""
MAX_SUBTITLE: Final = 500
"""Characters of one line of a subtitle; people read 40."""
SOURCES: Final = ("csv", "text", "srt")
COLUMNS: Final = ("text", "file", "seed", "pause", "chapter")
DELIMITERS: Final = (",", ";", "\t")
WIDE: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
"""Byte order marks of UTF-16 and UTF-32."""
_FILE: Final = re.compile(r"[\w][\w .()-]*", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line. ``stops``: it cannot be spoken; else it is spoken, and not quite as the table says."""

    code: str
    detail: str
    stops: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """One line. ``number`` counts lines to be spoken from 1. Times and pauses in milliseconds; None: not said."""

    number: int
    text: str
    file: str = ""
    chapter: str = ""
    seed: int | None = None
    pause_ms: int | None = None
    starts_ms: int | None = None
    ends_ms: int | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def stopped(self) -> Problem | None:
        return next((one for one in self.problems if one.stops), None)


@dataclass(frozen=True, slots=True)
class Table:
    """``ignored``: columns that mean nothing here."""

    source: str
    rows: tuple[Row, ...]
    ignored: tuple[str, ...] = ()

    @property
    def good(self) -> list[Row]:
        return [row for row in self.rows if row.stopped is None]


def parse(data: bytes, source: str) -> Table:
    """Raises TableTooLarge, Utf16Refused, EncodingUnknown, EmptyTable, TooManyLines, NoTextColumn, TableInvalid."""
    if source not in SOURCES:
        raise errors.TableInvalid(f"A table is one of {', '.join(SOURCES)}.", code="unknown_source")
    text = _decoded(data)
    ignored: tuple[str, ...] = ()
    if source == "csv":
        rows, ignored = _csv(text)
    else:
        rows = list(_lines(text) if source == "text" else _subtitles(text))
    if not rows:
        raise errors.EmptyTable
    return Table(source, tuple(_twice(rows)), ignored)


def _decoded(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise errors.TableTooLarge(f"A table has at most {MAX_BYTES // 1024} KiB; this one has {len(data) // 1024}.")
    if data.startswith(WIDE) or data[:64].count(b"\x00") >= min(len(data), 64) // 4 > 0:
        raise errors.Utf16Refused
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.EncodingUnknown(f"Byte {error.start} is not UTF-8.") from error


def _bounded(number: int) -> int:
    if number > MAX_LINES:
        raise errors.TooManyLines(f"A batch has at most {MAX_LINES} lines.")
    return number


# -- the three kinds --------------------------------------------------------------------------------------------------


def _lines(text: str) -> Iterator[Row]:
    """Each line that is not empty; one that begins with '# ' is not spoken and names the chapter of the next."""
    number, chapter = 0, ""
    for line in text.splitlines():
        if not line.strip():
            continue
        if line.startswith("# "):
            chapter = line[2:].strip()[:MAX_FILE]
            continue
        number = _bounded(number + 1)
        yield _row(number, line, chapter=chapter)
        chapter = ""


def _csv(text: str) -> tuple[list[Row], tuple[str, ...]]:
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if not names:
            raise errors.EmptyTable
        if names.count("text") != 1:
            raise errors.NoTextColumn
        places: dict[str, int] = {name: names.index(name) for name in COLUMNS if name in names}
        rows: list[Row] = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            said = {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
            rows.append(_of_cells(_bounded(len(rows) + 1), said))
    except csv.Error as error:
        raise errors.TableInvalid(f"Line {reader.line_num}: {error}.", code="csv_broken") from error
    return rows, tuple(name[:MAX_FILE] for name in names if name and name not in COLUMNS)


def _of_cells(number: int, said: dict[str, str]) -> Row:
    problems: list[Problem] = []
    seed = pause = None
    if cell := said.get("seed", ""):
        if cell.isascii() and cell.isdigit() and len(cell) <= 10 and int(cell) <= MAX_SEED:
            seed = int(cell)
        else:
            problems.append(Problem("seed_invalid", f"A seed is 0 to {MAX_SEED}."))
    if cell := said.get("pause", ""):
        if re.fullmatch(r"\d{1,2}([.,]\d{1,3})?", cell, re.ASCII) and _ms(cell) <= MAX_PAUSE_MS:
            pause = _ms(cell)
        else:
            problems.append(Problem("pause_invalid", f"A pause is 0 to {MAX_PAUSE_MS // 1000} seconds."))
    file = said.get("file", "")
    if file and not (len(file) <= MAX_FILE and _FILE.fullmatch(file)):
        problems.append(
            Problem("file_invalid", f"A file's name is letters, digits, spaces and . ( ) - _, at most {MAX_FILE}.")
        )
        file = ""
    chapter = said.get("chapter", "")[:MAX_FILE]
    return _row(number, said["text"], problems, file=file, chapter=chapter, seed=seed, pause_ms=pause)


def _subtitles(text: str) -> Iterator[Row]:
    try:
        latest, ends = -1, 0
        for number, subtitle in enumerate(srt.parse(_plain(text)), 1):
            start, end = _whole_ms(subtitle.start), _whole_ms(subtitle.end)
            problems = []
            if end <= start:
                problems.append(Problem("time_backwards", "It ends before it begins."))
            elif start < latest:
                problems.append(Problem("time_backwards", "It begins before the subtitle above it does."))
            elif end > MAX_TIME_MS:
                problems.append(Problem("time_too_late", f"A narration ends after {MAX_TIME_MS // 60_000} minutes."))
            else:
                if start < ends:
                    problems.append(Problem("time_overlaps", "It begins before the one above it ends.", stops=False))
                latest, ends = start, max(ends, end)
            spoken = re.sub(r"<[^<>]{0,100}>|\{\\[^{}]{0,100}\}", "", subtitle.content)
            yield _row(number, spoken, problems, starts_ms=max(start, 0), ends_ms=max(end, 0))
    except (srt.SRTParseError, srt.TimestampParseError, ValueError, OverflowError) as error:
        raise errors.TableInvalid("These are no subtitles in SubRip form.", code="srt_broken") from error


def _plain(text: str) -> str:
    """Text that the subtitle library reads in short time: its expression takes the square of the length over long runs
    of white space, digits or broken times, so there are none left."""
    text = re.sub(r"[^\S\n]{2,}", " ", "\n".join(line.strip() for line in text.splitlines()))
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    _bounded(text.count("-->"))
    if not text:
        raise errors.EmptyTable
    lines = text.split("\n")
    if max(map(len, lines)) > MAX_SUBTITLE or len(lines) > 20 * MAX_LINES or re.search(r"[0-9.,:]{40}", text):
        raise errors.TableInvalid(f"A subtitle has few lines, of at most {MAX_SUBTITLE} characters.", code="srt_broken")
    return text


# -- a row ------------------------------------------------------------------------------------------------------------


def _row(number: int, text: str, problems: list[Problem] | None = None, **more: object) -> Row:
    """The line with white space made single spaces: a line break in a cell is no new line."""
    found = list(problems or [])
    text = " ".join(text.split())
    try:
        text = check_text(text)
    except TextInvalid as error:
        # What is too long or cannot be spoken is not kept either.
        found.append(Problem(error.code, error.detail))
        text = text[:200]
    return Row(number, text, problems=tuple(found), **more)  # type: ignore[arg-type]


def _twice(rows: list[Row]) -> Iterator[Row]:
    """Two files of one name would be one."""
    seen: set[str] = set()
    for row in rows:
        name = row.file.casefold()
        if name and name in seen:
            problem = Problem("file_twice", "Another line above has the same file.")
            yield Row(row.number, row.text, "", row.chapter, row.seed, row.pause_ms, problems=(*row.problems, problem))
        else:
            yield row
        seen.add(name)


def _ms(cell: str) -> int:
    return round(float(cell.replace(",", ".")) * 1000)


def _whole_ms(moment: timedelta) -> int:
    return round(moment.total_seconds() * 1000)
