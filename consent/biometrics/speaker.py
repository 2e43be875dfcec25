"""Is this the same person? GE2E speaker embeddings (Wan et al. 2018), a score that means something, three answers.

The weights are Resemblyzer's (Apache-2.0); neither its code nor librosa is imported. The decision and its honest
limits:

* The cosine of two embeddings grows with the seconds of speech, so it is never judged without them. Means and standard
  deviations of same-speaker and different-speaker cosines, measured on 26 persons (159 genuine and 4,088 impostor
  trials, clean, one recording session), are interpolated over log seconds. Taking both classes as Gaussians with
  their pooled variance, the log-likelihood ratio is linear in the cosine: a logistic with slope
  (same - different) / variance and its middle half way between the means. Prior one half.
* The ratio is capped at 1,000 to 1 either way: that many trials support no stronger claim.
* The threshold is the cosine that let 1 % of impostors pass at that length (among six women of one profession about
  2 %). A same person on another day or microphone scores lower (one person measured: 0.81 instead of 0.92 at 5 s), so
  just below the threshold lies a band that answers "record again" and never passes.
* A voice clone made to sound like the person is not measured here: verification alone does not stop it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import nn

from consent.biometrics import speech
from consent.biometrics.advice import advice
from consent.biometrics.audio import MAX_TRAINING_SECONDS, MODEL_RATE, at_model_rate, checked
from consent.biometrics.evidence import Detail, Evidence, Verdict

MODEL: Final = "resemblyzer-0.1.4/level-20/pooled-logistic-1"
DIMENSIONS: Final = 256
#: Below this the error rates climb steeply (FRR 5 % at 2 s, 19 % at 1 s): no decision.
MIN_NET_SECONDS: Final = 3.0
#: Width of the "record again" band below the threshold: reaches 0.72 at 5 s, where the one person measured in two
#: sessions and two languages was never refused.
UNCERTAIN_BAND: Final = 0.059
#: Odds that 4,088 impostor trials can speak for.
MAX_ODDS: Final = 1_000.0
#: Window and step of the search for other speakers, seconds of net speech.
WINDOW_SECONDS: Final = 3.0
WINDOW_STEP: Final = 1.5
#: A speaker that is sure of few windows is not confirmed: at most this share of windows may be uncertain.
MAX_UNCERTAIN_SHARE: Final = 0.2

#: net seconds: mean and sd of same-speaker cosines, mean and sd of different-speaker cosines, cosine at FAR 1 %.
_MEASURED: Final = {
    3.0: (0.891, 0.038, 0.601, 0.076, 0.767),
    5.0: (0.919, 0.032, 0.617, 0.076, 0.779),
    10.0: (0.954, 0.022, 0.637, 0.076, 0.801),
}

_MELS: Final = 40
_FFT: Final = 400
_HOP: Final = 160
_PARTIAL_FRAMES: Final = 160
#: Frames between partial utterances: 1.3 a second, in whole frames.
_PARTIAL_STEP: Final = round(MODEL_RATE / 1.3 / _HOP)
#: A last partial that is less than three quarters sound is left out.
_MIN_COVERAGE: Final = 0.75
#: All speech is brought to this RMS before embedding: the mel powers have no logarithm, so the embedding would move
#: with the microphone's level (cosine 0.88 between one clip and itself 12 dB lower). Of -36 to -16, measured on 19
#: speakers (4 s clips, 95 genuine and 1,710 impostor trials): EER 1.1 % at -30, where the figures above were taken,
#: 0.5 % at -20; the cosine at FAR 1 % falls from 0.777 to 0.757, so the thresholds above are on the safe side.
_RMS_DBFS: Final = -20.0
_BATCH: Final = 64


class _Encoder(nn.Module):
    """Mel power frames (batch, 160, 40) to unit embeddings (batch, 256)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_MELS, DIMENSIONS, num_layers=3, batch_first=True)
        self.linear = nn.Linear(DIMENSIONS, DIMENSIONS)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.lstm(mels)
        raw = torch.relu(self.linear(hidden[-1]))
        return nn.functional.normalize(raw, dim=1)


@functools.cache
def _encoder() -> _Encoder:
    path = speech.packaged_file("resemblyzer", "pretrained.pt")
    state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    encoder = _Encoder().eval()
    encoder.load_state_dict({name: value for name, value in state.items() if not name.startswith("similarity_")})
    return encoder


def _hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Slaney's scale: linear to 1 kHz, logarithmic above."""
    linear = hz / (200.0 / 3.0)
    return np.where(hz < 1000.0, linear, 15.0 + np.log(np.maximum(hz, 1e-9) / 1000.0) / (math.log(6.4) / 27.0))


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp((math.log(6.4) / 27.0) * (mel - 15.0)))


@functools.cache
def _filterbank() -> torch.Tensor:
    """(40, 201): triangles on Slaney's mel scale from 0 to 8 kHz, each of unit area."""
    top = float(_hz_to_mel(np.array([MODEL_RATE / 2.0]))[0])
    edges = _mel_to_hz(np.linspace(0.0, top, _MELS + 2))
    bins = np.linspace(0.0, MODEL_RATE / 2.0, _FFT // 2 + 1)
    rising = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
    bank = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return torch.from_numpy(bank.astype(np.float32))


def mel_power(sound: np.ndarray) -> torch.Tensor:
    """Power mel spectrogram, no logarithm: 16 kHz sound (samples,) to (1 + samples // 160, 40)."""
    spectrum = torch.stft(
        torch.from_numpy(np.ascontiguousarray(sound, dtype=np.float32)),
        _FFT,
        _HOP,
        window=torch.hann_window(_FFT),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    return (_filterbank() @ spectrum.abs().square()).T


def _levelled(sound: np.ndarray) -> np.ndarray:
    """The same speech at _RMS_DBFS; all zeros stay zeros."""
    rms = float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))
    return sound * np.float32(10.0 ** (_RMS_DBFS / 20.0) / rms) if rms > 0.0 else sound


def embed_partials(sound: np.ndarray) -> np.ndarray:
    """Unit embedding (256,) of levelled 16 kHz speech (samples,): the mean over partial utterances of 1.6 s."""
    frames = -(-(sound.size + 1) // _HOP)
    starts = list(range(0, max(1, frames - _PARTIAL_FRAMES + _PARTIAL_STEP + 1), _PARTIAL_STEP))
    last = (sound.size - starts[-1] * _HOP) / (_PARTIAL_FRAMES * _HOP)
    if len(starts) > 1 and last < _MIN_COVERAGE:
        starts.pop()
    missing = (starts[-1] + _PARTIAL_FRAMES) * _HOP - sound.size
    mels = mel_power(np.pad(sound, (0, max(0, missing))))
    partials = torch.stack([mels[start : start + _PARTIAL_FRAMES] for start in starts])
    with torch.inference_mode():
        embedded = torch.cat([_encoder()(batch) for batch in torch.split(partials, _BATCH)]).mean(0)
        return nn.functional.normalize(embedded, dim=0).numpy()


def _embed_speech(sound: np.ndarray) -> np.ndarray:
    return embed_partials(_levelled(sound))


def _prepare(wave: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray, float]:
    return speech.spoken(at_model_rate(checked(wave, rate, max_seconds=MAX_TRAINING_SECONDS), rate))


def embed(wave: np.ndarray, rate: int) -> np.ndarray:
    """Unit embedding float32 (256,) of the speech in ``wave``; silence is cut out first. Raises AudioError."""
    return _embed_speech(_prepare(wave, rate)[0])


def centroid(enrolment: Sequence[np.ndarray]) -> np.ndarray:
    """Unit mean (256,) of enrolment embeddings. Raises ValueError for none, wrong shapes or values."""
    if not enrolment or any(np.shape(one) != (DIMENSIONS,) for one in enrolment):
        raise ValueError(f"enrolment needs one or more embeddings of {DIMENSIONS} numbers")
    mean = np.mean(np.asarray(enrolment, dtype=np.float64), axis=0)
    length = float(np.linalg.norm(mean))
    if not math.isfinite(length) or length < 1e-6:
        raise ValueError("the enrolment embeddings are not finite numbers")
    return np.asarray(mean / length)


def _at(net_seconds: float) -> tuple[float, float, float, float, float]:
    """The measured row at a length, linear in log seconds, held constant outside 3..10 s."""
    seconds = sorted(_MEASURED)
    where = math.log(min(max(net_seconds, seconds[0]), seconds[-1]))
    rows = np.array([_MEASURED[second] for second in seconds])
    same, same_sd, other, other_sd, cosine = (
        float(np.interp(where, np.log(seconds), rows[:, column])) for column in range(rows.shape[1])
    )
    return same, same_sd, other, other_sd, cosine


def threshold_cosine(net_seconds: float) -> float:
    """The cosine that let 1 % of measured impostors pass at this length (3 to 10 s; constant outside)."""
    return _at(net_seconds)[4]


def probability(cosine: float, net_seconds: float) -> float:
    """Probability 0.001..0.999 that two voices are one person, at equal prior odds (module docstring)."""
    same, same_sd, other, other_sd, _ = _at(net_seconds)
    variance = (same_sd**2 + other_sd**2) / 2.0
    ratio = (same - other) / variance * (cosine - (same + other) / 2.0)
    limit = math.log(MAX_ODDS)
    return 1.0 / (1.0 + math.exp(-min(max(ratio, -limit), limit)))


def warm() -> None:
    """Load the encoder and run it once."""
    noise = np.random.default_rng(0).normal(0.0, 0.01, _PARTIAL_FRAMES * _HOP)
    _embed_speech(noise.astype(np.float32))


def verify(enrolment: Sequence[np.ndarray], test: np.ndarray, rate: int) -> Evidence:
    """Hold the voice in ``test`` against enrolment embeddings.

    ``value`` is the probability of one speaker, ``threshold`` the probability at the measured FAR of 1 %; the raw
    cosine is in the details and is no percentage of similarity. Less than 3 s of net speech is inconclusive.
    Raises AudioError, and ValueError for broken embeddings.
    """
    enrolled = centroid(enrolment)
    sound, _, net = _prepare(test, rate)
    cosine = float(enrolled @ _embed_speech(sound))
    limit = threshold_cosine(net)
    details: dict[str, Detail] = {
        "cosine": round(cosine, 4),
        "threshold_cosine": round(limit, 4),
        "net_seconds": round(net, 2),
        "enrolled_embeddings": float(len(enrolment)),
    }
    if net < MIN_NET_SECONDS:
        verdict, reason = Verdict.INCONCLUSIVE, "too_little_speech"
    elif cosine >= limit:
        verdict, reason = Verdict.PASS, "ok"
    elif cosine >= limit - UNCERTAIN_BAND:
        verdict, reason = Verdict.INCONCLUSIVE, "speaker_uncertain"
    else:
        verdict, reason = Verdict.REFUSE, "different_speaker"
    return Evidence(
        kind="speaker",
        value=round(probability(cosine, net), 4),
        threshold=round(probability(limit, net), 4),
        verdict=verdict,
        reason=reason,
        advice=advice(reason),
        model=MODEL,
        details=details,
    )


def windows(wave: np.ndarray, rate: int, seconds: float = WINDOW_SECONDS) -> list[tuple[float, float, np.ndarray]]:
    """Cut speech into overlapping windows of ``seconds`` without its silences.

    Returns (start, end, embedding) with the times in the original recording. Speech shorter than one window gives
    an empty list; the rest at the end is covered by a last window that reaches back. Raises AudioError.
    """
    sound, index, _ = _prepare(wave, rate)
    length, step = round(seconds * MODEL_RATE), round(seconds * WINDOW_STEP / WINDOW_SECONDS * MODEL_RATE)
    if sound.size < length:
        return []
    starts = sorted({*range(0, sound.size - length + 1, step), sound.size - length})
    return [
        (
            index[start] / MODEL_RATE,
            index[start + length - 1] / MODEL_RATE,
            _embed_speech(sound[start : start + length]),
        )
        for start in starts
    ]


def verify_windows(live: Sequence[np.ndarray], wave: np.ndarray, rate: int) -> Evidence:
    """Is every part of a long recording the person whose live embeddings are given?

    Two neighbouring windows below the uncertain band, or more than MAX_UNCERTAIN_SHARE of windows below the
    threshold, keep the recording from passing; ``details["others"]`` lists the seconds ``[start, end]`` that are
    somebody else. ``value`` is the probability for the worst window. Raises AudioError, ValueError.
    """
    enrolled = centroid(live)
    found = windows(wave, rate)
    limit = threshold_cosine(WINDOW_SECONDS)
    details: dict[str, Detail] = {"windows": float(len(found)), "threshold_cosine": round(limit, 4)}
    if not found:
        return _window_evidence(0.0, Verdict.INCONCLUSIVE, "too_little_speech", details)
    cosines = np.array([float(enrolled @ embedding) for _, _, embedding in found])
    low = cosines < limit - UNCERTAIN_BAND
    others = [
        [round(found[start][0], 2), round(found[stop - 1][1], 2)]
        for start, stop in speech.runs(low)
        if stop - start >= 2 or len(found) == 1
    ]
    uncertain = float((cosines < limit).mean())
    details |= {
        "cosine_mean": round(float(cosines.mean()), 4),
        "cosine_min": round(float(cosines.min()), 4),
        "below_threshold_share": round(uncertain, 4),
        "others": others,
    }
    worst = probability(float(cosines.min()), WINDOW_SECONDS)
    if others:
        everywhere = bool(low.mean() > 0.5)
        return _window_evidence(
            worst, Verdict.REFUSE, "different_speaker" if everywhere else "several_speakers", details
        )
    if uncertain > MAX_UNCERTAIN_SHARE or low.any():
        return _window_evidence(worst, Verdict.INCONCLUSIVE, "speaker_uncertain", details)
    return _window_evidence(worst, Verdict.PASS, "ok", details)


def _window_evidence(value: float, verdict: Verdict, reason: str, details: dict[str, Detail]) -> Evidence:
    return Evidence(
        kind="speaker_windows",
        value=round(value, 4),
        threshold=round(probability(threshold_cosine(WINDOW_SECONDS), WINDOW_SECONDS), 4),
        verdict=verdict,
        reason=reason,
        advice=advice(reason),
        model=MODEL,
        details=details,
    )
