"""Is the recording good enough to judge anything by? Measured on the sound itself, before any score.

Thresholds follow what voice services ask for and what the speaker score can stand: below 15 dB signal to noise and
over a telephone, honest people would be told "not the same person"; here they are told what is wrong instead.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Final, Literal

import numpy as np
from scipy.ndimage import binary_dilation

from consent.biometrics import loudness, speech
from consent.biometrics.advice import advice
from consent.biometrics.audio import (
    MAX_LIVE_SECONDS,
    MAX_TRAINING_SECONDS,
    MODEL_RATE,
    at_model_rate,
    checked,
    decibels,
)
from consent.biometrics.evidence import Detail, Evidence, Verdict

MODEL: Final = f"quality-1/{speech.MODEL}"
Purpose = Literal["live", "training"]

#: Net speech of one recording in seconds: the least a speaker decision can rest on. Training speech comes as many short
#: recordings; whether a set of them is long enough is decided where the consent that names them is given.
MIN_NET_SECONDS: Final[dict[str, float]] = {"live": 3.0, "training": 3.0}
MAX_SECONDS: Final[dict[str, float]] = {"live": MAX_LIVE_SECONDS, "training": MAX_TRAINING_SECONDS}
#: Speech over background in dB: refused below the first, a warning below the second.
MIN_SNR_DB: Final = 15.0
GOOD_SNR_DB: Final = 20.0
#: Background alone in dBFS: refused above the first, a warning above the second.
MAX_NOISE_DBFS: Final = -30.0
GOOD_NOISE_DBFS: Final = -50.0
#: Share of samples at full scale: refused above the first, a warning above the second.
MAX_CLIPPED: Final = 0.01
GOOD_CLIPPED: Final = 0.001
#: A sample this near full scale counts as clipped.
FULL_SCALE: Final = 0.999
#: Loudness in LUFS: refused below the first; a warning outside the range.
MIN_LUFS: Final = -45.0
GOOD_LUFS: Final = (-30.0, -16.0)
#: Peaks above this are a warning (dB below full scale).
GOOD_PEAK_DBFS: Final = -1.0
#: A telephone ends at 3.4 kHz; everything wider carries speech above this frequency in Hz.
MIN_BANDWIDTH_HZ: Final = 5_500.0
#: A band still counts as sound when it is this far below the loudest one (dB), measured on speech only.
BANDWIDTH_DROP_DB: Final = 60.0
#: ... and this far above the background in the same band (dB), so that hiss is not taken for bandwidth.
BANDWIDTH_OVER_NOISE_DB: Final = 3.0
#: Longest pause inside the speech in seconds, and the share of silence: warnings.
GOOD_PAUSE_SECONDS: Final = 2.0
GOOD_SILENCE: Final = (0.1, 0.5)
#: Background frames needed for a noise estimate (6 x 32 ms, about 0.2 s).
_NOISE_FRAMES: Final = 6
_FFT: Final = 512


@dataclass(frozen=True)
class Measurements:
    """Everything measured. None means: could not be measured (no speech, no background, too short)."""

    seconds: float
    net_speech: float
    silence_share: float
    longest_pause: float
    snr_db: float | None
    noise_dbfs: float | None
    peak_dbfs: float
    clipped_share: float
    lufs: float | None
    bandwidth_hz: float | None


def measure(wave: np.ndarray, rate: int, *, max_seconds: float = MAX_TRAINING_SECONDS) -> Measurements:
    """Measure a recording (samples,) at ``rate`` Hz; levels in dB of full scale. Raises AudioError."""
    sound = checked(wave, rate, max_seconds=max_seconds)
    listened = at_model_rate(sound, rate)
    mask = speech.frame_mask(listened)
    # The edges of speech belong to neither side: two frames around every stretch are left out of the background.
    background = ~binary_dilation(mask, iterations=2) if mask.any() else ~mask
    powers = _frame_powers(listened, mask.size)
    # The median frame: one slammed door is not the background.
    noise = float(np.median(powers[background])) if background.sum() >= _NOISE_FRAMES else None
    snr = None
    if mask.any() and noise is not None:
        snr = decibels(max(float(powers[mask].mean()) - noise, 1e-12) / max(noise, 1e-12))
    stretches = speech.runs(mask)
    pauses = [after - before for (_, before), (after, _) in itertools.pairwise(stretches)]
    peak = float(np.abs(sound).max())
    return Measurements(
        seconds=sound.size / rate,
        net_speech=float(mask.sum()) * speech.FRAME / MODEL_RATE,
        silence_share=1.0 - float(mask.mean()),
        longest_pause=max(pauses, default=0) * speech.FRAME / MODEL_RATE,
        snr_db=snr,
        noise_dbfs=None if noise is None else decibels(noise),
        peak_dbfs=decibels(peak**2),
        clipped_share=float((np.abs(sound) >= FULL_SCALE).mean()),
        lufs=loudness.integrated(sound, rate),
        bandwidth_hz=_bandwidth(listened, mask, background) if mask.any() else None,
    )


def _frame_powers(listened: np.ndarray, count: int) -> np.ndarray:
    """Mean square of each 32 ms frame (count,)."""
    padded = np.zeros(count * speech.FRAME, dtype=np.float64)
    padded[: listened.size] = listened
    return np.asarray((padded.reshape(count, speech.FRAME) ** 2).mean(1))


def _bandwidth(listened: np.ndarray, mask: np.ndarray, background: np.ndarray) -> float:
    """The highest frequency in Hz (0..8,000) at which speech stands above the drop and above the background."""
    frames = np.zeros(mask.size * speech.FRAME, dtype=np.float32)
    frames[: listened.size] = listened
    shaped = frames.reshape(mask.size, speech.FRAME)
    window = np.hanning(_FFT).astype(np.float32)

    def spectrum(chosen: np.ndarray) -> np.ndarray:
        total, count = np.zeros(_FFT // 2 + 1), 0
        for start in range(0, mask.size, 4096):
            part = shaped[start : start + 4096][chosen[start : start + 4096]]
            total += (np.abs(np.fft.rfft(part * window, _FFT)) ** 2).sum(0)
            count += len(part)
        # Smoothed over 5 bins (156 Hz) so that a single line is not a band.
        return np.convolve(total / max(count, 1), np.full(5, 0.2), mode="same") + 1e-20

    voiced = spectrum(mask)
    present = voiced > voiced.max() * 10.0 ** (-BANDWIDTH_DROP_DB / 10.0)
    if background.sum() >= _NOISE_FRAMES:
        present &= voiced > spectrum(background) * 10.0 ** (BANDWIDTH_OVER_NOISE_DB / 10.0)
    return float(np.flatnonzero(present)[-1] * MODEL_RATE / _FFT) if present.any() else 0.0


def examine(wave: np.ndarray, rate: int, *, purpose: Purpose) -> Evidence:
    """Judge a recording for a purpose.

    ``reason`` is the first failure in the order of the checks below, ``value`` and ``threshold`` belong to it (a pass
    shows the signal to noise ratio); ``details`` holds all measurements, all ``failures`` with their advice, and
    ``warnings`` that do not keep it from passing. Raises AudioError; ValueError for an unknown purpose.
    """
    if purpose not in MIN_NET_SECONDS:
        raise ValueError(f"unknown purpose {purpose!r}")
    found = measure(wave, rate, max_seconds=MAX_SECONDS[purpose])
    failures = _failures(found, MIN_NET_SECONDS[purpose])
    details: dict[str, Detail] = {
        name: "unmeasured" if value is None else round(value, 4) for name, value in asdict(found).items()
    }
    details |= {
        "failures": [
            {"reason": reason, "value": round(value, 4), "threshold": limit, "advice": advice(reason)}
            for reason, value, limit in failures
        ],
        "warnings": _warnings(found),
        "purpose": purpose,
    }
    verdict = Verdict.REFUSE
    if not failures:
        failures, verdict = [("ok", found.snr_db or 0.0, MIN_SNR_DB)], Verdict.PASS
    elif failures[0][0] == "noise_unmeasured":
        verdict = Verdict.INCONCLUSIVE
    reason, value, limit = failures[0]
    return Evidence(
        kind="quality",
        value=round(value, 4),
        threshold=limit,
        verdict=verdict,
        reason=reason,
        advice=advice(reason),
        model=MODEL,
        details=details,
    )


def _failures(found: Measurements, least_speech: float) -> list[tuple[str, float, float]]:
    """(reason, value, threshold) of everything that keeps the recording out, the most basic first."""
    failures: list[tuple[str, float, float]] = []
    if found.net_speech == 0.0:
        failures.append(("no_speech", 0.0, least_speech))
    elif found.net_speech < least_speech:
        failures.append(("too_little_speech", found.net_speech, least_speech))
    if found.clipped_share > MAX_CLIPPED:
        failures.append(("clipped", found.clipped_share, MAX_CLIPPED))
    if found.lufs is not None and found.lufs < MIN_LUFS:
        failures.append(("too_quiet", found.lufs, MIN_LUFS))
    if found.snr_db is not None and found.snr_db < MIN_SNR_DB:
        failures.append(("noisy", found.snr_db, MIN_SNR_DB))
    if found.noise_dbfs is not None and found.noise_dbfs > MAX_NOISE_DBFS:
        failures.append(("noise_floor", found.noise_dbfs, MAX_NOISE_DBFS))
    if found.bandwidth_hz is not None and found.bandwidth_hz < MIN_BANDWIDTH_HZ:
        failures.append(("narrow_band", found.bandwidth_hz, MIN_BANDWIDTH_HZ))
    if found.net_speech > 0.0 and found.noise_dbfs is None:
        failures.append(("noise_unmeasured", 0.0, _NOISE_FRAMES * speech.FRAME / MODEL_RATE))
    return failures


def _warnings(found: Measurements) -> list[str]:
    """Codes of what is not good but good enough."""
    judged = {
        "snr": found.snr_db is not None and found.snr_db < GOOD_SNR_DB,
        "noise_floor": found.noise_dbfs is not None and found.noise_dbfs > GOOD_NOISE_DBFS,
        "clipped": found.clipped_share > GOOD_CLIPPED,
        "peak": found.peak_dbfs > GOOD_PEAK_DBFS,
        "loudness": found.lufs is None or not GOOD_LUFS[0] <= found.lufs <= GOOD_LUFS[1],
        "pause": found.longest_pause > GOOD_PAUSE_SECONDS,
        "silence_share": not GOOD_SILENCE[0] <= found.silence_share <= GOOD_SILENCE[1],
    }
    return [code for code, bad in judged.items() if bad]
