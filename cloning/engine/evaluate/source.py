"""The speakers that voices are held against: folders of recordings with what is said in them.

SOURCE/SPEAKER/NAME.wav with NAME.txt. A recording whose text is one of the test texts is what the voice's own speech of
that text is compared with; `reference` is what a zero-shot voice is made from; the others say who the speaker is (their
mean embedding, as at an enrolment).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cloning.engine.errors import EngineError
from cloning.engine.evaluate.hearing import at_rate
from cloning.engine.evaluate.texts import SETS, items, plain
from cloning.engine.features.audio import mono
from cloning.engine.training.prepare import Recording
from cloning.engine.training.recordings import read_folder

#: Most speakers of one source.
MOST_SPEAKERS = 64
#: Name of the recording that a zero-shot voice is made from.
REFERENCE = "reference"


class BadSource(EngineError):
    """The source folder is not one (codes `no_source`, `no_speaker`, `too_much`)."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """`said`: item id -> wave at hearing.RATE. `others`: recordings of other texts, as they were read, without the
    reference."""

    name: str
    said: dict[str, np.ndarray]
    others: tuple[Recording, ...]
    reference: Recording | None


def read_source(folder: Path) -> dict[str, Speaker]:
    """Every speaker of the folder by name. Raises BadSource, TrainingRefused (sound that cannot be read), OSError."""
    if not folder.is_dir():
        raise BadSource("no_source", f"there is no folder {folder!s:.200}")
    places = sorted(place for place in folder.iterdir() if place.is_dir())
    if not places:
        raise BadSource("no_speaker", "the source folder needs a folder of recordings for each speaker")
    if len(places) > MOST_SPEAKERS:
        raise BadSource("too_much", f"at most {MOST_SPEAKERS} speakers are read")
    tests = (item for names in SETS.values() for name in names for item in items(name))
    texts = {plain(text): item.id for item in tests for text in (item.text, item.spoken)}
    return {place.name: _speaker(place, texts) for place in places}


def _speaker(place: Path, texts: dict[str, str]) -> Speaker:
    said: dict[str, np.ndarray] = {}
    others: list[Recording] = []
    reference = None
    for recording in read_folder(place):
        if Path(recording.name).stem == REFERENCE:
            reference = recording
            continue
        found = texts.get(plain(recording.transcript or ""))
        if found is None:
            others.append(recording)
        else:
            said[found] = at_rate(mono(recording.wave), recording.rate)
    return Speaker(place.name, said, tuple(others), reference)
