"""Train the copy-synthesis detector: ``python -m consent.biometrics.train_spoof SPEECH_FOLDER [...]``.

A speech folder holds one folder per speaker with audio files below it (any format ffmpeg reads; raw G.722 by its
suffix). Every clip is used as it is and after several kinds of Griffin-Lim copy-synthesis of itself. Speakers are split
by a hash of their name: two thirds train, one third is only measured. One vocoder setting is never trained on. Nothing
of the recordings is stored: the output is ``spoof_weights.json``, 361 numbers, two thresholds and the measured errors.

The shipped weights were trained on Debian packages of recorded speech (asterisk-core-sounds-{en,es,fr,it,ru}-g722,
klettres-data, ktuberling-data) and on text-to-speech (flite, festival, espeak-ng), whose untreated output counts as
genuine here: the question is the vocoder, not the voice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit

from consent.biometrics import lfcc, spoof
from consent.biometrics.audio import MODEL_RATE, AudioError, checked
from consent.biometrics.speech import spoken

#: (n_fft, hop, mel bands; 0 = the whole magnitude).
VOCODERS: Final = {
    "griffin-lim mel-80 1024/256": (1024, 256, 80),
    "griffin-lim linear 1024/256": (1024, 256, 0),
    "griffin-lim mel-100 2048/512": (2048, 512, 100),
    "griffin-lim mel-80 800/200 (never trained on)": (800, 200, 80),
}
HELD_OUT: Final = frozenset(name for name in VOCODERS if name.endswith("(never trained on)"))
#: Groups of speakers for choosing the thresholds.
FOLDS: Final = 5
ITERATIONS: Final = 32
CLIPS_PER_SPEAKER: Final = 10
#: L2 strength of the regression; from 1 to 30 the cross-validated errors hardly move.
RIDGE: Final = 10.0
#: Share of genuine training clips above each threshold (cross-validated).
REFUSE_BPCER: Final = 0.01
UNCERTAIN_BPCER: Final = 0.04
SUFFIXES: Final = (".g722", ".ogg", ".wav", ".flac", ".opus", ".mp3", ".ogga")


def decode(path: Path) -> np.ndarray:
    """One file as float32 (samples,) at 16 kHz."""
    kind = "g722" if path.suffix == ".g722" else None
    with av.open(str(path), format=kind, metadata_errors="ignore") as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=MODEL_RATE)
        frames = [out.to_ndarray() for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += [out.to_ndarray() for out in resampler.resample(None)]
    pcm = np.concatenate(frames, axis=1)[0] if frames else np.zeros(0, dtype=np.int16)
    return pcm.astype(np.float32) / 32_768.0


def clips(folder: Path) -> Iterator[np.ndarray]:
    """Speech of one speaker, silences cut, in pieces of the detector's length."""
    kept: list[np.ndarray] = []
    wanted = int(spoof.PIECE_SECONDS * MODEL_RATE)
    made = 0
    for path in sorted(folder.rglob("*"), key=lambda path: hashlib.sha256(path.name.encode()).digest()):
        if path.suffix.lower() not in SUFFIXES or made >= CLIPS_PER_SPEAKER:
            continue
        try:
            kept.append(spoken(checked(decode(path), MODEL_RATE))[0])
        except (AudioError, av.FFmpegError, IndexError):
            continue
        if sum(part.size for part in kept) >= wanted:
            yield np.concatenate(kept)[:wanted]
            made += 1
            kept = []


def vocoder(fft: int, hop: int, mels: int) -> Callable[[np.ndarray], np.ndarray]:
    """Copy-synthesis: magnitudes (through mel bands and back, if any), then Griffin-Lim with seeded phases."""
    window = torch.hann_window(fft)
    bank = inverse = None
    if mels:
        top = 1127.0 * np.log1p(MODEL_RATE / 2.0 / 700.0)
        edges = 700.0 * np.expm1(np.linspace(0.0, top, mels + 2) / 1127.0)
        bins = np.linspace(0.0, MODEL_RATE / 2.0, fft // 2 + 1)
        rising = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
        falling = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
        bank = torch.from_numpy(np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32))
        inverse = torch.linalg.pinv(bank)

    def copy(sound: np.ndarray) -> np.ndarray:
        wave = torch.from_numpy(sound)
        magnitude = torch.stft(wave, fft, hop, window=window, return_complex=True).abs()
        if bank is not None and inverse is not None:
            magnitude = (inverse @ (bank @ magnitude)).clamp_min(1e-7)
        generator = torch.Generator().manual_seed(0)
        phase = torch.exp(2j * torch.pi * torch.rand(magnitude.shape, generator=generator))
        for _ in range(ITERATIONS):
            guess = torch.istft(magnitude * phase, fft, hop, window=window, length=wave.numel())
            again = torch.stft(guess, fft, hop, window=window, return_complex=True)
            phase = again / again.abs().clamp_min(1e-8)
        return torch.istft(magnitude * phase, fft, hop, window=window, length=wave.numel()).numpy()

    return copy


def fit(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Ridge logistic regression with balanced classes: mean, scale, weights (120,), bias."""
    mean, scale = features.mean(0), features.std(0) + 1e-6
    x = (features - mean) / scale
    balance = np.where(labels == 1, 0.5 / labels.mean(), 0.5 / (1.0 - labels.mean()))

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ parameters[:-1] + parameters[-1]
        value = (balance * np.logaddexp(0.0, np.where(labels == 1, -z, z))).sum()
        slope = balance * (expit(z) - labels)
        value += 0.5 * RIDGE * float(parameters[:-1] @ parameters[:-1])
        return value, np.concatenate([x.T @ slope + RIDGE * parameters[:-1], [slope.sum()]])

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return mean, scale, found.x[:-1], float(found.x[-1])


Row = tuple[str, str, np.ndarray]
Judge = Callable[[list[Row]], np.ndarray]


def _bucket(name: str) -> int:
    return hashlib.sha256(name.encode()).digest()[0] % 3


def _stacked(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([row[2] for row in rows]), np.array([float(row[1] != "genuine") for row in rows])


def _judge(mean: np.ndarray, scale: np.ndarray, weights: np.ndarray, bias: float) -> Judge:
    return lambda rows: np.asarray(expit((_stacked(rows)[0] - mean) / scale @ weights + bias))


def fitted(rows: list[Row]) -> Judge:
    """A model of these rows, as a function from rows to probabilities."""
    return _judge(*fit(*_stacked(rows)))


def collect(folders: list[Path]) -> list[Row]:
    """(speaker, "genuine" or the vocoder, features) of every clip and its copies."""
    copies = {name: vocoder(*shape) for name, shape in VOCODERS.items()}
    rows: list[Row] = []
    for root in folders:
        for speaker in sorted(path for path in root.iterdir() if path.is_dir()):
            for clip in clips(speaker):
                name = f"{root.name}/{speaker.name}"
                rows.append((name, "genuine", lfcc.features(clip)))
                rows += [(name, made, lfcc.features(copy(clip))) for made, copy in copies.items()]
    return rows


def train(rows: list[Row]) -> dict[str, Any]:
    """Everything spoof_weights.json holds. Raises ValueError for too few speakers."""
    tested = {name for name, _, _ in rows if _bucket(name) == 0}
    training = [row for row in rows if row[0] not in tested and row[1] not in HELD_OUT]
    if not tested or len({row[0] for row in training}) < FOLDS:
        raise ValueError("too few speakers")
    # Thresholds come from scores of training speakers whom the scoring model did not know: a model is too sure of
    # what it was fitted to. The measured speakers have no part in them.
    names = sorted({row[0] for row in training})
    fold = {name: index % FOLDS for index, name in enumerate(names)}
    genuine = np.concatenate(
        [
            fitted([row for row in training if fold[row[0]] != index])(
                [row for row in training if fold[row[0]] == index and row[1] == "genuine"]
            )
            for index in range(FOLDS)
        ]
    )
    refuse = float(np.quantile(genuine, 1.0 - REFUSE_BPCER))
    uncertain = float(np.quantile(genuine, 1.0 - UNCERTAIN_BPCER))
    mean, scale, weights, bias = fit(*_stacked(training))
    judge = _judge(mean, scale, weights, bias)
    measured: list[dict[str, Any]] = []
    for name in ("genuine", *VOCODERS):
        found = judge([row for row in rows if row[0] in tested and row[1] == name])
        measured.append(
            {
                "attack": "none (genuine speech of unseen speakers)" if name == "genuine" else name,
                "clips": int(found.size),
                "passed": round(float((found < uncertain).mean()), 4),
                "inconclusive": round(float(((found >= uncertain) & (found < refuse)).mean()), 4),
                "refused": round(float((found >= refuse).mean()), 4),
            }
        )
    return {
        "version": "lfcc-copy-synthesis-1",
        "trained_on": f"{len({row[0] for row in training})} speakers, {len(training)} clips; "
        f"measured on {len(tested)} others",
        "refuse": round(refuse, 4),
        "uncertain": round(uncertain, 4),
        "measured": measured,
        "bias": round(bias, 6),
        **{
            name: [round(float(v), 6) for v in array]
            for name, array in (("mean", mean), ("scale", scale), ("weights", weights))
        },
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders with one folder per speaker")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("spoof_weights.json"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    stored = train(collect(options.folders))
    options.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({k: stored[k] for k in ("trained_on", "refuse", "uncertain", "measured")}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
