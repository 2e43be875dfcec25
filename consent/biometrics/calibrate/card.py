"""Writing the card: tables of held-out figures, a DET plot, and what the samples cannot support."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.stats import norm

from consent.biometrics import quality
from consent.biometrics.attacks import SPECIES
from consent.biometrics.calibrate import figures
from consent.biometrics.calibrate.fit import Trials
from consent.biometrics.calibrate.trials import Measured
from consent.biometrics.calibration import Calibration
from consent.biometrics.speaker import REFUSE_BELOW

#: Lines of the plot: condition, seconds, colour.
LINES: Final = (
    ("clean", 10.0, "#1b9e77"),
    ("clean", 5.0, "#66a61e"),
    ("clean", 3.0, "#7570b3"),
    ("noise 20 dB", 5.0, "#d95f02"),
    ("noise 10 dB", 10.0, "#e7298a"),
    ("room 0.6 s", 10.0, "#a6761d"),
    ("telephone", 10.0, "#666666"),
)
FLOOR: Final = (
    "The tables judge by z alone. The gate also asks for a raw cosine that rises with the length of the speech "
    "(`speaker.FLOOR`, where it says what that costs people): the calibration knows people, and to it two synthesisers "
    "may be one voice."
)
#: The last heading.
ATTACKS: Final = "## Attacks (ISO/IEC 30107-3)"
_TICKS: Final = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
_SIZE: Final = 460
_EDGE: Final = 50
_HEAD: Final = (
    "| condition | seconds | trials same / other | EER % | same: pass / inconclusive / refused % "
    "| false accept % (95 % bound) | other: refused % |\n|---|---|---|---|---|---|---|"
)


def write(
    out: Path,
    measured: Sequence[Measured],
    scale: Calibration,
    trials: Trials,
    standard: np.ndarray,
    *,
    attacks: Path | None,
) -> None:
    """The card at ``out`` and its plot beside it."""
    plot = out.with_name("biometrics-det.svg")
    plot.write_text(det(trials, standard), encoding="utf-8")
    out.write_text(text(measured, scale, trials, standard, plot=plot.name, attacks=attacks), encoding="utf-8")


def text(
    measured: Sequence[Measured],
    scale: Calibration,
    trials: Trials,
    standard: np.ndarray,
    *,
    plot: str,
    attacks: Path | None,
) -> str:
    """The card in Markdown."""
    people = len({one.person for one in measured})
    two = sum(one.apart for one in measured)
    parts = [
        "# The consent gate's biometrics: what was measured",
        "Made by `python -m consent.biometrics.calibrate --speech FOLDER`, which fits the coefficients in "
        "`consent/biometrics/speaker_calibration.json` and writes this page. The folder holds the Debian packages "
        "the command "
        "names, unpacked with `dpkg -x`. No audio and no embedding of a person is kept in the repository: what is "
        "kept are "
        "the mean embedding of all people, "
        f"{len(scale.nuisance)} directions of the channel and the coefficients of a line, a spread and a logistic.",
        "## People",
        f"{len(measured)} voices of {people} people (one woman in two languages and sessions), from telephone "
        "prompts, games and "
        f"alphabet tutors; {two} voices enrol and are tested in different sessions (texts; mostly not different days). "
        "Whoever might be the same volunteer is never counted as an impostor of the other. Speech was not recorded "
        "for this: "
        "prompts are levelled and joined to recordings. No sex, age or accent is labelled for most of them, so equal "
        "performance across groups is not shown.",
        "Left out or not counted as different people, because the folders name nobody and the scores speak against it: "
        "klettres `de` (its two folders are two people), klettres `tn` against `pt_BR` (0.88 at 5 s).",
        "## Speaker verification",
        "Every figure is held out: a trial is judged by coefficients fitted without the two people in it and "
        "without the "
        "rest of their folds (5 folds). Enrolment: two recordings of 10 s, clean. *Pass* means z of at least "
        f"{scale.margin:.2f}, "
        "set so that the worst row of both tables lets 0.4 % of impostors through; *refused* a probability below "
        f"{REFUSE_BELOW} "
        "(equal prior "
        "odds); anything between is inconclusive. Under 3 s of net speech nothing is decided.",
        _rows(figures.table(trials, standard, scale)),
        "Enrolment by 5 s alone, as a live answer is:",
        _rows(figures.table(trials, standard, scale, recordings_only=False)),
        f"![Detection error trade-off]({plot})",
        FLOOR,
        _other_session(measured, scale, trials, standard),
        _support(trials, people),
        "## Quality",
        _quality(measured),
        ATTACKS,
        _attacks(attacks),
    ]
    return "\n\n".join(parts) + "\n"


def _rows(rows: Sequence[figures.Row]) -> str:
    lines = [
        f"| {row.condition} | {row.seconds:g} | {row.same} / {row.other} | {100 * row.equal_error:.1f} "
        f"| {100 * row.passed:.0f} / {100 * row.inconclusive:.0f} / {100 * row.refused:.1f} "
        f"| {100 * row.false_accept:.2f} ({100 * row.false_accept_bound:.2f}) | {100 * row.other_refused:.0f} |"
        for row in rows
    ]
    return "\n".join([_HEAD, *lines])


def _other_session(measured: Sequence[Measured], scale: Calibration, trials: Trials, standard: np.ndarray) -> str:
    passes, refuses = figures.decisions(trials, standard, scale)
    lines = ["One person, other language and session (Allison, en and es; enrolment by all recordings):", ""]
    lines += ["| condition | seconds | trials | pass / inconclusive / refused % |", "|---|---|---|---|"]
    several = trials.facts[:, -1] > np.log(6.5)
    for condition, seconds in trials.cells:
        here = several & (trials.kind == 2) & (trials.condition == condition) & (trials.seconds == seconds)
        if here.sum():
            undecided = 1.0 - passes[here].mean() - refuses[here].mean()
            lines.append(
                f"| {figures.CONDITIONS[condition]} | {seconds:g} | {here.sum()} | {100 * passes[here].mean():.0f} / "
                f"{100 * undecided:.0f} / {100 * refuses[here].mean():.0f} |"
            )
    lines += [
        "",
        "False refusal across sessions can be read in two ways. Answered *refused* (somebody else): the last figure. "
        "Not accepted, refused and inconclusive together, as the error rate at one threshold counts it: all but the "
        "first figure, and by that reading a goal of 20 % is missed. The person is asked to record again; the margin "
        "that keeps other people out is the price. Enrol on two days, or mount a stronger encoder.",
    ]
    return "\n".join(lines)


def _support(trials: Trials, people: int) -> str:
    """What the sample sizes cannot say."""
    pairs = len({tuple(sorted(pair)) for pair in zip(trials.enroller, trials.tester, strict=True)})
    return (
        "**What this cannot support.** Trials of one pair of people are not independent: the bounds in brackets "
        "count them as "
        f"if they were. {people} people make {pairs} pairs; by the rule of three, no error among that many pairs "
        "bounds the "
        f"share of pairs that are confused only below {300 / max(pairs, 1):.2f} % (95 %), so 1 in 10,000 is out of "
        "reach. One "
        "person was measured in two sessions. Clones and imitators are attacks, below, not impostors."
    )


def _quality(measured: Sequence[Measured]) -> str:
    lines = [
        "Noise of known strength added to quiet recordings (SNR, dB):",
        "",
        "| truth | recordings | median error | largest error |",
        "|---|---|---|---|",
    ]
    for truth, count, middle, most in figures.snr_errors(measured):
        lines.append(f"| {truth:g} | {count} | {middle:+.1f} | {most:.1f} |")
    lines += ["", "Reverberation read (seconds):", "", "| condition | recordings | median | 95th percentile |"]
    lines.append("|---|---|---|---|")
    for name, count, middle, high in figures.rooms(measured):
        lines.append(f"| {name} | {count} | {middle:.2f} | {high:.2f} |")
    one, taken, two, noticed = figures.company_figures(measured, quality.MIN_ALIKE)
    lines += [
        "",
        f"Several speakers (9 s, three windows; refused below a cosine of {quality.MIN_ALIKE}): {one} recordings "
        "of one person, "
        f"{100 * taken:.1f} % taken for several; {two} of two people in turns (6 s and 3 s), {100 * noticed:.1f} % "
        "noticed. "
        "Two people at the same moment are not told apart. The reverberation figure is a blind estimate from "
        "synthetic rooms.",
    ]
    return "\n".join(lines)


def print_attacks(out: Path, attacks: Path) -> None:
    """The last section of the card at ``out`` anew, from a file of attack figures; the rest stays."""
    kept, found, _ = out.read_text(encoding="utf-8").partition(ATTACKS)
    if not found:
        raise ValueError(f"{out} has no section on attacks")
    out.write_text(f"{kept}{ATTACKS}\n\n{_attacks(attacks)}\n", encoding="utf-8")


def _attacks(path: Path | None) -> str:
    """The tables of a JSON file: what `consent.biometrics.attacks` writes."""
    if path is None:
        return "Not measured in this run (`--attacks FILE` prints figures made beforehand)."
    stored = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        "Made by `python -m consent.biometrics.attacks --speech FOLDER --out FILE --card CARD`, on people whom the "
        "spoof detector was not trained on. Accepted: no step held the presentation up. The last column says what each "
        "step alone would have held up. Species differ in number because the slow ones were cut short.",
        "",
        "| species | presentations (of voices) | APCER % (95 % bound) | stopped first by | each step alone stops % |",
        "|---|---|---|---|---|",
    ]
    for row in stored["species"]:
        stopped = ", ".join(f"{step} {count}" for step, count in row["stopped_by"].items())
        alone = ", ".join(f"{step} {100 * share:.0f}" for step, share in row["refused_by"].items())
        share = 100 * row["accepted"] / row["n"] if row["n"] else float("nan")
        lines.append(
            f"| {row['species']} | {row['n']} ({row['targets']}) | {share:.1f} ({100 * row['apcer_bound']:.1f}) "
            f"| {stopped} | {alone} |"
        )
    missing = [name for name in SPECIES if name not in {row["species"] for row in stored["species"]}]
    if missing:
        lines += ["", f"Not measured in this run: {', '.join(missing)}."]
    if "genuine" in stored:
        row = stored["genuine"]
        alone = ", ".join(f"{step} {100 * share:.1f}" for step, share in row["refused_by"].items())
        lines += [
            "",
            f"Genuine speech through the same steps: {row['n']} answers of {row['targets']} people, held up (BPCER, "
            f"inconclusive included) in %: {alone}. They say other words than a challenge, so the words are not asked; "
            "each is at least 6 s long and holds the 3 s of net speech without which the gate asks to go on speaking "
            "before any of these steps.",
        ]
    return "\n".join([*lines, *_readings(stored.get("readings", [])), "", *stored.get("notes", [])])


def _readings(rows: Sequence[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    lines = [
        "",
        "Is an honest reading understood, and a partly wrong one not? The readers are text-to-speech voices (no "
        "recorded speech holds a challenge): what people do is not measured here. *Partly wrong*: one word of six "
        "changed. *Pairs*: a favoured word that nobody said against a word that was said; the bound is of the chance "
        "that one wrong word is taken for the right one.",
        "",
        "| condition | first tries | refused % | people | refused three times % | partly wrong: accepted "
        "| pairs: mistaken (95 % bound, %) |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['condition']} | {row['tries']} | {100 * (1 - row['understood'] / row['tries']):.1f} "
            f"| {row['people']} | {100 * (1 - row['people_understood'] / row['people']):.1f} "
            f"| {row['partly_wrong_accepted']} of {row['partly_wrong']} "
            f"| {row['pairs_mistaken']} of {row['pairs']} ({100 * row['mistaken_bound']:.3f}) |"
        )
    return lines


def det(trials: Trials, standard: np.ndarray) -> str:
    """Detection error trade-off (Martin et al. 1997): both error rates on normal-deviate axes, as SVG."""
    low, high = norm.ppf(_TICKS[0] / 2), norm.ppf(_TICKS[-1] * 1.1)

    def place(share: np.ndarray | float) -> np.ndarray:
        inside = np.clip(norm.ppf(np.clip(share, 1e-6, 1 - 1e-6)), low, high)
        return np.asarray((inside - low) / (high - low) * (_SIZE - 2 * _EDGE))

    far = _SIZE - _EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE + 170} {_SIZE}" '
        'font-family="sans-serif" font-size="11">',
        "<title>Detection error trade-off of the speaker check, held-out people</title>",
        f'<rect width="{_SIZE + 170}" height="{_SIZE}" fill="#fff"/>',
    ]
    for tick in _TICKS:
        at = float(place(tick))
        x, y = _EDGE + at, far - at
        parts += [
            f'<path d="M{x:.1f} {_EDGE}V{far}M{_EDGE} {y:.1f}H{far}" stroke="#ddd" fill="none"/>',
            f'<text x="{x:.1f}" y="{far + 15}" text-anchor="middle">{100 * tick:g}</text>',
            f'<text x="{_EDGE - 5}" y="{y + 4:.1f}" text-anchor="end">{100 * tick:g}</text>',
        ]
    parts += [
        f'<text x="{_SIZE / 2}" y="{_SIZE - 12}" text-anchor="middle">false accept, %</text>',
        f'<text transform="translate(14 {_SIZE / 2}) rotate(-90)" text-anchor="middle">false reject, %</text>',
    ]
    for number, (condition, seconds, colour) in enumerate(LINES):
        accepts, rejects = figures.curve(trials, standard, condition, seconds)
        points = np.unique(np.round(np.stack([_EDGE + place(accepts), far - place(rejects)], axis=1), 1), axis=0)
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        y = _EDGE + 18 * number
        parts += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>',
            f'<path d="M{far + 15} {y}h18" stroke="{colour}" stroke-width="2"/>',
            f'<text x="{far + 38}" y="{y + 4}">{condition}, {seconds:g} s</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
