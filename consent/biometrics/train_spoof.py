"""Train the synthesis detector: ``python -m consent.biometrics.train_spoof --speech FOLDER``.

FOLDER holds the recorded speech of `calibrate.corpus` (Debian packages; the command names what is missing). Every clip
is used as it is and after copy-synthesis of itself: by this platform's own engine (`--vocoders`, a callable named by
its module, because this package does not know the engine), by Griffin-Lim and by a source-filter vocoder; and each of
these as it is and after something that happens to recordings (codecs, telephone, noise, room), so that neither speaker
nor channel nor codec is a cue. Voices are split by a hash of their family: two thirds train, one third is only
measured, and meets vocoders that were never trained on. Nothing of the recordings is stored: the output is
``spoof_weights.json``, some hundred numbers, two thresholds and the measured errors.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit

from consent.biometrics import copies, spoof
from consent.biometrics.attacks.processing import PROCESSES, Process
from consent.biometrics.audio import MODEL_RATE, AudioError, checked
from consent.biometrics.calibrate import corpus
from consent.biometrics.copies import Copy
from consent.biometrics.speech import spoken

GENUINE: Final = "genuine"
#: Vocoders without weights that are trained on, and those that are only measured.
PLAIN: Final[dict[str, Copy]] = {
    "griffin-lim mel-80 1024/256": copies.griffin_lim(1024, 256, 80),
    "griffin-lim linear 1024/256": copies.griffin_lim(1024, 256, 0),
    "griffin-lim mel-100 2048/512": copies.griffin_lim(2048, 512, 100),
    "source-filter 40": copies.source_filter(40),
    "mask: pitch 1.2, formants 1.1": copies.source_filter(40, pitch=1.2, formants=1.1),
}
HELD_OUT: Final[dict[str, Copy]] = {
    "griffin-lim mel-80 800/200 (never trained on)": copies.griffin_lim(800, 200, 80),
    "source-filter 24 (never trained on)": copies.source_filter(24),
    "mask: pitch 0.85, formants 0.92 (never trained on)": copies.source_filter(32, pitch=0.85, formants=0.92),
}
#: A vocoder with this in its name is only measured.
NEVER: Final = "never trained on"
#: Bases beside the shipped one have this in their names: their sound is trained on as the shipped one's is.
FURTHER: Final = "further base"
#: Groups of voices for choosing the thresholds.
FOLDS: Final = 5
CLIPS_PER_VOICE: Final = 4
#: Every clip and every copy of it is seen as it is and after so many things that happen to recordings.
PROCESSED: Final = 3
#: What is spoken by the engine counts so many times beside copies: it is the attack that comes, and the harder one.
SPOKEN, SPOKEN_WEIGHT = "text to speech", 3.0
#: L2 strength of the regression.
RIDGE: Final = 10.0
#: Share of genuine training clips above each threshold (cross-validated).
REFUSE_BPCER: Final = 0.01
UNCERTAIN_BPCER: Final = 0.04
VOCODERS: Final = "demo.attack_voices:vocoders"


@dataclass(frozen=True)
class Row:
    """One clip: whose, after what synthesis, after what processing, and what the detector sees of it."""

    voice: str
    family: str
    species: str
    process: str
    features: np.ndarray


def measured_only(family: str) -> bool:
    """Does this family of voices belong to the third that is never trained on?"""
    return hashlib.sha256(family.encode()).digest()[0] % 3 == 0


def clips(recordings: Iterable[np.ndarray], most: int = CLIPS_PER_VOICE) -> list[np.ndarray]:
    """Speech of one voice without its silences, at one level, in pieces of the detector's length."""
    length, kept, made = int(spoof.PIECE_SECONDS * MODEL_RATE), [np.zeros(0, np.float32)], []
    for recording in recordings:
        try:
            sound = spoken(checked(recording, MODEL_RATE))[0]
        except AudioError:
            continue
        rms = float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))
        kept.append(sound * np.float32(0.05 / max(rms, 1e-4)))
        if sum(part.size for part in kept) >= length:
            joined = np.concatenate(kept)
            made.append(joined[:length])
            kept = [joined[length:]]
        if len(made) == most:
            break
    return made


def rows_of(
    voice: str, family: str, sounds: Iterable[np.ndarray], own: Mapping[str, Copy], *, seed: int = 0
) -> list[Row]:
    """Every clip of a voice, genuine and copied, as it is and processed.

    A measured voice meets every vocoder that is never trained on in turn; a training voice one of each kind in turn.
    What a copy goes through depends on its voice, clip and vocoder alone: one vocoder more changes no other row.
    """
    processes = [name for name in PROCESSES if name != "none"]
    rows = []
    for index, sound in enumerate(sounds):
        made = {GENUINE: sound}
        for name, copy in _chosen(own, measured_only(family), index).items():
            try:
                made[name] = copy(sound)
            except AudioError:  # a clone in which nobody is heard to speak attacks nobody
                continue
        for species, wave in made.items():
            digest = hashlib.sha256(f"{seed}/{voice}/{index}/{species}".encode()).digest()
            drawn = np.random.default_rng(int.from_bytes(digest[:8], "big")).permutation(processes)[:PROCESSED]
            for process in ("none", *map(str, drawn)):
                rows.append(Row(voice, family, species, process, _seen(PROCESSES[process], wave)))
    return rows


def _seen(process: Process, wave: np.ndarray) -> np.ndarray:
    return spoof.features(process(wave))


def _chosen(own: Mapping[str, Copy], measured: bool, index: int) -> dict[str, Copy]:
    """The vocoders of one clip: the shipped engine and further bases always, of the others one of each kind in turn."""
    shipped = {name: copy for name, copy in own.items() if "shipped" in name or FURTHER in name}
    others = {name: copy for name, copy in own.items() if name not in shipped and (NEVER in name) == measured}
    plain = HELD_OUT if measured else PLAIN
    turns = [dict([list(kind.items())[index % len(kind)]]) for kind in (others, plain) if kind]
    return {name: copy for kind in (shipped, *turns) for name, copy in kind.items()}


def fit(
    features: np.ndarray, labels: np.ndarray, counts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Ridge logistic regression with balanced classes: mean, scale, weights (dimensions,), bias.

    `counts` (rows,): how much each row counts beside others of its class, None: alike."""
    mean, scale = features.mean(0), features.std(0) + 1e-6
    x = np.clip((features - mean) / scale, -spoof.CLIP, spoof.CLIP)
    balance = np.ones(len(labels)) if counts is None else counts
    for label in (0.0, 1.0):
        balance = np.where(labels == label, balance * (0.5 * len(labels) / balance[labels == label].sum()), balance)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ parameters[:-1] + parameters[-1]
        value = (balance * np.logaddexp(0.0, np.where(labels == 1, -z, z))).sum()
        slope = balance * (expit(z) - labels)
        value += 0.5 * RIDGE * float(parameters[:-1] @ parameters[:-1])
        return value, np.concatenate([x.T @ slope + RIDGE * parameters[:-1], [slope.sum()]])

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return mean, scale, found.x[:-1], float(found.x[-1])


Judge = Callable[[list[Row]], np.ndarray]


def fitted(rows: list[Row]) -> tuple[Judge, tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """A model of these rows: as a function from rows to log odds of synthesis, and its numbers."""
    found = fit(
        np.stack([row.features for row in rows]),
        np.array([float(row.species != GENUINE) for row in rows]),
        np.array([SPOKEN_WEIGHT if SPOKEN in row.species else 1.0 for row in rows]),
    )
    mean, scale, weights, bias = found

    def judge(asked: list[Row]) -> np.ndarray:
        x = np.stack([row.features for row in asked])
        return np.asarray(np.clip((x - mean) / scale, -spoof.CLIP, spoof.CLIP) @ weights + bias)

    return judge, found


def train(rows: list[Row]) -> dict[str, Any]:
    """Everything spoof_weights.json holds. Raises ValueError for too few voices."""
    measured = [row for row in rows if measured_only(row.family)]
    training = [row for row in rows if not measured_only(row.family) and NEVER not in row.species]
    families = sorted({row.family for row in training})
    if not measured or len(families) < FOLDS:
        raise ValueError("too few voices")
    # Thresholds come from scores of training voices whom the scoring model did not know: a model is too sure of
    # what it was fitted to. The measured voices have no part in them.
    fold = {family: index % FOLDS for index, family in enumerate(families)}
    unknown = []
    for index in range(FOLDS):
        judge, _ = fitted([row for row in training if fold[row.family] != index])
        unknown.append(judge([row for row in training if fold[row.family] == index and row.species == GENUINE]))
    genuine = np.concatenate(unknown)
    refuse = float(np.quantile(genuine, 1.0 - REFUSE_BPCER))
    uncertain = float(np.quantile(genuine, 1.0 - UNCERTAIN_BPCER))
    judge, (mean, scale, weights, bias) = fitted(training)
    return {
        "version": "lfcc-texture-copy-synthesis-3",
        "trained_on": f"{len({row.voice for row in training})} voices, {len(training)} clips; "
        f"measured on {len({row.voice for row in measured})} others",
        "refuse": round(refuse, 4),
        "uncertain": round(uncertain, 4),
        "measured": measures(measured, judge, refuse, uncertain),
        "bias": round(bias, 6),
        **{
            name: [round(float(v), 6) for v in array]
            for name, array in (("mean", mean), ("scale", scale), ("weights", weights))
        },
    }


def measures(rows: list[Row], judge: Judge, refuse: float, uncertain: float) -> list[dict[str, Any]]:
    """Shares of clips passed, inconclusive and refused, one line a species: as it is, and after processing."""
    lines = []
    for species in sorted({row.species for row in rows}, key=lambda name: (name != GENUINE, name)):
        for processed in (False, True):
            asked = [row for row in rows if row.species == species and (row.process != "none") == processed]
            if not asked:
                continue
            found = judge(asked)
            lines.append(
                {
                    "attack": species,
                    "processed": "codecs, telephone, noise, room" if processed else "none",
                    "clips": int(found.size),
                    "passed": round(float((found < uncertain).mean()), 4),
                    "inconclusive": round(float(((found >= uncertain) & (found < refuse)).mean()), 4),
                    "refused": round(float((found >= refuse).mean()), 4),
                }
            )
    return lines


def collect(
    speech: Path, vocoders: Callable[..., Mapping[str, Copy]], seed: int, further: Sequence[Path] = ()
) -> list[Row]:
    """Rows of every voice of the corpus. ``further``: folders of bases beside the shipped one. Raises CorpusMissing."""
    voices = {
        voice.name: (voice.family, clips(clip for session in voice.sessions for clip in session))
        for voice in corpus.load(speech, session_seconds=12.0 * spoof.PIECE_SECONDS)
    }
    known = [clip for family, found in voices.values() if not measured_only(family) for clip in found[:2]]
    victims = [clip for family, found in voices.values() if measured_only(family) for clip in found[:2]]
    own = vocoders(known, victims, seed=seed, further=further)
    return [row for name, (family, found) in voices.items() for row in rows_of(name, family, found, own, seed=seed)]


def main(arguments: list[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True, help="folder of the unpacked packages, or /")
    parser.add_argument("--vocoders", default=VOCODERS, help="module:callable that makes the own engine's copies")
    parser.add_argument("--further", type=Path, nargs="*", default=[], help="folders of other bases of the engine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=spoof.WEIGHTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        rows = collect(options.speech, pkgutil.resolve_name(options.vocoders), options.seed, options.further)
    except corpus.CorpusMissing as error:
        parser.error(str(error))
    stored = train(rows)
    options.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({k: stored[k] for k in ("trained_on", "refuse", "uncertain", "measured")}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
