"""Did somebody read these words, now? Recognised words, the server's clock, traces of editing.

A content check is no proof of liveness: a good synthetic voice passes it. It makes an old recording worthless;
the speaker and spoof steps must do the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from consent.biometrics import recogniser, speech, splice
from consent.biometrics.advice import advice
from consent.biometrics.audio import MAX_LIVE_SECONDS, MODEL_RATE, at_model_rate, checked
from consent.biometrics.evidence import Detail, Evidence, Verdict
from consent.biometrics.words import MIN_BITS, ChallengeError, entropy_bits, vocabulary

#: Reading must begin within this many seconds of the display: no time to assemble an answer.
MAX_START_SECONDS: Final = 10.0
#: No challenge lives longer than this (NIST SP 800-63B-4, out-of-band secrets).
MAX_LIFE_SECONDS: Final = 600.0
#: All words in order are needed. One extra word (a cough, a restart) takes nothing away from that.
MAX_EXTRA_WORDS: Final = 1
#: One word not understood is "read again", never a pass; two are other words.
MAX_UNCLEAR_WORDS: Final = 1
#: Unchanging stretches or copies listed in the details.
_LISTED: Final = 10


class TimelineError(ValueError):
    """The times are not finite, or not in an order that can have happened."""


@dataclass(frozen=True)
class Timeline:
    """One challenge on the server's clock, in seconds: words displayed, first and last sound received, expiry."""

    displayed_at: float
    first_chunk_at: float
    last_chunk_at: float
    expires_at: float

    def __post_init__(self) -> None:
        moments = (self.displayed_at, self.first_chunk_at, self.last_chunk_at, self.expires_at)
        if not all(math.isfinite(moment) for moment in moments):
            raise TimelineError("times must be finite")
        if not self.displayed_at <= self.first_chunk_at <= self.last_chunk_at or self.expires_at <= self.displayed_at:
            raise TimelineError("sound cannot arrive before its words were displayed")
        if self.expires_at - self.displayed_at > MAX_LIFE_SECONDS:
            raise TimelineError(f"a challenge lives at most {MAX_LIFE_SECONDS:.0f} s")


def check(wave: np.ndarray, rate: int, words: Sequence[str], *, timeline: Timeline | None) -> Evidence:
    """Check that ``wave`` is a timely, uncut reading of ``words``.

    ``value`` is the number of challenge words missing or misread, ``threshold`` the number allowed (none).
    Without a timeline the clock is not judged and the details say so.
    Raises AudioError, and ChallengeError for words that no challenge could hold.
    """
    expected = list(words)
    if len(set(expected)) != len(expected) or not set(expected) <= set(vocabulary()):
        raise ChallengeError("a challenge holds different words of the vocabulary")
    if entropy_bits(len(expected), len(vocabulary())) < MIN_BITS:
        raise ChallengeError(f"a challenge carries at least {MIN_BITS:.0f} bits")
    sound = checked(wave, rate, max_seconds=MAX_LIVE_SECONDS)
    listened = at_model_rate(sound, rate)
    details: dict[str, Detail] = {"expected": expected, "clock": "not judged" if timeline is None else "judged"}
    stretches = speech.runs(speech.frame_mask(listened))
    if not stretches:
        return _evidence(len(expected), Verdict.INCONCLUSIVE, "no_speech", details)
    begin = stretches[0][0] * speech.FRAME / MODEL_RATE
    details |= {"speech_begins": round(begin, 2), "speech_ends": round(stretches[-1][1] * speech.FRAME / MODEL_RATE, 2)}

    # Every cue is measured before any verdict: a refusal should show all that was found.
    silences, copies = splice.digital_silence(sound, rate), splice.repeats(sound, rate)
    details |= {
        "digital_silence": [[round(second, 3) for second in pair] for pair in silences[:_LISTED]],
        "repeats": [[round(second, 3) for second in pair] for pair in copies[:_LISTED]],
    }
    heard = recogniser.recognise(listened)
    missed, extra = errors(expected, heard)
    details |= {"heard": heard, "extra_words": float(extra)}

    if timeline is not None:
        started = timeline.first_chunk_at + begin - timeline.displayed_at
        details["started_after"] = round(started, 2)
        details["received_over"] = round(timeline.last_chunk_at - timeline.first_chunk_at, 2)
        if timeline.last_chunk_at > timeline.expires_at:
            return _evidence(missed, Verdict.REFUSE, "expired", details)
        if started > MAX_START_SECONDS:
            return _evidence(missed, Verdict.REFUSE, "late_start", details)
    if silences or copies:
        return _evidence(missed, Verdict.REFUSE, "spliced", details)
    if missed > MAX_UNCLEAR_WORDS:
        return _evidence(missed, Verdict.REFUSE, "wrong_words", details)
    if missed or extra > MAX_EXTRA_WORDS:
        return _evidence(missed, Verdict.INCONCLUSIVE, "words_unclear", details)
    return _evidence(missed, Verdict.PASS, "ok", details)


def errors(expected: Sequence[str], heard: Sequence[str]) -> tuple[int, int]:
    """(expected words not heard in their place, extra words heard) along the alignment with the fewest misses."""
    # row[j] = (missed, extra) for the words so far against heard[:j]; tuples compare misses first.
    row = [(0, extra) for extra in range(len(heard) + 1)]
    for word in expected:
        nearer = [(row[0][0] + 1, row[0][1])]
        for index, other in enumerate(heard, start=1):
            missed, extra = row[index - 1]
            nearer.append(
                min(
                    (missed + (word != other), extra),
                    (row[index][0] + 1, row[index][1]),
                    (nearer[-1][0], nearer[-1][1] + 1),
                )
            )
        row = nearer
    return row[-1]


def _evidence(missed: int, verdict: Verdict, reason: str, details: dict[str, Detail]) -> Evidence:
    return Evidence(
        kind="liveness",
        value=float(missed),
        threshold=0.0,
        verdict=verdict,
        reason=reason,
        advice=advice(reason),
        model=f"{recogniser.MODEL}/{len(vocabulary())}",
        details=details,
    )
