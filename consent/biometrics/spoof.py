"""Was this sound made by a machine? Two answers of very different worth.

1. Our own watermark in the upload: certain, and refused always.
2. A small LFCC + logistic detector of copy-synthesis (speech that has been through a spectrogram and back). It is
   trained on pairs of the same clip before and after, so that speaker, corpus and channel are no cue. It knows the
   vocoders it was trained on and little else: for anything in ``details["not_measured"]`` no protection is claimed,
   and PASS means "no trace of the vocoders we know", never "a human being".

Ordinary text-to-speech voices are NOT refused here on purpose: telling them from recordings needs a corpus cue (error
18-89 % on another corpus); they are held off by speaker verification, because they sound like nobody who is enrolled.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from consent.biometrics import lfcc, speech
from consent.biometrics.advice import advice
from consent.biometrics.audio import MAX_TRAINING_SECONDS, MODEL_RATE, at_model_rate, checked
from consent.biometrics.evidence import Detail, Evidence, Verdict

#: Too little speech for steady statistics.
MIN_NET_SECONDS: Final = 2.0
#: Clips are judged in pieces of the length the detector was trained on; the worst three decide together.
PIECE_SECONDS: Final = 4.0
_WORST: Final = 3

_FILE: Final = Path(__file__).with_name("spoof_weights.json")
_NOT_MEASURED: Final = [
    "neural vocoders other than the ones listed as measured",
    "clones by another vendor",
    "loudspeaker replay",
    "lossy re-encoding after synthesis",
]


@dataclass(frozen=True)
class Detector:
    """A standardised logistic regression over lfcc.features with two thresholds on the probability of a spoof."""

    version: str
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float
    #: At and above: refused. Between the two: inconclusive.
    refuse: float
    uncertain: float
    #: Measured errors on speakers that were not trained on, one line an attack.
    measured: list[dict[str, Any]]

    def probability(self, features: np.ndarray) -> float:
        """Probability 0..1 that one clip's features (120,) are copy-synthesis."""
        z = float(((features - self.mean) / self.scale) @ self.weights + self.bias)
        return 1.0 / (1.0 + math.exp(-min(max(z, -30.0), 30.0)))


@functools.cache
def detector() -> Detector:
    """The shipped detector. Raises ValueError when the file is not what this code expects."""
    stored = json.loads(_FILE.read_text(encoding="utf-8"))
    arrays = {name: np.asarray(stored[name], dtype=np.float64) for name in ("mean", "scale", "weights")}
    if any(array.shape != (lfcc.DIMENSIONS,) for array in arrays.values()) or (arrays["scale"] <= 0).any():
        raise ValueError("the spoof detector's weights have the wrong shape")
    return Detector(
        version=stored["version"],
        bias=float(stored["bias"]),
        refuse=float(stored["refuse"]),
        uncertain=float(stored["uncertain"]),
        measured=stored["measured"],
        **arrays,
    )


def pieces(sound: np.ndarray) -> list[np.ndarray]:
    """16 kHz speech in pieces of about PIECE_SECONDS (a rest shorter than half a piece joins the last one)."""
    count = max(1, round(sound.size / (PIECE_SECONDS * MODEL_RATE)))
    return np.array_split(sound, count)


def score(wave: np.ndarray, rate: int, *, own_mark_found: bool) -> Evidence:
    """Judge one recording. ``value`` is the probability of copy-synthesis (1.0 when our own mark was found).

    Raises AudioError.
    """
    judge = detector()
    details: dict[str, Detail] = {"own_mark": "found" if own_mark_found else "not found"}
    if own_mark_found:
        return _evidence(judge, 1.0, Verdict.REFUSE, "own_mark", details)
    sound, _, net = speech.spoken(at_model_rate(checked(wave, rate, max_seconds=MAX_TRAINING_SECONDS), rate))
    scores = sorted((judge.probability(lfcc.features(piece)) for piece in pieces(sound)), reverse=True)
    value = float(np.mean(scores[:_WORST]))
    details |= {
        "net_seconds": round(net, 2),
        "pieces": float(len(scores)),
        "worst": round(scores[0], 4),
        "uncertain_from": judge.uncertain,
        "measured": judge.measured,
        "not_measured": list(_NOT_MEASURED),
    }
    if net < MIN_NET_SECONDS:
        return _evidence(judge, value, Verdict.INCONCLUSIVE, "too_little_speech", details)
    if value >= judge.refuse:
        return _evidence(judge, value, Verdict.REFUSE, "copy_synthesis", details)
    if value >= judge.uncertain:
        return _evidence(judge, value, Verdict.INCONCLUSIVE, "spoof_uncertain", details)
    return _evidence(judge, value, Verdict.PASS, "ok", details)


def _evidence(judge: Detector, value: float, verdict: Verdict, reason: str, details: dict[str, Detail]) -> Evidence:
    return Evidence(
        kind="spoof",
        value=round(value, 4),
        threshold=judge.refuse,
        verdict=verdict,
        reason=reason,
        advice=advice(reason),
        model=judge.version,
        details=details,
    )
