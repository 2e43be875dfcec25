"""Is this the same person? A probability with a stated false-accept rate, and three answers.

* PASS: at most the stated share of other people comes this far (`calibration`, figures in ``docs/biometrics.md``).
* REFUSE: it is far more likely somebody else.
* INCONCLUSIVE: neither can be said of this much speech under these conditions; record again, or ask a person to decide.
  The same person on another day or microphone scores lower than within one recording, and lands here, not in REFUSE.

A voice clone made to sound like the person passes: verification alone does not stop it (`spoof`, `liveness`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from consent.biometrics import calibration, condition, fingerprint, speech
from consent.biometrics.advice import advice
from consent.biometrics.audio import MAX_TRAINING_SECONDS, MODEL_RATE, at_model_rate, checked
from consent.biometrics.calibration import Calibration, centroid
from consent.biometrics.encoders import Encoder, builtin
from consent.biometrics.evidence import Detail, Evidence, Verdict

__all__ = ["centroid", "cosine", "embed", "threshold_cosine", "verify", "verify_windows", "warm", "windows"]

MODEL: Final = "speaker-4"
#: Below this the error rates climb steeply (figures in the card): no decision.
MIN_NET_SECONDS: Final = 3.0
#: At most this many enrolment recordings are taken; and seconds of a test that are listened to.
MAX_ENROLMENTS: Final = 20
#: A probability below this is a refusal; between it and the threshold nothing is said.
REFUSE_BELOW: Final = 0.2
#: Window and step of the search for other speakers, seconds of net speech.
WINDOW_SECONDS: Final = 3.0
WINDOW_STEP: Final = 1.5
#: Cosine (cleaned) of a window with the rest of its own recording: below the first it is somebody else; below the
#: second it is when its neighbour is too. Windows of 3 s measured: of one person 0.67 in the middle, 1 % below 0.23
#: (294 windows); of another person 0.0 in the middle, 95 % below 0.27 (27,552).
OTHER: Final = 0.10
DOUBTFUL: Final = 0.30
#: A window less probable than this is unlike the live voice.
UNLIKE: Final = 0.05
#: Nor may its raw cosine be below this.
UNLIKE_RAW: Final = 0.683
#: Raw cosine (nothing taken away) that one person's speech has to reach, by net seconds. As high as costs people next
#: to nothing: of their speech that the calibration accepts, a quiet room and noise at 20 dB lose at most 0.1 points at
#: 4.5, 9 and 27 s, a room of 0.3 s 0.7, 1.3 and 1.0 (`calibrate.floor` measures it). The calibration alone is not
#: enough: what it takes away is what recordings of people share, and voices from outside that crowd (synthesisers)
#: then look alike.
FLOOR: Final = {3.0: 0.743, 5.0: 0.780, 10.0: 0.800, 25.0: 0.810}
#: That far below the floor it is somebody else; nearer, nothing is said.
FLOOR_BAND: Final = 0.09
#: Seconds of live speech behind an embedding, where the caller does not say.
LIVE_SECONDS: Final = 8.0


@dataclass(frozen=True)
class _Heard:
    """A recording made ready: speech without silences, where each sample came from, net seconds, facts."""

    sound: np.ndarray
    index: np.ndarray
    net: float
    facts: np.ndarray


@dataclass(frozen=True)
class _Enrolled:
    """The enrolment of one comparison: unit voice (d,), cleaned and raw, recordings or templates, seconds of speech."""

    voice: np.ndarray
    raw: np.ndarray
    count: int
    seconds: float


def _enrol(enrolment: Sequence[np.ndarray], rate: int, scale: Calibration, encoder: Encoder) -> _Enrolled:
    if not 1 <= len(enrolment) <= MAX_ENROLMENTS:
        raise ValueError(f"enrolment needs 1 to {MAX_ENROLMENTS} recordings or embeddings")
    templates = [centroid([one]) for one in enrolment if np.shape(one) == (encoder.dimensions,)]
    known = [_hear(one, rate) for one in enrolment if np.shape(one) != (encoder.dimensions,)]
    embedded = [*templates, *(encoder.embed(one.sound) for one in known)]
    seconds = sum(one.net for one in known) + LIVE_SECONDS * len(templates)
    cleaned = centroid([scale.cleaned(one) for one in embedded])
    return _Enrolled(cleaned, centroid(embedded), len(embedded), seconds)


def _hear(wave: np.ndarray, rate: int) -> _Heard:
    sound, index, net = speech.spoken(at_model_rate(checked(wave, rate, max_seconds=MAX_TRAINING_SECONDS), rate))
    return _Heard(sound, index, net, condition.facts(sound, net))


def embed(wave: np.ndarray, rate: int, *, encoder: Encoder | None = None) -> np.ndarray:
    """Unit embedding float32 (256,) of the speech in ``wave``; silence is cut out first. Raises AudioError.

    The cost grows with the speech (about 5 ms of one core a second) and with nothing else.
    """
    sound, _, _ = speech.spoken(at_model_rate(checked(wave, rate, max_seconds=MAX_TRAINING_SECONDS), rate))
    return (encoder or builtin()).embed(sound)


def warm() -> None:
    """Load the built-in encoder and its calibration and run them once."""
    noise = np.random.default_rng(0).normal(0.0, 0.01, 2 * MODEL_RATE).astype(np.float32)
    calibration.load(builtin()).cleaned(builtin().embed(noise))


def verify(enrolment: Sequence[np.ndarray], test: np.ndarray, rate: int, *, encoder: Encoder | None = None) -> Evidence:
    """Hold the voice in ``test`` (samples,) against one to MAX_ENROLMENTS enrolment recordings, all at ``rate``.

    An enrolment of the encoder's own shape, (256,), is a template that `embed` made of an earlier recording (16 ms are
    no speech); any other is a recording (samples,).

    ``value`` is the probability of one speaker at equal prior odds, ``threshold`` the probability at the stated
    false-accept rate under the conditions of ``test``; the raw cosine is in the details and is no percentage of
    similarity. Less than 3 s of net speech on either side, and a test that is the enrolment recording itself, are
    inconclusive. Raises AudioError for what is no usable sound, ValueError for an enrolment of none or too many.
    """
    chosen = encoder or builtin()
    scale = calibration.load(chosen)
    enrolled = _enrol(enrolment, rate, scale, chosen)
    heard = _hear(test, rate)
    same = _same_recording(enrolment, test, rate, chosen)
    embedding = chosen.embed(heard.sound)
    likeness, raw = float(enrolled.voice @ scale.cleaned(embedding)), float(enrolled.raw @ embedding)
    facts = calibration.facts(heard.facts, enrolled.seconds)
    value, limit = _probabilities(scale, likeness, facts)
    if chosen == builtin():
        value = _held_down(value, limit, raw, heard.net)
    details: dict[str, Detail] = {
        "cosine": round(likeness, 4),
        "threshold_cosine": round(scale.cosine_at_margin(facts), 4),
        "raw_cosine": round(raw, 4),
        "net_seconds": round(heard.net, 2),
        "enrolled_seconds": round(enrolled.seconds, 2),
        "enrolled_recordings": float(enrolled.count),
        "condition": [
            {"name": name, "value": round(float(number), 3)}
            for name, number in zip(condition.NAMES, heard.facts, strict=True)
        ],
        "false_accept_rate": scale.false_accept_rate,
        "prior": 0.5,
    }
    if same is not None:
        details["same_recording"] = [same.start, same.end]
    if min(heard.net, enrolled.seconds) < MIN_NET_SECONDS:
        verdict, reason = Verdict.INCONCLUSIVE, "too_little_speech"
    elif same is not None:
        verdict, reason = Verdict.INCONCLUSIVE, "same_recording"
    else:
        verdict, reason = _decided(value, limit)
    return _evidence("speaker", value, limit, verdict, reason, chosen, scale, details)


def _same_recording(
    enrolment: Sequence[np.ndarray], test: np.ndarray, rate: int, encoder: Encoder
) -> fingerprint.Match | None:
    """A stretch of the test that is one of the enrolment recordings."""
    known = {
        str(number): fingerprint.of(wave, rate)
        for number, wave in enumerate(enrolment)
        if np.shape(wave) != (encoder.dimensions,)
    }
    if not known:
        return None
    found = fingerprint.search(fingerprint.of(test, rate), known)
    return found[0] if found else None


def cosine(enrolment: Sequence[np.ndarray], embedding: np.ndarray, *, encoder: Encoder | None = None) -> float:
    """Cosine of an embedding and the mean of enrolment embeddings, cleaned of the channel: what thresholds are stated
    for. It is no percentage of similarity. Raises ValueError."""
    scale = calibration.load(encoder or builtin())
    return float(centroid([scale.cleaned(one) for one in enrolment]) @ scale.cleaned(embedding))


def threshold_cosine(net_seconds: float, *, encoder: Encoder | None = None) -> float:
    """The cosine that passes at this length in a quiet room, with LIVE_SECONDS enrolled; for reports, not decisions."""
    scale = calibration.load(encoder or builtin())
    return scale.cosine_at_margin(calibration.facts(condition.quiet(net_seconds), LIVE_SECONDS))


def _probabilities(scale: Calibration, cosine: float, facts: np.ndarray) -> tuple[float, float]:
    value = float(scale.probability(scale.standard(cosine, facts), facts))
    return value, float(scale.probability(scale.margin, facts))


def floor(net: float) -> float:
    """The raw cosine that passes at ``net`` seconds of speech: `FLOOR`, in straight lines over the log of these."""
    return float(np.interp(math.log(max(net, 1e-3)), np.log(list(FLOOR)), list(FLOOR.values())))


def _held_down(value: float, limit: float, raw: float, net: float) -> float:
    """The probability, kept below the threshold where the raw cosine is below its floor for ``net`` seconds."""
    least = floor(net)
    if raw >= least:
        return value
    return min(value, 0.99 * limit if raw >= least - FLOOR_BAND else 0.99 * REFUSE_BELOW)


def _decided(value: float, limit: float) -> tuple[Verdict, str]:
    if value >= limit:
        return Verdict.PASS, "ok"
    if value < min(REFUSE_BELOW, limit):
        return Verdict.REFUSE, "different_speaker"
    return Verdict.INCONCLUSIVE, "speaker_uncertain"


def windows(
    wave: np.ndarray, rate: int, seconds: float = WINDOW_SECONDS, *, encoder: Encoder | None = None
) -> list[tuple[float, float, np.ndarray]]:
    """Cut speech into overlapping windows of ``seconds`` without its silences.

    Returns (start, end, embedding) with the times in the original recording. Speech shorter than one window gives
    an empty list; the rest at the end is covered by a last window that reaches back. Raises AudioError.
    """
    return _windows(_hear(wave, rate), encoder or builtin(), seconds)


def _windows(heard: _Heard, encoder: Encoder, seconds: float) -> list[tuple[float, float, np.ndarray]]:
    length, step = round(seconds * MODEL_RATE), round(seconds * WINDOW_STEP / WINDOW_SECONDS * MODEL_RATE)
    if heard.sound.size < length:
        return []
    starts = sorted({*range(0, heard.sound.size - length + 1, step), heard.sound.size - length})
    embedded = encoder.embed_all([heard.sound[start : start + length] for start in starts])
    return [
        (heard.index[start] / MODEL_RATE, heard.index[start + length - 1] / MODEL_RATE, embedding)
        for start, embedding in zip(starts, embedded, strict=True)
    ]


def verify_windows(
    live: Sequence[np.ndarray],
    wave: np.ndarray,
    rate: int,
    *,
    live_seconds: float = LIVE_SECONDS,
    encoder: Encoder | None = None,
) -> Evidence:
    """Is every part of a long recording the person whose live embeddings are given?

    Two questions. Is the recording as a whole that person: the calibrated decision. And is every window like the rest
    of its own recording, where microphone and day are the same and other people stand out, and no two neighbours
    unlike the live voice: ``details["others"]`` lists the seconds ``[start, end]`` that are somebody else. ``value``
    and ``threshold`` belong to the whole. Raises AudioError, ValueError.
    """
    chosen = encoder or builtin()
    scale = calibration.load(chosen)
    if not live or any(np.shape(one) != (chosen.dimensions,) for one in live):
        raise ValueError(f"enrolment needs one or more embeddings of {chosen.dimensions} numbers")
    enrolled, raw_enrolled = centroid([scale.cleaned(centroid([one])) for one in live]), centroid(live)
    heard = _hear(wave, rate)
    found = _windows(heard, chosen, WINDOW_SECONDS)
    facts = calibration.facts(heard.facts, live_seconds)
    limit = float(scale.probability(scale.margin, facts))
    details: dict[str, Detail] = {"windows": float(len(found)), "net_seconds": round(heard.net, 2), "others": []}
    if not found:
        return _evidence(
            "speaker_windows", 0.0, limit, Verdict.INCONCLUSIVE, "too_little_speech", chosen, scale, details
        )
    raw_parts = np.stack([embedding for _, _, embedding in found])
    parts = scale.cleaned(raw_parts)
    likeness = float(enrolled @ centroid(list(parts)))
    value, limit = _probabilities(scale, likeness, facts)
    raw, raw_with_live = float(raw_enrolled @ centroid(list(raw_parts))), raw_parts @ raw_enrolled
    with_live, with_own = parts @ enrolled, _with_the_rest(parts, enrolled)
    window_facts = calibration.facts(np.append(math.log(WINDOW_SECONDS), heard.facts[1:]), live_seconds)
    unlike = scale.probability(scale.standard(with_live, window_facts), window_facts) < UNLIKE
    if chosen == builtin():
        value = _held_down(value, limit, raw, heard.net)
        unlike |= raw_with_live < UNLIKE_RAW
    flagged = (with_own < OTHER) | _in_pairs(with_own < DOUBTFUL) | _in_pairs(unlike)
    others = [[round(found[start][0], 2), round(found[stop - 1][1], 2)] for start, stop in speech.runs(flagged)]
    details |= {
        "cosine": round(likeness, 4),
        "threshold_cosine": round(scale.cosine_at_margin(facts), 4),
        "raw_cosine": round(raw, 4),
        "window_cosine_min": round(float(with_live.min()), 4),
        "window_raw_cosine_min": round(float(raw_with_live.min()), 4),
        "own_cosine_min": round(float(with_own.min()), 4),
        "others": others,
        "false_accept_rate": scale.false_accept_rate,
        "prior": 0.5,
    }
    verdict, reason = _decided(value, limit)
    if others and verdict is not Verdict.REFUSE:
        everywhere = flagged.mean() > 0.5
        verdict, reason = Verdict.REFUSE, "different_speaker" if everywhere else "several_speakers"
    return _evidence("speaker_windows", value, limit, verdict, reason, chosen, scale, details)


def _in_pairs(low: np.ndarray) -> np.ndarray:
    """True where a window and its neighbour are both low."""
    both = low[1:] & low[:-1]
    return np.append(both, False) | np.append(False, both)


def _with_the_rest(parts: np.ndarray, enrolled: np.ndarray) -> np.ndarray:
    """Cosine of each window (n, d) with the recording's own voice: the mean of the third that is nearest to the live
    voice, the window itself left out. (n,); all ones where there are too few windows to speak of a rest."""
    if len(parts) < 3:
        return np.ones(len(parts))
    nearest = np.argsort(parts @ enrolled)[-max(2, len(parts) // 3) :]
    total = parts[nearest].sum(0)
    chosen = np.isin(np.arange(len(parts)), nearest)[:, None]
    rest = total - np.where(chosen, parts, 0.0)
    rest /= np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-9)
    return np.asarray((parts * rest).sum(1))


def _evidence(
    kind: str,
    value: float,
    limit: float,
    verdict: Verdict,
    reason: str,
    encoder: Encoder,
    scale: Calibration,
    details: dict[str, Detail],
) -> Evidence:
    return Evidence(
        kind=kind,
        value=round(value, 6),
        threshold=round(limit, 6),
        verdict=verdict,
        reason=reason,
        advice=advice(reason),
        model=f"{MODEL}/{encoder.model}/{scale.model}",
        details=details,
    )
