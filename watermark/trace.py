"""From a found recording to the outputs whose marks are in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from watermark import selectors
from watermark.codec import fingerprint, grid
from watermark.codec.codeword import check_key
from watermark.codec.detect import Detector, Match
from watermark.codec.listen import Heard
from watermark.companion import BLOCK_SECONDS, Companion
from watermark.labels.audible import content_start
from watermark.labels.profile import load_profile


@dataclass(frozen=True)
class TraceHit:
    """An output found between two times (seconds), the score, and the bound on this answer being wrong.

    ``sound`` says whether the recording sounds like the output there: "same"; "other", which means that the mark was
    cut out and laid on something else; "unclear"; or "unknown" when the output has no fingerprint. ``agreement`` is
    the figure behind it, 1 for equal and about 0 for unrelated. ``speed`` is what the recording's duration was divided
    by, ``pitch`` what its frequencies were multiplied by.
    """

    output_ref: str
    start_s: float
    end_s: float
    score: float
    false_positive_bound: float
    sound: str = "unknown"
    agreement: float = 0.0
    speed: float = 1.0
    pitch: float = 1.0
    #: Which mark was read: "vouch", or "audiowmark" for the second one of a long narration (companion.py).
    mark: str = "vouch"

    @property
    def transplanted(self) -> bool:
        """The mark is ours, the sound under it is not: never to be shown as a trace to the output."""
        return self.sound == "other"


@dataclass(frozen=True)
class Traced:
    """What a search found and what it tried: ``verdict`` is "marked", "not marked" or "inconclusive" as in
    Detector.detect_presence(), ``ids`` and ``alignments`` are what the bounds are proved for."""

    hits: list[TraceHit]
    verdict: str
    ids: int
    alignments: int
    best_score: float
    scales_tried: bool
    #: Where the audible label in front ends (seconds), None when none was heard.
    label_end_s: float | None


def trace(wave: object, rate: int, *, key: bytes, scales: bool | None = None) -> list[TraceHit]:
    """The outputs whose marks are in ``wave`` (float, (samples,) or (channels, samples)), most certain first; empty
    when there are none. See examine()."""
    return examine(wave, rate, key=key, scales=scales).hits


def examine(
    wave: object, rate: int, *, key: bytes, scales: bool | None = None, companion: Companion | None = None
) -> Traced:
    """trace(), with the verdict and what was tried. ``scales`` as for Detector.examine().

    A label in front is left out of the search: it carries no mark and would drown the one behind it. Raises
    UnmarkableAudio, BadKey.
    """
    detector = Detector(check_key(key))
    sound = grid.checked_wave(wave, rate, rates=grid.ACCEPTED_RATES)
    mono = sound if sound.ndim == 1 else np.asarray(sound.mean(axis=0), np.float32)
    label_end = content_start(mono, rate, load_profile())
    skipped = round(label_end * rate)
    heard = Heard.of(sound[..., skipped:], rate)
    kept = selectors.all_fingerprints()
    listed = fingerprint.likeliest(fingerprint.of_heard(heard), kept) if kept else []
    report = detector.examine_heard(heard, selectors.issued_index(), listed=listed, scales=scales)
    payloads = [match.payload for match in report.matches]
    refs, prints = selectors.output_refs_for(payloads), selectors.fingerprints_for(payloads)
    shift = skipped / rate
    hits = [_hit(heard, match, refs[match.payload], prints.get(match.payload), shift) for match in report.matches]
    if companion is not None:
        hits += _second_marks(mono, rate, companion, known={hit.output_ref for hit in hits})
    return Traced(
        hits, report.verdict, report.ids, report.alignments, report.best_score, report.scales_tried, label_end or None
    )


def _second_marks(sound: grid.Wave, rate: int, companion: Companion, *, known: set[str]) -> list[TraceHit]:
    """Outputs whose second mark alone is left; the score is the quality of its sync. Their sound is not compared."""
    found = companion.found(sound, rate)
    refs = selectors.output_refs_for(one.payload for one in found)
    return [
        TraceHit(
            output_ref=refs[one.payload], start_s=one.start_s,
            end_s=min(one.start_s + BLOCK_SECONDS, len(sound) / rate), score=one.quality,
            false_positive_bound=one.false_positive_bound, mark="audiowmark",
        )
        for one in found
        if one.payload in refs and refs[one.payload] not in known
    ]  # fmt: skip


def _hit(heard: Heard, match: Match, ref: str, kept: bytes | None, shift: float) -> TraceHit:
    fits = fingerprint.Agreement("unknown", 0.0, 0.0)
    if kept is not None:
        fits = fingerprint.agreement(fingerprint.of_heard(heard, match.scale, match.start_s, match.end_s), kept)
    return TraceHit(
        output_ref=ref,
        start_s=match.start_s + shift,
        end_s=match.end_s + shift,
        score=match.score,
        false_positive_bound=match.false_positive_bound,
        sound=fits.verdict,
        agreement=fits.value,
        speed=1 / match.scale.time,
        pitch=match.scale.pitch,
    )
