"""Measuring one clip: mark it, attack it, search it, and keep what was found."""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watermark.codec import fingerprint, grid
from watermark.codec.bench.attacks import ATTACKS, SCALED, Attack, Missing, attacked
from watermark.codec.bench.quality import quality
from watermark.codec.codeword import codewords
from watermark.codec.detect import FALSE_POSITIVE, Detector, Report
from watermark.codec.embed import embed_checked
from watermark.codec.errors import MarkTooWeak, UnmarkableAudio
from watermark.codec.grid import RATE, Wave
from watermark.codec.listen import SAME, Heard

#: Ids that every bound is worked out for, and those that are really scored: the right one and strangers.
IDS = 1_000_000
SCORED = 1_000
#: Key of the bench; used nowhere else.
KEY = b"the key of the watermark's bench"


@dataclass
class Outcome:
    """One (clip, attack) pair. ``found``: the right id with a bound of at most 1e-6 for IDS issued ids; ``wrong``:
    another id with such a bound. ``sound`` and ``stranger``: the fingerprint's verdict on the right output and on
    another one."""

    clip: str
    seconds: int
    attack: str
    group: str
    found: bool = False
    wrong: bool = False
    score: float = 0.0
    bound: float = 1.0
    verdict: str = ""
    expected: float = 0.0
    edge_error_s: float | None = None
    sound: str = ""
    stranger: str = ""
    not_run: str = ""


@dataclass
class Clip:
    """A clip, its mark and what became of it."""

    name: str
    seconds: int
    strength: float = 0.0
    score: float = 0.0
    quality: dict[str, Any] = field(default_factory=dict)
    embed_s: float = 0.0
    refused: str = ""


def payload_of(name: str) -> int:
    """A payload that depends on the clip's name alone."""
    return random.Random(name).randrange(1, 1 << 48)  # noqa: S311 - not a secret


def strangers(payload: int) -> list[int]:
    """The right id and those that must not be found."""
    draw = random.Random(payload)  # noqa: S311 - not a secret
    return [payload, *(draw.randrange(1, 1 << 48) for _ in range(SCORED - 1))]


def marked(name: str, wave: Wave, strength: float) -> tuple[Clip, Wave | None]:
    """The clip with its mark, or why there is none."""
    out = Clip(name, round(len(wave) / RATE))
    began = time.perf_counter()
    try:
        result = embed_checked(wave, RATE, payload_of(name), KEY, strength=strength)
    except (MarkTooWeak, UnmarkableAudio) as error:
        out.refused = str(error)
        return out, None
    out.embed_s = time.perf_counter() - began
    out.strength, out.score = result.strength, result.score
    out.quality = asdict(quality(np.asarray(wave, np.float64), np.asarray(result.wave, np.float64)))
    return out, result.wave


def attack_all(
    clip: Clip, wave: Wave, other: NDArray[np.float64], attacks: list[Attack], stranger: bytes, *, scales: bool
) -> list[Outcome]:
    """Every attack on one marked clip. Other scales are searched where the attack calls for them, or with ``scales``
    wherever nothing is found, as a deployment does."""
    payload, own = payload_of(clip.name), fingerprint.fingerprint(wave, RATE)
    ids, detector, outcomes = strangers(payload), Detector(KEY), []
    for attack in attacks:
        outcome = Outcome(clip.name, clip.seconds, attack.name, attack.group)
        outcomes.append(outcome)
        try:
            heard_wave, rate = attacked(attack, np.asarray(wave, np.float64), RATE, clip.name, other)
            sound = np.asarray(heard_wave, np.float32)
            heard = Heard.of(sound, rate)
        except Missing as error:
            outcome.not_run = str(error)
            continue
        except UnmarkableAudio as error:
            outcome.verdict = f"refused: {error}"
            continue
        # Over SCORED ids a weak trace of a moved mark may already pass and end the search; over IDS it would not.
        report = detector.examine_heard(heard, ids, scales=True if attack.name in SCALED else None if scales else False)
        _judge(outcome, report, payload)
        if outcome.found:
            match = next(match for match in report.matches if match.payload == payload)
            part = fingerprint.of_heard(heard, match.scale, match.start_s, match.end_s)
            outcome.sound = fingerprint.agreement(part, own).verdict
            outcome.stranger = fingerprint.agreement(part, stranger).verdict
            if attack.name == "concat":
                outcome.edge_error_s = _edge_error(match.start_s, match.end_s, clip.seconds)
    return outcomes


def _judge(outcome: Outcome, report: Report, payload: int) -> None:
    """The search was over SCORED ids; its bounds grow with the number of ids, so they are brought to IDS."""
    passing = [match for match in report.matches if match.false_positive_bound * IDS / SCORED <= FALSE_POSITIVE]
    right = [match for match in passing if match.payload == payload]
    outcome.found, outcome.wrong = bool(right), len(passing) > len(right)
    outcome.score = right[0].score if right else report.best_score
    outcome.bound = min(1.0, (right[0].false_positive_bound if right else report.least_bound) * IDS / SCORED)
    outcome.verdict, outcome.expected = report.verdict, report.expected_score


def _edge_error(start: float, end: float, seconds: float) -> float:
    """The attack puts the clip a whole number of seconds after the beginning, so its place is known to the second."""
    begin = round(start)
    return max(abs(start - begin), abs(end - begin - seconds))


@dataclass
class Unmarked:
    """A clip without a mark: mean square and maximum of ``tests`` scores, and the least bound for IDS ids."""

    clip: str
    tests: int
    mean_square: float
    top: float
    bound: float
    verdict: str


def unmarked(name: str, wave: Wave, *, ids: int = SCORED) -> Unmarked:
    """Search an unmarked clip for ids that are all wrong, and look at the scores themselves."""
    draw = random.Random("unmarked" + name)  # noqa: S311 - not a secret
    payloads = [draw.randrange(1, 1 << 48) for _ in range(ids)]
    report = Detector(KEY).examine(wave, RATE, payloads, scales=False)
    heard = Heard.of(wave, RATE)
    vectors = heard.folded(SAME, heard.whole()).vectors
    turned = np.concatenate([np.roll(vectors, rotation, axis=1) for rotation in range(grid.CHIPS)])
    scores = codewords(KEY, payloads).reshape(ids, -1) @ turned.reshape(len(turned), -1).T
    return Unmarked(
        name, report.alignments * ids, float(np.mean(scores**2)), report.best_score,
        min(1.0, report.least_bound * IDS / ids), report.verdict,
    )  # fmt: skip


def chosen(which: str) -> list[Attack]:
    """All fifty, or the twenty-eight of the core."""
    return [attack for attack in ATTACKS if which == "all" or attack.core]
