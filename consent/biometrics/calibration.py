"""What a cosine means: by how much speech, under which conditions, with which false-accept rate.

The cosine of two voices moves with the seconds of speech, with noise, bandwidth and the room, so it is never judged
alone. For impostors its mean and its spread are written down as straight lines over the facts of `condition` (clipped
to the range they were fitted on). A cosine becomes a number of impostor spreads above the impostor mean:

    z = (cosine - mean(facts)) / spread(facts)

The decision holds z against one margin, chosen so that no condition of the calibration lets more than the stated share
of impostors through; the margin follows each condition because mean and spread do. The probability shown is a logistic
function of z and the facts, rising in z, at equal prior odds and capped at the odds that the trials can speak for.

Fitted by ``python -m consent.biometrics.calibrate`` on people anyone can install; figures in ``docs/biometrics.md``.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from consent.biometrics import condition, speech
from consent.biometrics.encoders import Encoder, EncoderError

FORMAT: Final = 1
MAX_BYTES: Final = 2_000_000


@dataclass(frozen=True)
class Calibration:
    """Coefficients for one encoder. Facts are those of `condition.NAMES`, of the test recording, then the log of the
    seconds of all enrolment speech: (n,) with n = ``lowest.size``.

    ``impostor_mean`` and ``impostor_spread`` (1 + n,): constant first; the spread is the exponential of its line.
    ``logistic``: (2 + n,): constant, factor of z, factors of the facts. ``centre`` (d,): the mean of all people,
    taken away first; ``nuisance`` (r, d): orthonormal directions in which an embedding moves with the channel more than
    with the voice, taken away next (nuisance attribute projection, Solomonoff et al. 2005).
    """

    model: str
    false_accept_rate: float
    margin: float
    lowest: np.ndarray
    highest: np.ndarray
    impostor_mean: np.ndarray
    impostor_spread: np.ndarray
    logistic: np.ndarray
    max_log_odds: float
    centre: np.ndarray
    nuisance: np.ndarray
    people: int

    def cleaned(self, embeddings: np.ndarray) -> np.ndarray:
        """Embeddings (..., d) less the centre and the nuisance directions, of unit length."""
        return cleaned(embeddings, self.centre, self.nuisance)

    def _line(self, facts: np.ndarray) -> np.ndarray:
        return np.clip(facts, self.lowest, self.highest)

    def standard(self, cosine: np.ndarray | float, facts: np.ndarray) -> np.ndarray:
        """z: impostor spreads above the impostor mean, for cosines (...) and facts (..., n)."""
        inside = self._line(facts)
        mean = self.impostor_mean[0] + inside @ self.impostor_mean[1:]
        return np.asarray((cosine - mean) / np.exp(self.impostor_spread[0] + inside @ self.impostor_spread[1:]))

    def cosine_at_margin(self, facts: np.ndarray) -> float:
        """The cosine that just passes under these facts (n,)."""
        inside = self._line(facts)
        spread = math.exp(float(self.impostor_spread[0] + inside @ self.impostor_spread[1:]))
        return float(self.impostor_mean[0] + inside @ self.impostor_mean[1:]) + self.margin * spread

    def probability(self, standard: np.ndarray | float, facts: np.ndarray) -> np.ndarray:
        """Probability of one speaker at equal prior odds, for z (...) and facts (..., n)."""
        odds = self.logistic[0] + self.logistic[1] * np.asarray(standard) + self._line(facts) @ self.logistic[2:]
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -self.max_log_odds, self.max_log_odds))))

    def to_json(self, encoder: Encoder, **notes: Any) -> str:
        """The file, with the definition of the features it holds for."""
        arrays = {
            name: np.round(value, 6).tolist() for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        scalars = {name: value for name, value in vars(self).items() if not isinstance(value, np.ndarray)}
        return json.dumps({"format": FORMAT, "definition": definition(encoder), **scalars, **arrays, **notes}, indent=1)


def cleaned(embeddings: np.ndarray, centre: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
    """Embeddings (..., d) less ``centre`` (d,) and the directions ``nuisance`` (r, d), of unit length."""
    left = embeddings - centre
    left = left - left @ nuisance.T @ nuisance
    return np.asarray(left / np.maximum(np.linalg.norm(left, axis=-1, keepdims=True), 1e-9))


def definition(encoder: Encoder) -> str:
    """SHA-256 (hex) of everything the coefficients depend on: weights, speech mask, facts and their version."""
    parts = [encoder.model, encoder.digest, speech.MODEL, condition.VERSION, *condition.NAMES, "enrolled_log_seconds"]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@functools.cache
def load(encoder: Encoder) -> Calibration:
    """The calibration that belongs to an encoder. Raises EncoderError: none there, or made for something else."""
    if encoder.calibration is None:
        raise EncoderError(
            f"{encoder.model} has no calibration: run 'python -m consent.biometrics.calibrate --encoder'"
        )
    return read(encoder.calibration, encoder)


def read(path: Path, encoder: Encoder) -> Calibration:
    """A calibration file made for ``encoder``. Raises EncoderError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise EncoderError(f"{path}: larger than {MAX_BYTES} bytes")
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["format"] != FORMAT or stored["definition"] != definition(encoder):
            raise EncoderError(f"{path}: made for other weights or other features; calibrate again")
        names = {"lowest", "highest", "impostor_mean", "impostor_spread", "logistic", "centre", "nuisance"}
        arrays = {name: np.asarray(stored[name], dtype=np.float64) for name in names}
        arrays["nuisance"] = arrays["nuisance"].reshape(-1, encoder.dimensions)
        made = Calibration(
            model=str(stored["model"]),
            false_accept_rate=float(stored["false_accept_rate"]),
            margin=float(stored["margin"]),
            max_log_odds=float(stored["max_log_odds"]),
            people=int(stored["people"]),
            **arrays,
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise EncoderError(f"{path}: not a calibration: {error}") from error
    count = len(condition.NAMES) + 1
    shapes = [made.lowest.shape, made.highest.shape, made.impostor_mean.shape, made.impostor_spread.shape]
    if (
        shapes != [(count,), (count,), (count + 1,), (count + 1,)]
        or made.logistic.shape != (count + 2,)
        or made.centre.shape != (encoder.dimensions,)
    ):
        raise EncoderError(f"{path}: coefficients of the wrong shape")
    if not all(np.isfinite(value).all() for value in arrays.values()) or made.logistic[1] <= 0.0:
        raise EncoderError(f"{path}: coefficients that are not finite, or a probability that falls with the score")
    return made


def facts(test: np.ndarray, enrolled_seconds: float) -> np.ndarray:
    """The facts of a trial: those of the test recording, then the log of the enrolment's net seconds."""
    return np.append(test, math.log(max(enrolled_seconds, 0.1)))


def centroid(embeddings: Sequence[np.ndarray]) -> np.ndarray:
    """Unit mean (d,) of one or more embeddings. Raises ValueError for none, different shapes, or values that are not
    finite."""
    shapes = {np.shape(one) for one in embeddings}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ValueError("enrolment needs one or more embeddings of one length")
    mean = np.mean(np.asarray(embeddings, dtype=np.float64), axis=0)
    length = float(np.linalg.norm(mean))
    if not math.isfinite(length) or length < 1e-6:
        raise ValueError("the enrolment embeddings are not finite numbers")
    return np.asarray(mean / length)
