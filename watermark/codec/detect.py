"""Finding marks, with a proved bound on being wrong.

The statistic of a payload is tau = <V, c> / |V|, where V are the soft values folded over the period and c the
payload's signs. V is made without key or payload, so for any payload that is not in the sound the signs are fair
coins to it, whatever the sound and however V came about, and P(tau > t) is bounded (tail(), by Hoeffding and by
Bentkus and Dzindzalieta).

The trials fall into classes, each with a share of the chance of being wrong that is fixed beforehand: the whole sound,
windows of it, other speeds, tempos and pitches, and a short list that the caller brings (from the fingerprint). Over M
payloads and K alignments of a class with share w, the chance that any of them is named wrongly is at most
M K tail(tau) / w. That figure stands with every answer, with K counting every alignment that could have been
scored, for what a first pass leaves out was left out by looking at codewords. It does not cover someone who holds the
key or who may ask again and again and adapt: limit and log such questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from watermark.codec import scoring
from watermark.codec.codeword import check_key, check_payload, codewords, packed_codewords
from watermark.codec.extent import extent
from watermark.codec.grid import CHIPS, HOP, HOPS_PER_CHIP, RATE
from watermark.codec.index import IssuedIndex, Shard, as_index
from watermark.codec.listen import COARSE_OFFSETS, GRID, NEAR, OFFSETS, SAME, Folded, Heard, Scale, near

#: Chance, at most, that one query names any payload wrongly.
FALSE_POSITIVE = 1e-6
#: 1 / (4 P(standard normal >= sqrt 2)), about 3.178: no smaller factor holds for every weighted sum of fair coins.
TAIL_FACTOR = 1 / (2 * math.erfc(1.0))
#: Shares of that chance: the whole sound, windows of it, the grid of scales, and the caller's short list.
SHARES = {"whole": 0.4, "windows": 0.2, "scales": 0.2, "listed": 0.2}
#: Payloads of which the first pass is left out; and how many it leaves for the second.
FEW = 4_096
KEPT = 2_048
#: Payloads and scales with the best first score whose neighbourhood on the grid is looked at.
KEPT_ON_GRID = 48
SCALES_REFINED = 3
#: Vectors times payloads up to which the grid of scales is scored: about ten minutes of two cores.
GRID_WORK = 6e9
#: How many times the threshold a mark must be expected to score before its absence means anything: what was really
#: read from marked clips that had suffered most was down to 0.28 of what was expected.
MISSED_FACTOR = 4.0
#: Least time in seconds between two places at which one payload is reported.
APART_S = 1.0


@dataclass(frozen=True)
class Match:
    """A payload found between two times (seconds), its score tau and the bound on this query being wrong."""

    payload: int
    start_s: float
    end_s: float
    score: float
    false_positive_bound: float
    #: What the sound's speed and pitch had been changed by.
    scale: Scale = SAME


@dataclass(frozen=True)
class Presence:
    """Whether any of the payloads is there: "marked", "not marked" or "inconclusive"; see Detector.detect_presence().

    ``false_positive_bound`` (at most 1) is proved for the ``ids`` and ``alignments`` tried. ``expected_score`` is what
    a mark of everyday strength over the whole sound would have scored, as far as the soft values can tell.
    """

    verdict: str
    score: float
    false_positive_bound: float
    ids: int = 0
    alignments: int = 0
    expected_score: float = 0.0

    @property
    def present(self) -> bool:
        """True for "marked" alone."""
        return self.verdict == "marked"


@dataclass(frozen=True)
class Report:
    """Everything a search found, and what was tried: ids (M), alignments (K, all classes) and whether the grid was."""

    matches: list[Match]
    ids: int
    alignments: int
    best_score: float
    least_bound: float
    scales_tried: bool
    expected_score: float

    @property
    def verdict(self) -> str:
        """As in Detector.detect_presence()."""
        if self.matches:
            return "marked"
        if self.ids and self.expected_score >= MISSED_FACTOR * threshold(self.ids, CHIPS * len(OFFSETS)):
            return "not marked"
        return "inconclusive"


@dataclass(frozen=True)
class Candidates:
    """Payloads that a first pass over one shard leaves, with their scores there; (payloads,) both."""

    payloads: list[int]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class _Class:
    """A class of trials: its name, its vectors and on which scale each lies, and the K that counts."""

    name: str
    folded: list[tuple[Scale, Folded]]
    alignments: int


class Detector:
    """Searches sound for payloads marked with ``key``; ``device`` "cpu", or a torch device such as "cuda".

    Raises BadKey.
    """

    def __init__(self, key: bytes, device: str = "cpu") -> None:
        self._key = check_key(key)
        self._device = device

    def search(
        self, wave: object, rate: int, issued: Sequence[int] | IssuedIndex, *, listed: Sequence[int] = ()
    ) -> list[Match]:
        """All payloads of ``issued`` found in ``wave`` (float (samples,) or (channels, samples), a rate of
        grid.ACCEPTED_RATES), best first, each place with its start and end. ``listed`` are payloads that something
        other than a codeword points to, such as the fingerprint; a lower score proves them.

        Raises UnmarkableAudio, BadPayload.
        """
        return self.examine(wave, rate, issued, listed=listed).matches

    def examine(
        self, wave: object, rate: int, issued: Sequence[int] | IssuedIndex, *, listed: Sequence[int] = (),
        scales: bool | None = None,
    ) -> Report:  # fmt: skip
        """search(), with what was tried. Other speeds, tempos and pitches are looked for when nothing is found as the
        sound stands; ``scales`` True looks for them always, False never."""
        return self.examine_heard(Heard.of(wave, rate), issued, listed=listed, scales=scales)

    def examine_heard(
        self, heard: Heard, issued: Sequence[int] | IssuedIndex, *, listed: Sequence[int] = (),
        scales: bool | None = None,
    ) -> Report:  # fmt: skip
        """examine() of a recording that was made ready already."""
        index = as_index(issued)
        listed = [payload for payload in dict.fromkeys(listed) if payload in index]
        expected = _expected(heard)
        if not len(index):
            return Report([], 0, 0, 0.0, 1.0, False, expected)
        plain = self._plain_classes(heard)
        first = [] if len(index) <= FEW else [heard.folded(SAME, heard.whole(), ways=heard.between)]
        if first and (windows := heard.windows(SAME, coarse=True)):
            first.append(heard.folded(SAME, windows, COARSE_OFFSETS, heard.between))
        candidates = self.merged([self.candidates(first, shard) for shard in index.shards], listed)
        found, best, least = self._second(heard, plain, candidates, len(index), listed)
        tried = sum(part.alignments for part in plain)
        with_scales = not found if scales is None else scales
        if with_scales:
            with_scales, more = self._on_grid(heard, index, listed)
            if more is not None:
                found += more[0]
                best, least = max(best, more[1]), min(least, more[2])
                tried += more[3]
        matches = sorted(_distinct(found), key=lambda match: (match.false_positive_bound, -match.score))
        return Report(matches, len(index), tried, best, least, with_scales, expected)

    def detect_presence(self, wave: object, rate: int, issued: Sequence[int] | IssuedIndex) -> Presence:
        """Whether any payload of ``issued`` is in ``wave``, without saying which. Raises as search().

        "marked" is proved by the bound. "not marked" says that none of these payloads was found although a mark of
        everyday strength should have scored several times what it takes; it is an estimate, not a proof, and takes
        half a minute of clear speech or more. Everything else is "inconclusive".
        """
        report = self.examine(wave, rate, issued)
        return Presence(
            report.verdict, report.best_score, report.least_bound, report.ids, report.alignments, report.expected_score
        )

    def score(self, wave: object, rate: int, payload: int) -> float:
        """Best tau of one payload over the whole sound (no windows): what a mark's strength is judged by."""
        heard = Heard.of(wave, rate)
        tau, _ = scoring.each(
            codewords(self._key, [check_payload(payload)])[0], heard.folded(SAME, heard.whole()).vectors
        )
        return float(tau.max())

    def candidates(self, folded: list[Folded], shard: Shard) -> Candidates:
        """The first pass over one shard: the payloads worth a second look, all of them if ``folded`` is empty."""
        payloads = shard.payloads[:]
        if not folded:
            return Candidates(payloads, np.zeros(len(payloads), np.float32))
        vectors = np.concatenate([part.vectors for part in folded])
        scores, _ = scoring.best(shard.packed(self._key)[: len(payloads)], vectors, device=self._device)
        kept = np.argsort(-scores)[:KEPT]
        return Candidates([payloads[place] for place in kept], scores[kept])

    @staticmethod
    def merged(parts: list[Candidates], listed: Sequence[int]) -> list[int]:
        """The best candidates of all shards, and those the caller listed."""
        payloads = [payload for part in parts for payload in part.payloads]
        if any(part.scores.any() for part in parts):
            order = np.argsort(-np.concatenate([part.scores for part in parts]), kind="stable")[:KEPT]
            payloads = [payloads[place] for place in order]
        return list(dict.fromkeys([*payloads, *listed]))

    def _plain_classes(self, heard: Heard) -> list[_Class]:
        whole = heard.folded(SAME, heard.whole())
        classes = [_Class("whole", [(SAME, whole)], whole.alignments)]
        if windows := heard.windows(SAME, coarse=False):
            folded = heard.folded(SAME, windows)
            classes.append(_Class("windows", [(SAME, folded)], folded.alignments))
        return classes

    def _second(
        self, heard: Heard, classes: list[_Class], candidates: list[int], ids: int, listed: Sequence[int]
    ) -> tuple[list[Match], float, float]:
        """Matches of the candidates in these classes, the best score and the least bound of all, found or not."""
        if not candidates:
            return [], 0.0, 1.0
        packed = packed_codewords(self._key, candidates)
        short = frozenset(listed)
        all_alignments = sum(part.alignments for part in classes)
        found, top, least = [], 0.0, 1.0
        for part in classes:
            vectors = np.concatenate([folded.vectors for _, folded in part.folded])
            scores, _ = scoring.best(packed, vectors, device=self._device)

            def bound_of(score: float, payload: int, part: _Class = part) -> float:
                figure = bound(score, ids, part.alignments, SHARES[part.name])
                if payload in short:
                    figure = min(figure, bound(score, len(short), all_alignments, SHARES["listed"]))
                return figure

            bounds = [bound_of(float(score), payload) for score, payload in zip(scores, candidates, strict=True)]
            top, least = max(top, float(scores.max())), min(least, *bounds)
            for place in np.flatnonzero(np.array(bounds) <= FALSE_POSITIVE):
                payload = candidates[place]
                found += [
                    Match(payload, start, end, score, bound_of(score, payload), scale)
                    for start, end, score, scale in self._places(heard, part, payload, float(scores[place]), bound_of)
                ]
        return found, top, least

    def _places(
        self, heard: Heard, part: _Class, payload: int, top: float, bound_of: Callable[[float, int], float]
    ) -> list[tuple[float, float, float, Scale]]:
        """Every stretch in which ``payload`` passes: (start, end, score, scale), best first."""
        code = codewords(self._key, [payload])[0]
        places: list[tuple[float, float, float, Scale]] = []
        for scale, folded in part.folded:
            tau, rotation = scoring.each(code, folded.vectors)
            stride = scale.time * HOP / RATE
            for at in np.argsort(-tau):
                if bound_of(float(tau[at]), payload) > FALSE_POSITIVE:
                    break
                middle = folded.windows[at].mean() * stride
                if any(start - APART_S / 2 <= middle <= end + APART_S / 2 for start, end, _, _ in places):
                    continue
                offset = int(folded.offsets[at])
                window = np.clip(-(-(folded.windows[at] - offset) // HOPS_PER_CHIP), 0, None)
                chips = heard.chips(scale, offset)
                first, last = extent(chips, code, int(rotation[at]), (int(window[0]), min(int(window[1]), len(chips))))
                # Chip j is centred at hop offset + 8 j.
                start, end = ((offset + HOPS_PER_CHIP * (edge - 0.5)) * stride for edge in (first, last))
                places.append((max(0.0, start), min(heard.seconds, end), float(tau[at]), scale))
        return places

    def _on_grid(
        self, heard: Heard, index: IssuedIndex, listed: Sequence[int]
    ) -> tuple[bool, tuple[list[Match], float, float, int] | None]:
        """Whether the grid was scored, and its matches, best score, least bound and K."""
        windows = {scale: heard.whole(scale) + heard.windows(scale, coarse=True) for scale in GRID}
        ways = len(heard.weightings)
        if len(index) * sum(map(len, windows.values())) * len(COARSE_OFFSETS) * ways > GRID_WORK:
            return False, None
        payloads = list(index)
        top = np.full(len(payloads), -np.inf, np.float32)
        row = np.zeros(len(payloads), np.int64)
        for number, scale in enumerate(GRID):
            vectors = heard.folded(scale, windows[scale], COARSE_OFFSETS).vectors
            parts = [scoring.best(shard.packed(self._key), vectors, device=self._device)[0] for shard in index.shards]
            scores = np.concatenate(parts)[: len(payloads)]
            better = scores > top
            top[better], row[better] = scores[better], number
        kept = np.argsort(-top)[:KEPT_ON_GRID]
        refined = list(dict.fromkeys(row[kept].tolist()))[:SCALES_REFINED]
        near_by = dict.fromkeys(scale for number in refined for scale in near(GRID[number]))
        folded = [
            (scale, heard.folded(scale, heard.whole(scale) + heard.windows(scale, coarse=False))) for scale in near_by
        ]
        # All of the grid and its neighbours could have been refined: all of it counts.
        most = max(1 + len(heard.windows(scale, coarse=False)) for scale in GRID for scale in near(scale))
        alignments = len(GRID) * len(NEAR) * most * len(OFFSETS) * ways * CHIPS
        part = _Class("scales", folded, alignments)
        candidates = list(dict.fromkeys([*(payloads[place] for place in kept), *listed]))
        found, best, least = self._second(heard, [part], candidates, len(index), listed)
        return True, (found, best, least, alignments)


def detect_presence(
    wave: object, rate: int, *, key: bytes | None = None, issued: Sequence[int] | IssuedIndex = (), device: str = "cpu"
) -> Presence:
    """Whether a mark of ``key`` with one of ``issued`` is in ``wave``; see Detector.detect_presence().

    No pattern is shared between files, so without a key and payloads nothing can be proved either way and the verdict
    is "inconclusive", with a bound of 1. Raises UnmarkableAudio, BadKey, BadPayload.
    """
    if key is None:
        return Presence("inconclusive", 0.0, 1.0, expected_score=_expected(Heard.of(wave, rate)))
    return Detector(key, device).detect_presence(wave, rate, issued)


def tail(score: float) -> float:
    """A proved bound on P(sum of a_i e_i >= score) for fair coins e_i = +-1 and any fixed a with sum of squares 1: the
    lesser of exp(-t^2 / 2) (Hoeffding 1963) and TAIL_FACTOR P(standard normal >= t) (Bentkus and Dzindzalieta, "A
    tight Gaussian bound for weighted sums of Rademacher random variables", Bernoulli 21, 2015)."""
    normal = 0.5 * math.erfc(score / math.sqrt(2))
    return min(math.exp(-(max(score, 0.0) ** 2) / 2), TAIL_FACTOR * normal)


def bound(score: float, payloads: int, alignments: int, share: float = 1.0) -> float:
    """M K tail(tau) / w, at most 1: the chance that a query naming a payload at this score is wrong."""
    return min(1.0, payloads * alignments * tail(score) / share)


def threshold(payloads: int, alignments: int, false_positive: float = FALSE_POSITIVE) -> float:
    """The score at which bound() equals ``false_positive``."""
    chance = false_positive / (payloads * alignments)
    return min(math.sqrt(-2 * math.log(chance)), -float(ndtri(chance / TAIL_FACTOR)))


def _expected(heard: Heard) -> float:
    """What a mark would have scored: soft values are log-odds v, which agree with the signs by tanh(v / 2) on average
    where there is a mark, and they come out alike where there is none."""
    chips = heard.chips(SAME, HOPS_PER_CHIP // 2)
    padded = np.pad(chips, ((0, -len(chips) % CHIPS), (0, 0))).reshape(-1, CHIPS, chips.shape[1])
    folded = padded.sum(axis=0)
    agreement = (padded * np.tanh(padded / 2)).sum()
    return float(agreement / max(float(np.sqrt((folded**2).sum())), 1e-12))


def _distinct(found: list[Match]) -> list[Match]:
    """Of matches of one payload that overlap by more than half of the shorter, the most certain."""
    kept: list[Match] = []
    for match in sorted(found, key=lambda each: (each.false_positive_bound, -each.score)):
        if not any(other.payload == match.payload and _overlap(other, match) > 0.5 for other in kept):
            kept.append(match)
    return kept


def _overlap(one: Match, other: Match) -> float:
    both = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return both / max(min(one.end_s - one.start_s, other.end_s - other.start_s), 1e-9)
