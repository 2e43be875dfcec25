"""Stronger detectors of synthetic speech that a deployment mounts, as ONNX files run by onnxruntime.

A folder holds one sub-folder a model with ``spoof.json`` beside the file it names::

    {"file": "aasist.onnx", "sha256": "…", "samples": 64600, "spoof_index": 0, "threshold": 0.9}

The model takes float32 (1, samples) at 16 kHz, -1..1, and gives logits (1, classes); ``spoof_index`` is the class that
means synthetic. ``threshold`` (0..1, on the softmax) is the deployment's own, from its own measurement: published
error rates do not carry over (AASIST: 0.83 % on its own corpus, 43 % on speech from the web). A published PyTorch
checkpoint is exported to ONNX once, outside this platform; nothing is unpickled here.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.special import softmax

from consent.biometrics.audio import MODEL_RATE

#: Largest model and description, in bytes; most models.
MAX_MODEL: Final = 2 * 2**30
MAX_DESCRIPTION: Final = 10_000
MAX_MODELS: Final = 4
#: Shortest and longest input of a model, in samples.
SAMPLES: Final = (MODEL_RATE // 2, 60 * MODEL_RATE)
#: Most stretches of one recording that are listened to, evenly spread: bounds the time of a long upload.
MAX_STRETCHES: Final = 12
_ENTRIES: Final = {"file", "sha256", "samples", "spoof_index", "threshold"}
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

_mounted: list[MountedSpoof] = []


class SpoofModelError(RuntimeError):
    """A mounted model cannot be used; the message says which and why."""


@dataclass(frozen=True)
class MountedSpoof:
    """One model: its name and digest, samples it takes at once, the class that means synthetic, its threshold."""

    name: str
    session: Any
    samples: int
    spoof_index: int
    threshold: float

    def probability(self, sound: np.ndarray) -> float:
        """The highest probability of synthesis over stretches of 16 kHz speech (samples,); short speech is repeated."""
        count = min(MAX_STRETCHES, max(1, sound.size // self.samples))
        starts = np.linspace(0, max(0, sound.size - self.samples), count).astype(int)
        found = []
        for start in starts:
            stretch = np.resize(sound[start : start + self.samples], self.samples).astype(np.float32)
            logits = np.asarray(self.session.run(None, {self.session.get_inputs()[0].name: stretch[None]})[0])
            if logits.ndim != 2 or logits.shape[0] != 1 or not 0 <= self.spoof_index < logits.shape[1]:
                raise SpoofModelError(f"{self.name} gives {logits.shape}, not one row of logits")
            if not np.isfinite(logits).all():
                raise SpoofModelError(f"{self.name} gives values that are not finite")
            found.append(float(softmax(logits[0].astype(np.float64))[self.spoof_index]))
        return max(found)


def mount(folder: Path | str | None) -> tuple[str, ...]:
    """Use the models of a folder and no other; None: none. Returns their names.

    Raises SpoofModelError, and then changes nothing.
    """
    found = [] if folder is None else _load(Path(folder))
    for model in found:
        model.probability(np.zeros(model.samples, np.float32))
    _mounted[:] = found
    return tuple(model.name for model in found)


def probabilities(sound: np.ndarray) -> list[tuple[str, float, float]]:
    """(name, probability of synthesis, threshold) of every mounted model for 16 kHz speech (samples,)."""
    return [(model.name, model.probability(sound), model.threshold) for model in _mounted]


def _load(folder: Path) -> list[MountedSpoof]:
    if not folder.is_dir():
        raise SpoofModelError(f"{folder} is not a folder")
    places = sorted(place for place in folder.iterdir() if place.is_dir())
    if len(places) > MAX_MODELS:
        raise SpoofModelError(f"at most {MAX_MODELS} models are mounted")
    return [_one(place) for place in places]


def _one(place: Path) -> MountedSpoof:
    description = place / "spoof.json"
    if not description.is_file() or description.stat().st_size > MAX_DESCRIPTION:
        raise SpoofModelError(f"{place.name} has no spoof.json of at most {MAX_DESCRIPTION} bytes")
    try:
        about = json.loads(description.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SpoofModelError(f"{place.name}: spoof.json is not JSON") from error
    if not isinstance(about, dict) or set(about) != _ENTRIES:
        raise SpoofModelError(f"{place.name}: spoof.json holds {', '.join(sorted(_ENTRIES))}")
    _check(place.name, about)
    path = place / about["file"]
    # A name that leads out of the folder is refused, links included.
    if not path.is_file() or place.resolve() not in path.resolve().parents or path.stat().st_size > MAX_MODEL:
        raise SpoofModelError(f"{place.name}: the file {about['file']!r} is not in the folder, or too large")
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != about["sha256"]:
        raise SpoofModelError(f"{place.name}: the file is not the one that was described (SHA-256 differs)")
    name = f"{place.name}-{digest[:12]}"
    return MountedSpoof(name, _session(name, data), about["samples"], about["spoof_index"], float(about["threshold"]))


def _check(name: str, about: dict[str, Any]) -> None:
    whole = [about["samples"], about["spoof_index"]]
    if not isinstance(about["file"], str) or not _DIGEST.fullmatch(str(about["sha256"])):
        raise SpoofModelError(f"{name}: 'file' is a name and 'sha256' 64 hexadecimal digits")
    if any(isinstance(value, bool) or not isinstance(value, int) for value in whole) or about["spoof_index"] < 0:
        raise SpoofModelError(f"{name}: 'samples' and 'spoof_index' are whole numbers")
    if not SAMPLES[0] <= about["samples"] <= SAMPLES[1]:
        raise SpoofModelError(f"{name}: 'samples' is {SAMPLES[0]} to {SAMPLES[1]}")
    if isinstance(about["threshold"], bool) or not isinstance(about["threshold"], int | float):
        raise SpoofModelError(f"{name}: 'threshold' is a number")
    if not 0.0 < about["threshold"] < 1.0:
        raise SpoofModelError(f"{name}: 'threshold' lies between 0 and 1")


@functools.cache
def _runtime() -> Any:
    import onnxruntime

    return onnxruntime


def _session(name: str, data: bytes) -> Any:
    onnxruntime = _runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many kinds for a file it cannot read
        raise SpoofModelError(f"{name} is not a model that onnxruntime can run") from error
    if len(session.get_inputs()) != 1:
        raise SpoofModelError(f"{name} takes {len(session.get_inputs())} inputs, not one wave")
    return session
