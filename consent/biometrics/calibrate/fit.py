"""From trials to coefficients: impostor lines, the margin, the logistic; and the same again with people held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from consent.biometrics import calibration
from consent.biometrics.calibrate import clips
from consent.biometrics.calibrate.trials import Measured
from consent.biometrics.calibration import Calibration
from consent.biometrics.speaker import MIN_NET_SECONDS

#: The share of impostors that may pass in the worst cell of the calibration; the promise is a little wider.
TARGET: Final = 0.004
PROMISE: Final = 0.005
FOLDS: Final = 5
#: Channel directions taken away. On 37 voices, held out, share of the same person that passes with 0.3 % of the others,
#: before and after: noise 10 dB 54 and 95 %, a room of 0.6 s 39 and 71 %, telephone 45 and 79 % (10 s of speech each);
#: 15 directions did not do better.
DIRECTIONS: Final = 5
#: Where the facts stop mattering: a room quieter, drier or wider than this changes no score, and no line is followed
#: beyond its data. In the order of `condition.NAMES`, then the log of the enrolled seconds.
LOWEST: Final = (0.7, 8.0, 6.0, -50.0, 0.22, 1.4)
HIGHEST: Final = (2.5, 32.0, 24.0, -30.0, 0.6, 3.2)
_RIDGE: Final = 1e-3
#: Mean of log|x| for a standard normal x.
_LOG_ABS_NORMAL: Final = -0.6352


@dataclass(frozen=True)
class Trials:
    """One row a comparison. ``enroller``, ``tester``: indices of voices; ``kind``: 1 same voice, 0 another person, 2
    the same person in another set of recordings; ``recording`` of the tester; ``condition``: index into CONDITIONS."""

    enroller: np.ndarray
    tester: np.ndarray
    kind: np.ndarray
    recording: np.ndarray
    condition: np.ndarray
    seconds: np.ndarray
    net: np.ndarray
    facts: np.ndarray
    cosine: np.ndarray

    def where(self, chosen: np.ndarray) -> Trials:
        """The rows where ``chosen`` is true."""
        return Trials(**{name: value[chosen] for name, value in vars(self).items()})

    @property
    def cells(self) -> list[tuple[int, float]]:
        """(condition, seconds) that occur, in order."""
        return sorted({(int(one), float(two)) for one, two in zip(self.condition, self.seconds, strict=True)})

    def cell(self, condition: int, seconds: float) -> Trials:
        """The rows of one condition at one length."""
        return self.where((self.condition == condition) & (self.seconds == seconds))


@dataclass(frozen=True)
class Basis:
    """What is taken away from embeddings before they are compared (see `calibration.Calibration`)."""

    centre: np.ndarray
    nuisance: np.ndarray


def basis(measured: Sequence[Measured], directions: int = DIRECTIONS) -> Basis:
    """The mean of the people, each counting the same, and the directions in which a recording moves with its condition
    and its length: the largest of the differences to the longest clean part of the same recording."""
    means = [(one.enrol if len(one.enrol) else one.embeddings).mean(0) for one in measured]
    moved = []
    for one in measured:
        for recording in np.unique(one.rows[:, 0]):
            here = one.rows[:, 0] == recording
            clean = here & (one.rows[:, 1] == 0)
            if clean.any():
                longest = one.embeddings[clean][np.argmax(one.rows[clean, 2])]
                moved.append(one.embeddings[here] - longest)
    found = np.linalg.svd(np.concatenate(moved), full_matrices=False)[2][:directions]
    units = [mean / np.linalg.norm(mean) for mean in means]
    return Basis(np.asarray(np.mean(units, axis=0), dtype=np.float64), found.astype(np.float64))


def pair(measured: Sequence[Measured], space: Basis, chosen: np.ndarray | None = None) -> Trials:
    """Every enrolment against every test, but not between voices that may be one person.

    Each voice enrols twice: by the mean of all its enrolment recordings, and by 5 s of the first one, as a live answer.
    ``chosen`` (voices, voices): the pairs to make, all without it.
    """
    parts = []
    cleaned = [calibration.cleaned(one.embeddings, space.centre, space.nuisance) for one in measured]
    for first, enroller in enumerate(measured):
        if not len(enroller.enrol):
            continue
        nets = np.exp(enroller.enrol_facts[:, 0])
        enrol, short = (
            calibration.cleaned(one, space.centre, space.nuisance) for one in (enroller.enrol, enroller.enrol_short)
        )
        enrolments = [(calibration.centroid(list(enrol)), float(nets.sum())), (short[0], min(5.0, float(nets[0])))]
        for second, tester in enumerate(measured):
            same = enroller.person == tester.person
            if (not same and enroller.family == tester.family) or (chosen is not None and not chosen[first, second]):
                continue
            kind = (1 if first == second else 2) if same else 0
            count = len(tester.rows)
            for enrolled, seconds in enrolments:
                parts.append(
                    Trials(
                        enroller=np.full(count, first),
                        tester=np.full(count, second),
                        kind=np.full(count, kind),
                        recording=tester.rows[:, 0],
                        condition=tester.rows[:, 1].astype(int),
                        seconds=tester.rows[:, 2],
                        net=np.exp(tester.facts[:, 0]),
                        facts=np.column_stack([tester.facts, np.full(count, np.log(seconds))]),
                        cosine=cleaned[second] @ enrolled,
                    )
                )
    return Trials(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def fit(trials: Trials, space: Basis, *, model: str, people: int, margin: float | None = None) -> Calibration:
    """Coefficients from trials of at least MIN_NET_SECONDS. ``margin``: where it is known from held-out people."""
    used = trials.where(trials.net >= 0.6 * MIN_NET_SECONDS)
    low, high = np.array(LOWEST), np.array(HIGHEST)
    inside = np.clip(used.facts, low, high)
    design = np.column_stack([np.ones(len(inside)), inside])
    other = used.kind == 0
    weights = _even(used.condition[other])
    mean = _least_squares(design[other], used.cosine[other], weights)
    residual = np.log(np.abs(used.cosine[other] - design[other] @ mean) + 1e-4) - _LOG_ABS_NORMAL
    spread = _least_squares(design[other], residual, weights)
    standard = (used.cosine - design @ mean) / np.exp(design @ spread)
    both = used.kind != 2
    logistic = _logistic(
        np.column_stack([np.ones(both.sum()), standard[both], inside[both]]), used.kind[both] == 1, used.condition[both]
    )
    if margin is None:
        margin = worst_quantile(used, standard)
    return Calibration(
        model=model,
        false_accept_rate=PROMISE,
        margin=round(margin, 4),
        lowest=low,
        highest=high,
        impostor_mean=mean,
        impostor_spread=spread,
        logistic=logistic,
        max_log_odds=round(float(np.log((used.kind == 0).sum() / len(used.cells) / 3.0)), 2),
        centre=space.centre,
        nuisance=space.nuisance,
        people=people,
    )


def worst_quantile(trials: Trials, standard: np.ndarray) -> float:
    """The z that TARGET of the impostors of the worst cell reach. A cell: one condition at one length."""
    found = []
    for condition, seconds in trials.cells:
        chosen = (trials.condition == condition) & (trials.seconds == seconds) & (trials.kind == 0)
        chosen &= trials.net >= 0.8 * MIN_NET_SECONDS
        if chosen.sum() >= 200:
            found.append(float(np.quantile(standard[chosen], 1.0 - TARGET)))
    return max(found)


def folds(measured: Sequence[Measured], count: int = FOLDS) -> np.ndarray:
    """Fold of each voice: everybody who may be one person in one fold."""
    families = sorted({one.family for one in measured})
    place = {family: number % count for number, family in enumerate(families)}
    return np.array([place[one.family] for one in measured])


def held_out(measured: Sequence[Measured], fold: np.ndarray, *, model: str) -> tuple[Trials, np.ndarray]:
    """All trials, each with its z (rows,) by coefficients and a basis fitted without anybody in it.

    A trial between people of two folds is judged by what was fitted on the other folds.
    """
    trials, standards = [], []
    for first in range(fold.max() + 1):
        for second in range(first, fold.max() + 1):
            rest = [one for one, place in zip(measured, fold, strict=True) if place not in (first, second)]
            low, high = np.minimum.outer(fold, fold), np.maximum.outer(fold, fold)
            chosen = (low == first) & (high == second)
            if not chosen.any():
                continue
            space = basis(rest)
            scale = fit(pair(rest, space), space, model=model, people=0, margin=0.0)
            judged = pair(measured, space, chosen)
            trials.append(judged)
            standards.append(scale.standard(judged.cosine, judged.facts))
    names = vars(trials[0])
    return Trials(**{name: np.concatenate([getattr(one, name) for one in trials]) for name in names}), np.concatenate(
        standards
    )


def equal_error_rate(same: np.ndarray, other: np.ndarray) -> float:
    """Share of errors where both kinds are equally frequent, of scores that are higher for the same person."""
    limits = np.sort(np.concatenate([same, other]))
    missed = np.searchsorted(np.sort(same), limits, side="left") / len(same)
    passed = 1.0 - np.searchsorted(np.sort(other), limits, side="left") / len(other)
    best = int(np.argmin(np.abs(missed - passed)))
    return float(missed[best] + passed[best]) / 2.0


def _even(condition: np.ndarray) -> np.ndarray:
    """Weights that give every condition the same say."""
    counts = np.bincount(condition, minlength=len(clips.CONDITIONS))
    return 1.0 / counts[condition]


def _least_squares(design: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    weighted = design * weights[:, None]
    ridge = np.eye(design.shape[1]) * _RIDGE * weights.sum()
    ridge[0, 0] = 0.0
    return np.linalg.solve(weighted.T @ design + ridge, weighted.T @ target)


def _logistic(design: np.ndarray, same: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """Logistic regression by Newton's method; both kinds weigh the same in each condition (equal prior odds)."""
    weights = np.zeros(len(same))
    for kind in (True, False):
        chosen = same == kind
        weights[chosen] = _even(condition[chosen]) / len(np.unique(condition[chosen]))
    found = np.zeros(design.shape[1])
    ridge = np.eye(design.shape[1]) * _RIDGE
    ridge[0, 0] = ridge[1, 1] = 0.0
    for _ in range(50):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ found, -30.0, 30.0)))
        gradient = design.T @ (weights * (chance - same)) + ridge @ found
        curvature = design.T @ (design * (weights * chance * (1.0 - chance))[:, None]) + ridge
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(found)), gradient)
        found -= np.clip(step, -5.0, 5.0)
        if np.abs(step).max() < 1e-6:
            break
    return found
