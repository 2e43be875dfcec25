"""A recogniser at work: one utterance of a known text -> what was heard of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from cloning.engine.evaluate import align
from cloning.engine.evaluate.hearing import Recogniser
from cloning.engine.evaluate.texts import Item

#: Part of a remembered utterance's name; grows when the same sound would be heard otherwise.
VERSION = 3


@dataclass(frozen=True, slots=True)
class Heard:
    """What the recogniser makes of one utterance. `steps`: given beside heard. `forced`: wrong words where the grammar
    is known (matrix sentences), else None. `durations`: seconds of every given word, None where they do not fit.
    `followed`: given beside what was said of it when the text is followed (`Recogniser.followed`), or None."""

    steps: tuple[align.Step, ...]
    forced: int | None
    phone_errors: int
    durations: tuple[float, ...] | None
    followed: tuple[align.Step, ...] | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Heard:
        row = json.loads(text)
        durations, followed = row["durations"], row["followed"]
        return cls(
            tuple(align.Step(**step) for step in row["steps"]),
            row["forced"],
            row["phone_errors"],
            None if durations is None else tuple(durations),
            None if followed is None else tuple(align.Step(**step) for step in followed),
        )


@dataclass(slots=True)
class Listener:
    """A recogniser that remembers: voices share sources, and an interrupted run goes on where it was.

    `kept`: a folder that remembers for later runs, None: this one only.
    """

    recogniser: Recogniser
    kept: Path | None = None
    _known: dict[str, Heard] = field(default_factory=dict)

    def hear(self, item: Item, wave: np.ndarray | None) -> Heard:
        """`wave` float32 (samples,) at hearing.RATE; None: the text was refused, so nothing of it is heard."""
        if wave is None:
            forced = len(item.words) if item.set == "matrix" else None
            nothing = align.align(item.words, ())
            return Heard(nothing, forced, self.phone_count(item), None, nothing)
        name = self._name(item, wave)
        if name not in self._known:
            place = None if self.kept is None else self.kept / f"{name}.json"
            if place is not None and place.is_file():
                self._known[name] = Heard.from_json(place.read_text("utf-8"))
            else:
                self._known[name] = self._hear(item, wave)
                if place is not None:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_text(self._known[name].to_json(), "utf-8")
        return self._known[name]

    def phone_count(self, item: Item) -> int:
        """Phones of the text, by the first pronunciation of each word."""
        return sum(len(self.recogniser.pronunciations(word)[0]) for word in item.words)

    def _hear(self, item: Item, wave: np.ndarray) -> Heard:
        given, known = item.words, self.recogniser
        matrix = item.set == "matrix"
        heard = known.words(wave, "loop" if matrix else item.set)
        forced = align.errors(align.align(given, known.words(wave, "matrix"), known.same)) if matrix else None
        phones = align.phone_errors([known.pronunciations(word) for word in given], known.phones(wave))
        text = known.followed(wave, given)
        followed = None if text is None else align.align(given, text)
        return Heard(align.align(given, heard, known.same), forced, phones, known.durations(wave, given), followed)

    def _name(self, item: Item, wave: np.ndarray) -> str:
        what = f"{VERSION}/{self.recogniser.name}/{item.set}/{' '.join(item.words)}/".encode()
        return hashlib.sha256(what + wave.astype("<f4").tobytes()).hexdigest()
