"""Did somebody read these words, now? Recognised words, the server's clock, traces of editing.

A content check is no proof of liveness: a good synthetic voice passes it. It makes an old recording worthless;
the speaker and spoof steps must do the rest. Pauses between the words do not matter, however long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from consent.biometrics import background, denoise, dereverb, recogniser, speech, splice
from consent.biometrics.advice import advice
from consent.biometrics.audio import MAX_LIVE_SECONDS, MODEL_RATE, at_model_rate, checked
from consent.biometrics.evidence import Detail, Evidence, Verdict
from consent.biometrics.mounted_recognisers import RecogniserMissing
from consent.biometrics.words import MIN_BITS, ChallengeError, entropy_bits

#: Rises with every change of how a reading is listened to; the recogniser has a version of its own.
MODEL: Final = "liveness-2"
#: Reading must begin within this many seconds of the display: no time to assemble an answer.
MAX_START_SECONDS: Final = 10.0
#: No challenge lives longer than this (NIST SP 800-63B-4, out-of-band secrets).
MAX_LIFE_SECONDS: Final = 600.0
#: All words in order are needed. One extra word (a cough, a restart) takes nothing away from that.
MAX_EXTRA_WORDS: Final = 1
#: One word not understood is "read again", never a pass; two are other words.
MAX_UNCLEAR_WORDS: Final = 1
#: Words a second from first to last sound. Vocabulary words have two to four syllables; nobody reads ten a second.
MAX_PACE: Final = 5.0
#: Seconds by which sound may run ahead of its arrival, chunks and buffers included. More was not spoken live.
MAX_AHEAD_SECONDS: Final = 5.0
#: Frames (32 ms) kept on both sides of speech for the recogniser.
PAUSE: Final = 8
#: How a reading is listened to, in turn while a word is missed: as it is, with less noise, with less of the room.
WAYS: Final[tuple[Callable[[np.ndarray], np.ndarray], ...]] = (np.asarray, denoise.quieter, dereverb.drier)
#: Cues listed in the details, of each kind.
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


class Challenge(Protocol):
    """Anything that holds the words of a challenge; its ``language`` is English where it has none."""

    @property
    def words(self) -> Sequence[str]: ...


def check(
    wave: np.ndarray, rate: int, challenge: Sequence[str] | Challenge, timeline: Timeline | None = None
) -> Evidence:
    """Check that ``wave`` is a timely, uncut reading of the challenge: its words, or an object that holds them.

    ``value`` is the number of challenge words missing or misread, ``threshold`` the number allowed (none).
    Without a timeline the clock is not judged and the details say so. A language without a recogniser is refused by
    name. Raises AudioError, and ChallengeError for words that no challenge could hold.
    """
    expected, language = _words(challenge)
    details: dict[str, Detail] = {
        "expected": expected, "language": language, "clock": "not judged" if timeline is None else "judged",
    }  # fmt: skip
    sound = checked(wave, rate, max_seconds=MAX_LIVE_SECONDS)
    try:
        known = recogniser.vocabulary(language)
    except RecogniserMissing as missing:
        details["offered"] = list(recogniser.languages())
        return _evidence(len(expected), Verdict.REFUSE, missing.code, details, model="none")
    _refuse_weak(expected, known)
    listened = at_model_rate(sound, rate)
    mask = speech.frame_mask(listened)
    stretches = speech.runs(mask)
    model = f"{MODEL}/{recogniser.model(language)}/{len(known)}/{background.detector().version}"
    if not stretches:
        return _evidence(len(expected), Verdict.INCONCLUSIVE, "no_speech", details, model=model)
    begin, end = (frame * speech.FRAME / MODEL_RATE for frame in (stretches[0][0], stretches[-1][1]))
    pace = len(expected) / (end - begin)
    details |= {"speech_begins": round(begin, 2), "speech_ends": round(end, 2), "words_a_second": round(pace, 2)}

    # Every cue is measured before any verdict: a refusal should show all that was found.
    silences, copies = splice.digital_silence(sound, rate), splice.repeats(sound, rate)
    details |= {"digital_silence": _listed(silences, 3), "repeats": _listed(copies, 3)}
    joined = _background(listened, mask, details)
    heard, missed, extra, favoured = _heard(listened, language, expected)
    details |= {"heard": heard, "extra_words": float(extra), "listened": "for the words" if favoured else "freely"}

    late = None if timeline is None else _timing(timeline, begin, sound.size / rate, details)
    if late is not None:
        verdict, reason = Verdict.REFUSE, late
    elif silences or copies:
        verdict, reason = Verdict.REFUSE, "spliced"
    elif missed > MAX_UNCLEAR_WORDS:
        verdict, reason = Verdict.REFUSE, "wrong_words"
    elif pace > MAX_PACE:
        verdict, reason = Verdict.REFUSE, "too_fast"
    elif missed or extra > MAX_EXTRA_WORDS:
        verdict, reason = Verdict.INCONCLUSIVE, "words_unclear"
    elif joined:
        verdict, reason = Verdict.INCONCLUSIVE, "background_changes"
    else:
        verdict, reason = Verdict.PASS, "ok"
    return _evidence(missed, verdict, reason, details, model=model)


def _background(listened: np.ndarray, mask: np.ndarray, details: dict[str, Detail]) -> bool:
    """Does the background follow the words, as in words cut together? What was measured goes into the details."""
    judge, found = background.detector(), background.measure(listened, mask)
    if found is None:
        details["background"] = "too few pauses"
        return False
    joined = judge.probability(found)
    details |= {
        "background": round(joined, 4),
        "background_from": judge.threshold,
        "across_pauses_db": round(found.across_pauses, 2),
        "across_words_db": round(found.across_words, 2),
        "background_steps": [round(step, 2) for step in found.steps[:_LISTED]],
    }
    return joined >= judge.threshold


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


def _heard(sound: np.ndarray, language: str, expected: list[str]) -> tuple[list[str], int, int, bool]:
    """The words heard, expected ones missed, extra ones, and whether the expected ones had been favoured.

    Listened to again while any is missed; the best counts. Long pauses are shortened first: in them the recogniser
    loses its measure of the channel. At first, in each of WAYS, every word is equally likely; then, in each again, the
    expected ones are somewhat likelier, if at least half were heard without that, so that noise cannot make a challenge
    out of nothing. The recogniser stays free to hear any word each time.
    """
    spoken, _, _ = speech.spoken(sound, margin=PAUSE)
    sounds: list[np.ndarray] = []
    best: tuple[int, int, list[str], bool] = (len(expected) + 1, 0, [], False)
    for favour in (False, True):
        if favour and (best[0] > len(expected) // 2 or language != recogniser.BUILT_IN):
            break
        for number, way in enumerate(WAYS):
            if number == len(sounds):
                sounds.append(way(spoken))
            heard = recogniser.recognise(sounds[number], language, favoured=expected if favour else ())
            best = min(best, (*errors(expected, heard), heard, favour), key=lambda one: one[:2])
            if not best[0]:
                return best[2], 0, best[1], favour
    return best[2], best[0], best[1], best[3]


def _words(challenge: Sequence[str] | Challenge) -> tuple[list[str], str]:
    words = getattr(challenge, "words", challenge)
    if isinstance(words, str) or not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
        raise ChallengeError("a challenge is a list of words")
    if len(set(words)) != len(words) or not words:
        raise ChallengeError("a challenge holds different words")
    return list(words), str(getattr(challenge, "language", recogniser.BUILT_IN))


def _refuse_weak(expected: list[str], known: tuple[str, ...]) -> None:
    if not set(expected) <= set(known):
        raise ChallengeError("a challenge holds words of the vocabulary only")
    if entropy_bits(len(expected), len(known)) < MIN_BITS:
        raise ChallengeError(f"a challenge carries at least {MIN_BITS:.0f} bits")


def _timing(timeline: Timeline, begin: float, seconds: float, details: dict[str, Detail]) -> str | None:
    """The clock's reason to refuse, if any; its measures go into the details."""
    started = timeline.first_chunk_at + begin - timeline.displayed_at
    received = timeline.last_chunk_at - timeline.first_chunk_at
    details |= {"started_after": round(started, 2), "received_over": round(received, 2), "seconds": round(seconds, 2)}
    if timeline.last_chunk_at > timeline.expires_at:
        return "expired"
    if started > MAX_START_SECONDS:
        return "late_start"
    if seconds - received > MAX_AHEAD_SECONDS:
        return "not_streamed"
    return None


def _listed(cues: list[tuple[float, float]], digits: int) -> list[list[float]]:
    return [[round(value, digits) for value in cue] for cue in cues[:_LISTED]]


def _evidence(missed: int, verdict: Verdict, reason: str, details: dict[str, Detail], *, model: str) -> Evidence:
    return Evidence(
        kind="liveness",
        value=float(missed),
        threshold=0.0,
        verdict=verdict,
        reason=reason,
        advice=advice(reason),
        model=model,
        details=details,
    )
