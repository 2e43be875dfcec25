"""What the card says, computed: error rates on held-out people, and how well the quality measures read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from consent.biometrics import company
from consent.biometrics.attacks.outcomes import upper_bound
from consent.biometrics.calibrate import clips
from consent.biometrics.calibrate.fit import Trials, equal_error_rate
from consent.biometrics.calibrate.trials import Measured
from consent.biometrics.calibration import Calibration
from consent.biometrics.speaker import MIN_NET_SECONDS, REFUSE_BELOW

CONDITIONS = list(clips.CONDITIONS)


@dataclass(frozen=True)
class Row:
    """One line of the table, shares 0..1; ``false_accept_bound``: one-sided 95 %, trials taken as independent."""

    condition: str
    seconds: float
    same: int
    other: int
    equal_error: float
    passed: float
    inconclusive: float
    refused: float
    false_accept: float
    false_accept_bound: float
    other_refused: float


def table(trials: Trials, standard: np.ndarray, scale: Calibration, *, recordings_only: bool = True) -> list[Row]:
    """One row a cell, for enrolments of all recordings (``recordings_only``) or of 5 s; ``standard``: held-out z."""
    chosen = _enrolment(trials, recordings_only)
    return [
        row
        for condition, seconds in trials.cells
        if (row := _row(trials, standard, scale, chosen, condition, seconds)) is not None
    ]


def _enrolment(trials: Trials, all_recordings: bool) -> np.ndarray:
    return (trials.facts[:, -1] > np.log(6.5)) == all_recordings


def _row(
    trials: Trials, standard: np.ndarray, scale: Calibration, chosen: np.ndarray, condition: int, seconds: float
) -> Row | None:
    here = chosen & (trials.condition == condition) & (trials.seconds == seconds) & np.isfinite(standard)
    same, other = here & (trials.kind == 1), here & (trials.kind == 0)
    if same.sum() < 10 or other.sum() < 100:
        return None
    passes, refuses = decisions(trials, standard, scale)
    return Row(
        condition=CONDITIONS[condition],
        seconds=seconds,
        same=int(same.sum()),
        other=int(other.sum()),
        equal_error=equal_error_rate(standard[same], standard[other]),
        passed=float(passes[same].mean()),
        inconclusive=float(1.0 - passes[same].mean() - refuses[same].mean()),
        refused=float(refuses[same].mean()),
        false_accept=float(passes[other].mean()),
        false_accept_bound=upper_bound(int(passes[other].sum()), int(other.sum())),
        other_refused=float(refuses[other].mean()),
    )


def decisions(trials: Trials, standard: np.ndarray, scale: Calibration) -> tuple[np.ndarray, np.ndarray]:
    """(passes, refuses) of every trial, as `speaker.verify` decides: nothing below MIN_NET_SECONDS."""
    enough = trials.net >= MIN_NET_SECONDS
    probable = scale.probability(standard, trials.facts)
    limit = scale.probability(scale.margin, trials.facts)
    return enough & (standard >= scale.margin), enough & (probable < np.minimum(REFUSE_BELOW, limit))


def curve(trials: Trials, standard: np.ndarray, condition: str, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Detection error trade-off: false-accept and false-reject shares over all limits, with all recordings enrolled."""
    here = _enrolment(trials, True) & (trials.condition == CONDITIONS.index(condition)) & (trials.seconds == seconds)
    here &= np.isfinite(standard)
    same, other = np.sort(standard[here & (trials.kind == 1)]), np.sort(standard[here & (trials.kind == 0)])
    limits = np.unique(np.concatenate([same, other]))
    rejects = np.searchsorted(same, limits) / max(len(same), 1)
    accepts = 1.0 - np.searchsorted(other, limits) / max(len(other), 1)
    return accepts, rejects


def company_figures(measured: Sequence[Measured], limit: float) -> tuple[int, float, int, float]:
    """(recordings of one person, share taken for several; of two people, share noticed), three windows of 3 s each."""
    alone, mixed = [], []
    whole = [one for one in measured if len(one.windows)]
    for number, one in enumerate(whole):
        for windows in one.windows:
            if np.abs(windows).sum() > 0:
                alone.append(company.parted(windows) < limit)
        for other in whole[number + 1 :]:
            if other.family != one.family and other.person != one.person:
                both = np.concatenate([one.windows[0][:2], other.windows[0][:1]])
                if bool((np.abs(both).sum(1) > 0).all()):
                    mixed.append(company.parted(both) < limit)
    return len(alone), float(np.mean(alone or [False])), len(mixed), float(np.mean(mixed or [False]))


def snr_errors(measured: Sequence[Measured]) -> list[tuple[float, int, float, float]]:
    """(true SNR, recordings, median error, largest error), in dB."""
    rows = np.concatenate([one.snr for one in measured])
    return [
        (float(truth), int(here.sum()), float(np.median(error)), float(np.abs(error).max()))
        for truth in np.unique(rows[:, 0])
        if (here := rows[:, 0] == truth).any()
        for error in [rows[here, 1] - truth]
    ]


def rooms(measured: Sequence[Measured]) -> list[tuple[str, int, float, float]]:
    """(condition, recordings, median and 95th percentile of the reverberation read, seconds)."""
    found = []
    for index, name in enumerate(CONDITIONS):
        each = [one.rows[(one.rows[:, 1] == index) & np.isfinite(one.rows[:, 4])] for one in measured]
        read = np.array([rows[0, 4] for rows in each if len(rows)])  # one recording a voice, repeated at each length
        if len(read):
            found.append((name, len(read), float(np.median(read)), float(np.percentile(read, 95))))
    return found
