"""Which model embeds voices: the built-in one, or one that a deployment mounts from a folder.

A folder holds ``encoder.json``, one model file and ``calibration.json``:

* ``{"kind": "ecapa", "file": "embedding_model.ckpt", "sha256": "..."}``: SpeechBrain's ECAPA-TDNN, the class in
  `consent.biometrics.ecapa`, its tensors read with ``weights_only``;
* ``{"kind": "onnx", "file": "model.onnx", "sha256": "...", "input": "wave" | "fbank"}``: through onnxruntime. ``wave``
  takes (1, samples) at 16 kHz; ``fbank`` takes (1, frames, 80), Kaldi's filter bank with its mean taken away, as
  WeSpeaker and 3D-Speaker export.

A model has its own score distribution, so it comes with its own calibration, which
``python -m consent.biometrics.calibrate --encoder FOLDER`` writes. Without one it embeds and decides nothing.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from consent.biometrics import ecapa, encoder, speech
from consent.biometrics.audio import MODEL_RATE

#: Largest model file read, in bytes; and of the two small JSON files.
MAX_MODEL_BYTES: Final = 500_000_000
MAX_JSON_BYTES: Final = 200_000
#: A shorter sound is repeated up to this length: pooling over a handful of frames is not what the models were made for.
_LEAST: Final = MODEL_RATE
_BUILTIN: Final = Path(__file__).with_name("speaker_calibration.json")


class EncoderError(ValueError):
    """The folder does not hold a usable encoder; the message says what to mend."""


@dataclass(frozen=True)
class Encoder:
    """A model of voices. ``embed`` takes 16 kHz speech without silences (samples,) to a unit vector (dimensions,).

    ``digest``: SHA-256 (hex) of the weights. ``calibration``: where its score distribution is written, None where it is
    not known: then every decision is refused with EncoderError.
    """

    model: str
    dimensions: int
    digest: str
    embed: Callable[[np.ndarray], np.ndarray]
    calibration: Path | None
    #: ``embed`` of many at once, where the model has a faster way.
    batched: Callable[[Sequence[np.ndarray]], list[np.ndarray]] | None = None

    def embed_all(self, sounds: Sequence[np.ndarray]) -> list[np.ndarray]:
        """``embed`` of each."""
        return self.batched(sounds) if self.batched else [self.embed(sound) for sound in sounds]


@functools.cache
def builtin() -> Encoder:
    """Resemblyzer's weights, inside the package."""
    weights = speech.packaged_file("resemblyzer", "pretrained.pt").read_bytes()
    return Encoder(
        model=encoder.MODEL,
        dimensions=encoder.DIMENSIONS,
        digest=hashlib.sha256(weights).hexdigest(),
        embed=encoder.embed_speech,
        calibration=_BUILTIN,
        batched=encoder.embed_speeches,
    )


@functools.cache
def mount(folder: Path) -> Encoder:
    """The encoder in a folder (module docstring). Raises EncoderError."""
    described = _json(folder / "encoder.json")
    kind, name, expected = described.get("kind"), described.get("file"), described.get("sha256")
    if kind not in ("ecapa", "onnx") or not isinstance(name, str) or Path(name).name != name:
        raise EncoderError(f"{folder}/encoder.json: needs a kind (ecapa or onnx) and a file name without a path")
    path = folder / name
    if not path.is_file() or path.stat().st_size > MAX_MODEL_BYTES:
        raise EncoderError(f"{path}: not there, or larger than {MAX_MODEL_BYTES} bytes")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != expected:
        raise EncoderError(f"{path}: its SHA-256 is {digest}, encoder.json expects {expected}")
    embed = _ecapa(path) if kind == "ecapa" else _onnx(path, str(described.get("input")))
    try:
        probe = embed(np.random.default_rng(0).normal(0.0, 0.1, 2 * MODEL_RATE).astype(np.float32))
    except (RuntimeError, ValueError) as error:
        raise EncoderError(f"{path}: the model does not run: {error}") from error
    calibration = folder / "calibration.json"
    return Encoder(
        model=f"{kind}:{digest[:16]}",
        dimensions=probe.size,
        digest=digest,
        embed=embed,
        calibration=calibration if calibration.is_file() else None,
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise EncoderError(f"{path}: larger than {MAX_JSON_BYTES} bytes")
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path}: {error}") from error
    if not isinstance(read, dict):
        raise EncoderError(f"{path}: an object is expected")
    return read


def _unit(raw: np.ndarray) -> np.ndarray:
    flat = np.asarray(raw, dtype=np.float32).ravel()
    length = float(np.linalg.norm(flat))
    if not np.isfinite(length) or length < 1e-9:
        raise EncoderError("the model gave no finite embedding")
    return flat / np.float32(length)


def _long_enough(sound: np.ndarray) -> np.ndarray:
    return sound if sound.size >= _LEAST else np.resize(sound, _LEAST)


def _ecapa(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    model = ecapa.Ecapa().eval()
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises several kinds for a file that is not what it should be
        raise EncoderError(f"{path}: not the weights of an ECAPA-TDNN: {error}") from error

    def embed(sound: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return _unit(model(ecapa.features(_long_enough(sound))).numpy())

    return embed


def _onnx(path: Path, takes: str) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    if takes not in ("wave", "fbank"):
        raise EncoderError('encoder.json: "input" is "wave" or "fbank"')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own kinds, which share no base class
        raise EncoderError(f"{path}: not a model onnxruntime can read: {error}") from error
    if len(session.get_inputs()) != 1:
        raise EncoderError(f"{path}: a model with one input is expected")
    asked = session.get_inputs()[0].name

    def embed(sound: np.ndarray) -> np.ndarray:
        heard = _long_enough(sound)
        fed = heard[None] if takes == "wave" else _kaldi(heard)[None]
        return _unit(session.run(None, {asked: np.ascontiguousarray(fed, dtype=np.float32)})[0])

    return embed


def _kaldi(sound: np.ndarray) -> np.ndarray:
    """Kaldi's 80-band log filter bank of 16 kHz sound, mean over time taken away: (frames, 80)."""
    from torchaudio.compliance import kaldi

    bands = kaldi.fbank(
        torch.from_numpy(sound)[None] * 32_768.0, num_mel_bins=80, sample_frequency=MODEL_RATE, window_type="hamming"
    )
    return np.asarray((bands - bands.mean(0, keepdim=True)).numpy())
