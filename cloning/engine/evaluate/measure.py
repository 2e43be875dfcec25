"""One voice against one speaker: every sentence heard, and what follows from all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cloning.engine.evaluate import align, figures, likeness, prosody, tones
from cloning.engine.evaluate.figures import Figure
from cloning.engine.evaluate.hearing import NoRecogniser, Recogniser
from cloning.engine.evaluate.likeness import Enrolled
from cloning.engine.evaluate.listening import Heard, Listener
from cloning.engine.evaluate.source import Speaker
from cloning.engine.evaluate.texts import SETS, Item

#: Sentences whose pitch contours the report keeps.
CONTOURS = 3


@dataclass(frozen=True, slots=True)
class Sentence:
    """One text as the voice said it (None: refused, see `refused`) and as its source did (None: no recording)."""

    item: Item
    wave: np.ndarray | None
    refused: str
    doubtful: int
    heard: Heard | None
    source: Heard | None

    def to_dict(self) -> dict[str, Any]:
        row: dict[str, Any] = {"id": self.item.id, "text": self.item.text, "doubtful": self.doubtful}
        if self.refused:
            row["refused"] = self.refused
        for name, heard in (("voice", self.heard), ("source", self.source)):
            if heard is not None:
                row[name] = [[step.kind, step.given, step.heard] for step in heard.steps]
        return row


def words(sentences: Sequence[Sentence], listener: Listener) -> dict[str, Any]:
    """Per set: word, forced-choice and phone error rates, skipped and repeated words, and sentences whose text is
    followed from its first word to its last; voice, source and difference. Mandarin, where no text is followed, also:
    syllables wrong when tones do not count, and tones right where the sounds are.

    A difference, and the source's figure beside it, is over the sentences that the source has said too.
    """
    report: dict[str, Any] = {}
    for name in dict.fromkeys(sentence.item.set for sentence in sentences):
        rows = [sentence for sentence in sentences if sentence.item.set == name]
        counts = [len(row.item.words) for row in rows]
        phones = [listener.phone_count(row.item) for row in rows]
        ones = [1] * len(rows)
        measures = {
            "word_error": (lambda heard: align.errors(heard.steps), counts),
            "phone_error": (lambda heard: heard.phone_errors, phones),
            "skipped": (lambda heard: align.skipped(heard.steps), counts),
            "repeated": (lambda heard: align.repeated(heard.steps), counts),
            "intact": (lambda heard: align.intact(heard.steps), ones),
        }
        if name == "matrix":
            measures["forced_choice_error"] = (lambda heard: heard.forced, counts)
        mandarin = name in SETS["zh"]
        if mandarin:
            measures["toneless_error"] = (lambda heard: tones.errors_without(heard.steps), counts)
        report[name] = {"sentences": len(rows), "words": sum(counts)} | {
            measure: _beside(
                [_count(of(row.heard)) for row in rows if row.heard is not None],
                [None if row.source is None else _count(of(row.source)) for row in rows],
                wholes,
                yes_no=measure == "intact",
            )
            for measure, (of, wholes) in measures.items()
        }
        if mandarin:
            report[name]["tones_right"] = _tones(rows)
        else:
            report[name]["followed"] = _followed(rows)
    return report


def identity(sentences: Sequence[Sentence], speaker: Speaker, enrolled: Enrolled) -> dict[str, Any]:
    """Cosines to the right speaker and to the others, nearest speaker, and the verifier's verdicts on pieces of 5 s;
    of the voice and of the source's own recordings of the same texts. `outcome`: "measured" or why not."""
    if speaker.name not in enrolled.embeddings:
        return {"outcome": "no_enrolment", "why": "the source has no recordings of other texts of this speaker"}
    said = [row.wave for row in sentences if row.wave is not None]
    own = [speaker.said[row.item.id] for row in sentences if row.item.id in speaker.said]
    return {
        "outcome": "measured",
        "speakers": sorted(enrolled.embeddings),
        "voice": _resemblance(said, speaker.name, enrolled),
        "source": _resemblance(own, speaker.name, enrolled),
    }


def _resemblance(waves: Sequence[np.ndarray], name: str, enrolled: Enrolled) -> dict[str, Any]:
    found = [enrolled.cosines(wave) for wave in waves]
    rows = [row for row in found if row is not None]
    own = [row[name] for row in rows]
    others = [[value for other, value in row.items() if other != name] for row in rows]
    verdicts = [enrolled.accepted(piece) for piece in likeness.pieces(waves)]
    report: dict[str, Any] = {
        "without_speech": len(found) - len(rows),
        "own": _dict(figures.mean(own)),
        "accepted": _dict(figures.share([row[name] for row in verdicts])),
        "cosines": [round(value, 3) for value in own],
    }
    if len(enrolled.embeddings) > 1:
        means = [float(np.mean(row)) for row in others]
        report |= {
            "impostor": _dict(figures.mean(means)),
            "margin": _dict(figures.difference(own, means, [1] * len(own))),
            "nearest": _dict(figures.share([value > max(row) for value, row in zip(own, others, strict=True)])),
            "accepted_as_another": _dict(
                figures.share([ok for row in verdicts for other, ok in row.items() if other != name])
            ),
            "impostor_cosines": [round(value, 3) for row in others for value in row],
        }
    return report


def melodies(sentences: Sequence[Sentence], speaker: Speaker) -> dict[str, Any]:
    """Pitch and word durations beside the source's readings of the same texts; only durations need a recogniser."""
    both = [row for row in sentences if row.wave is not None and row.item.id in speaker.said]
    if not both:
        return {"outcome": "no_source", "why": "the source has not read these texts"}
    tunes = [(row.item, prosody.melody(row.wave, speaker.said[row.item.id])) for row in both if row.wave is not None]
    found = [(item, tune) for item, tune in tunes if tune is not None]
    if not found:
        return {"outcome": "no_melody", "why": "too little is voiced where the source is: the voice whispers or buzzes"}
    pairs = [
        (np.log(row.heard.durations), np.log(row.source.durations))
        for row in sentences
        if row.heard and row.source and row.heard.durations and row.source.durations
    ]
    longest = sorted(found, key=lambda pair: -len(pair[0].text))[:CONTOURS]
    return {
        "outcome": "measured",
        "pitch_correlation": _dict(figures.mean([tune.correlation for _, tune in found])),
        "pitch_difference_semitones": _dict(figures.mean([tune.spread for _, tune in found])),
        "roughness": _dict(figures.mean([tune.roughness[0] for _, tune in found])),
        "roughness_of_source": _dict(figures.mean([tune.roughness[1] for _, tune in found])),
        "duration_correlation": _dict(figures.correlation(pairs)) if pairs else None,
        "duration_ratio": _dict(
            figures.rate([np.exp(a).sum() for a, _ in pairs], [np.exp(b).sum() for _, b in pairs]) if pairs else None
        ),
        "words_timed": sum(len(a) for a, _ in pairs),
        "durations": [
            [round(float(np.exp(one)), 2) for one in pair] for a, b in pairs for pair in zip(a, b, strict=True)
        ],
        "contours": [
            {"id": item.id, "text": item.text, "voice": _contour(tune.voice), "source": _contour(tune.source)}
            for item, tune in longest
        ],
    }


def recognised(language: str, found: Recogniser | NoRecogniser) -> dict[str, str]:
    """What the report says about who listened."""
    if isinstance(found, NoRecogniser):
        return {"outcome": found.code, "why": found.message, "language": language}
    return {"outcome": "measured", "recogniser": found.name, "language": language}


def _beside(
    voice: Sequence[float], source: Sequence[float | None], wholes: Sequence[float], yes_no: bool
) -> dict[str, Any]:
    """yes_no: every sentence has the measure or not (wholes are 1)."""

    def one(parts: Sequence[float], of: Sequence[float]) -> Figure | None:
        return figures.share([bool(part) for part in parts]) if yes_no else figures.rate(parts, of)

    both = [(v, s, w) for v, s, w in zip(voice, source, wholes, strict=True) if s is not None]
    report = {"voice": _dict(one(voice, wholes)), "source": None, "difference": None}
    if both:
        ours, theirs, of = ([row[place] for row in both] for place in range(3))
        report |= {
            "source": _dict(one(theirs, of)),
            "difference": _dict(figures.difference(ours, theirs, of)),
        }
    return report


def _tones(rows: Sequence[Sentence]) -> dict[str, Any]:
    """Tones right of the syllables whose initial and final are: how many these are differs, so each has its own."""
    heard = [tones.right(row.heard.steps) for row in rows if row.heard is not None]
    both = [(*tones.right(row.heard.steps), *tones.right(row.source.steps)) for row in rows if row.heard and row.source]
    report = {"voice": _dict(figures.rate(*zip(*heard, strict=True))), "source": None, "difference": None}
    if both:
        ours, of, theirs, of_theirs = zip(*both, strict=True)
        report |= {
            "source": _dict(figures.rate(theirs, of_theirs)),
            "difference": _dict(figures.difference_of_rates(ours, of, theirs, of_theirs)),
        }
    return report


def _followed(rows: Sequence[Sentence]) -> dict[str, Any]:
    """Of the sentences whose words are all known, those said word by word, none left out and none again."""

    def whole(heard: Heard | None) -> bool | None:
        return None if heard is None or heard.followed is None else all(step.kind == "right" for step in heard.followed)

    found = [(voice, whole(row.source)) for row in rows if (voice := whole(row.heard)) is not None]
    return _beside([one for one, _ in found], [other for _, other in found], [1] * len(found), yes_no=True)


def _count(value: float | None) -> float:
    if value is None:
        raise ValueError("this sentence has no such figure")
    return float(value)


def _dict(figure: Figure | None) -> Mapping[str, float | int | None] | None:
    return None if figure is None else figure.to_dict()


def _contour(semitones: np.ndarray) -> list[float | None]:
    """Every second frame (50 a second), rounded; None where unvoiced."""
    return [round(float(value), 1) if np.isfinite(value) else None for value in semitones[::2]]
