"""Lines spoken one by one and joined into one recording before the seal: one mark, one label. Runs in a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from cloning.batches.errors import NarrationTooLong
from cloning.batches.models import Batch, BatchKind, Line
from cloning.batches.tables import MAX_TIME_MS
from cloning.errors import TextChanged
from cloning.models import SpeechRequest
from cloning.texts import digest

if TYPE_CHECKING:
    from cloning.engine.shift import Wave

BETWEEN_MS: Final = 100
"""The least between two subtitles: words that touch are hard to understand."""


@dataclass(frozen=True, slots=True)
class Part:
    """A line of the narration: what it says, the silence after it, and from when on it should be heard."""

    number: int
    text: str
    pause_ms: int
    starts_ms: int | None


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a line came to stand, in milliseconds from the beginning of the speech, and how late that is."""

    number: int
    at_ms: int
    milliseconds: int
    late_ms: int | None


def parts(request: SpeechRequest) -> list[Part]:
    """The lines of a narration; none for any other request. Raises TextChanged when they are not the approved text."""
    lines = list(Line.objects.filter(request=request, batch__kind=BatchKind.NARRATION).order_by("number"))
    if not lines:
        return []
    said = request.text.split("\n")
    if [digest(text) for text in said] != [line.text_digest for line in lines]:
        raise TextChanged
    batch = Batch.objects.get(id=lines[0].batch_id)
    made = []
    for n, (line, text) in enumerate(zip(lines, said, strict=True)):
        after = lines[n + 1] if n + 1 < len(lines) else None
        pause = batch.pause_ms if line.pause_ms is None else line.pause_ms
        if after is not None and after.chapter and after.chapter != line.chapter:
            pause = max(pause, batch.chapter_pause_ms)
        made.append(Part(line.number, text, pause, line.starts_ms))
    return made


def joined(lines: list[Part], say: Callable[[int, str], tuple[Wave, int]]) -> tuple[Wave, int, list[Placed]]:
    """``say(n, text)`` gives a line's sound: float32 mono, and its rate in Hz, the same for all. Returns the recording,
    its rate, and where each line stands in it. Raises NarrationTooLong."""
    pieces: list[Wave] = []
    placed: list[Placed] = []
    length = rate = 0
    for n, part in enumerate(lines):
        wave, rate = say(n, part.text)
        at, late = length, None
        if part.starts_ms is not None:
            wanted = part.starts_ms * rate // 1000
            at, late = max(length, wanted), max(length - wanted, 0) * 1000 // rate
        if (at + len(wave)) * 1000 > MAX_TIME_MS * rate:
            raise NarrationTooLong(f"It would be longer than {MAX_TIME_MS // 60_000} minutes.")
        pieces += [np.zeros(at - length, dtype=np.float32), wave]
        placed.append(Placed(part.number, at * 1000 // rate, len(wave) * 1000 // rate, late))
        length = at + len(wave)
        if n + 1 < len(lines):
            gap = (BETWEEN_MS if part.starts_ms is not None else part.pause_ms) * rate // 1000
            pieces.append(np.zeros(gap, dtype=np.float32))
            length += gap
    return np.concatenate(pieces), rate, placed


def keep_places(request: SpeechRequest, placed: list[Placed]) -> None:
    """Writes where each line stands in the recording."""
    for one in placed:
        Line.objects.filter(request=request, number=one.number).update(
            at_ms=one.at_ms, milliseconds=one.milliseconds, late_ms=one.late_ms
        )
