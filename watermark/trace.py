"""From a found recording to the outputs whose marks are in it."""

from __future__ import annotations

from dataclasses import dataclass

from watermark import selectors
from watermark.codec import grid
from watermark.codec.codeword import check_key
from watermark.codec.detect import Detector
from watermark.labels.audible import content_start
from watermark.labels.profile import load_profile


@dataclass(frozen=True)
class TraceHit:
    """An output found between two times (seconds), the score, and the bound on this answer being wrong."""

    output_ref: str
    start_s: float
    end_s: float
    score: float
    false_positive_bound: float


def trace(wave: object, rate: int, *, key: bytes) -> list[TraceHit]:
    """The outputs whose marks are in ``wave`` (float mono (samples,)), best first; empty when there are none.

    A label in front is left out of the search: it carries no mark and would drown the one behind it. Raises
    UnmarkableAudio, BadKey.
    """
    detector = Detector(check_key(key))
    sound = grid.checked_wave(wave, rate, rates=grid.ACCEPTED_RATES)
    skipped = round(content_start(sound, rate, load_profile()) * rate)
    matches = detector.search(sound[skipped:], rate, selectors.issued_payloads())
    refs = selectors.output_refs_for(match.payload for match in matches)
    shift = skipped / rate
    return [
        TraceHit(refs[match.payload], match.start_s + shift, match.end_s + shift, match.score,
                 match.false_positive_bound)
        for match in matches
    ]  # fmt: skip
