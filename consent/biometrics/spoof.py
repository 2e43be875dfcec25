"""Was this sound made by a machine? Answers of very different worth.

1. Our own watermark in the upload: certain, and refused always.
2. A small detector of synthesis by this platform's own engine and of plain copy-synthesis (speech that has been
   through a spectrogram and back). It is trained on pairs of the same clip before and after, so that speaker, corpus
   and channel are no cue. It knows the vocoders it was trained on and little else: for anything in
   ``details["not_measured"]`` no protection is claimed, and PASS means "no trace of the vocoders we know", never
   "a human being".
3. Stronger models that a deployment mounts (`mounted_spoof`): any one of them may refuse; none can make good.

Ordinary text-to-speech voices are not what the detector is for: telling them from recordings needs a corpus cue (error
18-89 % on another corpus); they are held off by speaker verification, because they sound like nobody who is enrolled.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import soxr
from scipy.special import expit

from consent.biometrics import lfcc, mounted_spoof, speech, texture
from consent.biometrics.advice import advice
from consent.biometrics.audio import MAX_TRAINING_SECONDS, MODEL_RATE, at_model_rate, checked
from consent.biometrics.evidence import Detail, Evidence, Verdict
from watermark.codec import grid
from watermark.codec.detect import Detector as MarkDetector
from watermark.codec.errors import UnmarkableAudio

#: Too little speech for steady statistics.
MIN_NET_SECONDS: Final = 2.0
#: Clips are judged in pieces of the length the detector was trained on. The worst stretch of this many decides: a
#: forged passage is not diluted by what is around it, and no single piece refuses a long recording.
PIECE_SECONDS: Final = 4.0
STRETCH: Final = 4
#: Standardised features are held within this many deviations: one odd number cannot outvote all others.
CLIP: Final = 4.0
#: Numbers the detector sees of a piece.
DIMENSIONS: Final = lfcc.DIMENSIONS + texture.DIMENSIONS

WEIGHTS: Final = Path(__file__).with_name("spoof_weights.json")
_NOT_MEASURED: Final = [
    "generators of the official model versions (no trained weights were at hand)",
    "neural vocoders other than the ones listed as measured",
    "clones by another vendor",
    "loudspeaker replay",
]


@dataclass(frozen=True)
class Detector:
    """A standardised logistic regression over `features` with two thresholds on the log odds of synthesis."""

    version: str
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float
    #: How many voices and clips, in words.
    trained_on: str
    #: At and above: refused. Between the two: inconclusive.
    refuse: float
    uncertain: float
    #: Measured errors on speakers that were not trained on, one line an attack.
    measured: list[dict[str, Any]]

    def log_odds(self, found: np.ndarray) -> float:
        """Natural log of the odds that one piece's features (264,) are synthesis."""
        return float(np.clip((found - self.mean) / self.scale, -CLIP, CLIP) @ self.weights + self.bias)


@functools.cache
def detector() -> Detector:
    """The shipped detector. Raises ValueError when the file is not what this code expects."""
    stored = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    arrays = {name: np.asarray(stored[name], dtype=np.float64) for name in ("mean", "scale", "weights")}
    if any(array.shape != (DIMENSIONS,) for array in arrays.values()) or (arrays["scale"] <= 0).any():
        raise ValueError("the spoof detector's weights have the wrong shape")
    return Detector(
        version=stored["version"],
        trained_on=stored["trained_on"],
        bias=float(stored["bias"]),
        refuse=float(stored["refuse"]),
        uncertain=float(stored["uncertain"]),
        measured=stored["measured"],
        **arrays,
    )


def features(sound: np.ndarray) -> np.ndarray:
    """16 kHz speech without silences (samples,), at least 0.1 s, to (264,) float64."""
    levelled = lfcc.levelled(sound)
    return np.concatenate([lfcc.features(sound), texture.features(levelled)])


def pieces(sound: np.ndarray) -> list[np.ndarray]:
    """16 kHz speech in pieces of about PIECE_SECONDS (a rest shorter than half a piece joins the last one)."""
    count = max(1, round(sound.size / (PIECE_SECONDS * MODEL_RATE)))
    return np.array_split(sound, count)


def score(
    wave: np.ndarray,
    rate: int,
    *,
    own_mark_found: bool | None = None,
    mark_key: bytes | None = None,
    issued: Sequence[int] = (),
) -> Evidence:
    """Judge one recording. ``value`` is the probability of synthesis (1.0 when our own mark was found).

    The own mark: ``own_mark_found`` when the caller has searched; else it is searched here with ``mark_key`` for the
    payloads ``issued``; without a key it is not, and the details say so. Raises AudioError, BadKey and BadPayload.
    """
    judge = detector()
    sound = checked(wave, rate, max_seconds=MAX_TRAINING_SECONDS)
    mark = _own_mark(sound, rate, own_mark_found, mark_key, issued)
    details: dict[str, Detail] = {"own_mark": mark}
    if mark == "found":
        return _evidence(judge, 1.0, Verdict.REFUSE, "own_mark", details)
    kept, _, net = speech.spoken(at_model_rate(sound, rate))
    odds = np.array([judge.log_odds(features(piece)) for piece in pieces(kept)])
    window = min(STRETCH, odds.size)
    worst = float(np.convolve(odds, np.full(window, 1.0 / window), mode="valid").max())
    value = float(expit(worst))
    mounted = mounted_spoof.probabilities(kept)
    details |= {
        "net_seconds": round(net, 2),
        "pieces": float(odds.size),
        "log_odds": round(worst, 3),
        "worst_piece": round(float(odds.max()), 3),
        "uncertain_from": round(float(expit(judge.uncertain)), 4),
        "mounted": [[name, round(found, 4), limit] for name, found, limit in mounted],
        "measured": judge.measured,
        "not_measured": list(_NOT_MEASURED),
    }
    if net < MIN_NET_SECONDS:
        return _evidence(judge, value, Verdict.INCONCLUSIVE, "too_little_speech", details)
    if worst >= judge.refuse:
        return _evidence(judge, value, Verdict.REFUSE, "copy_synthesis", details)
    if any(found >= limit for _, found, limit in mounted):
        return _evidence(judge, value, Verdict.REFUSE, "mounted_model", details)
    if worst >= judge.uncertain:
        return _evidence(judge, value, Verdict.INCONCLUSIVE, "spoof_uncertain", details)
    if mark == "not searchable":
        return _evidence(judge, value, Verdict.INCONCLUSIVE, "spoof_uncertain", details)
    return _evidence(judge, value, Verdict.PASS, "ok", details)


def _own_mark(sound: np.ndarray, rate: int, told: bool | None, key: bytes | None, issued: Sequence[int]) -> str:
    """found, not found, not searchable, or not looked for: no key."""
    if told is not None:
        return "found" if told else "not found"
    if key is None:
        return "not looked for: no key"
    if rate not in grid.ACCEPTED_RATES:
        sound, rate = np.asarray(soxr.resample(sound, rate, grid.RATE), dtype=np.float32), grid.RATE
    # Longer than the codec takes at once: in parts, so that nothing is left out.
    parts = np.array_split(sound, max(1, -(-sound.size // int(grid.MAX_SECONDS * rate))))
    try:
        found = [MarkDetector(key).detect_presence(part, rate, issued).present for part in parts]
    except UnmarkableAudio:
        return "not searchable"
    return "found" if any(found) else "not found"


def _evidence(judge: Detector, value: float, verdict: Verdict, reason: str, details: dict[str, Detail]) -> Evidence:
    return Evidence(
        kind="spoof",
        value=round(value, 4),
        threshold=round(float(expit(judge.refuse)), 4),
        verdict=verdict,
        reason=reason,
        advice=advice(reason),
        model=judge.version,
        details=details,
    )
