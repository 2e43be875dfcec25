"""Is the recording good enough to judge anything by? Measured on the sound itself, before any score.

Thresholds follow what voice services ask for and what the speaker score can stand: below 15 dB signal to noise and
over a telephone, honest people would be told "not the same person"; here they are told what is wrong instead.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final, Literal

import numpy as np

from consent.biometrics import company, speech
from consent.biometrics.advice import advice
from consent.biometrics.audio import MAX_LIVE_SECONDS, MAX_TRAINING_SECONDS, MODEL_RATE
from consent.biometrics.evidence import Detail, Evidence, Verdict
from consent.biometrics.measures import NOISE_FRAMES, Measurements, measure

MODEL: Final = f"quality-2/{speech.MODEL}"
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
#: Loudness in LUFS: refused below the first; a warning outside the range.
MIN_LUFS: Final = -45.0
GOOD_LUFS: Final = (-30.0, -16.0)
#: Peaks above this are a warning (dB below full scale).
GOOD_PEAK_DBFS: Final = -1.0
#: A telephone ends at 3.4 kHz; everything wider carries speech above this frequency in Hz.
MIN_BANDWIDTH_HZ: Final = 5_500.0
#: Longest pause inside the speech in seconds, and the share of silence: warnings.
GOOD_PAUSE_SECONDS: Final = 2.0
GOOD_SILENCE: Final = (0.1, 0.5)
#: Reverberation time in seconds: refused above the first, a warning above the second.
MAX_ROOM: Final = 0.9
GOOD_ROOM: Final = 0.5
#: Syllables a second of net speech: a warning outside (reading aloud is 3 to 6).
GOOD_SYLLABLES: Final = (1.5, 7.5)
#: Cosine between the two most different parts of the speech: refused below the first, a warning below the second.
MIN_ALIKE: Final = 0.70
GOOD_ALIKE: Final = 0.75


def examine(wave: np.ndarray, rate: int, *, purpose: Purpose = "live") -> Evidence:
    """Judge a recording for a purpose.

    ``reason`` is the first failure in the order of the checks below, ``value`` and ``threshold`` belong to it (a pass
    shows the signal to noise ratio); ``details`` holds all measurements, all ``failures`` with their advice, and
    ``warnings`` that do not keep it from passing. Raises AudioError; ValueError for an unknown purpose.
    """
    if purpose not in MIN_NET_SECONDS:
        raise ValueError(f"unknown purpose {purpose!r}")
    found = measure(wave, rate, max_seconds=MAX_SECONDS[purpose])
    alike = company.measure(wave, rate) if found.net_speech >= MIN_NET_SECONDS[purpose] else None
    failures = _failures(found, MIN_NET_SECONDS[purpose], alike)
    details: dict[str, Detail] = {
        name: "unmeasured" if value is None else round(value, 4)
        for name, value in {**asdict(found), "one_speaker": alike}.items()
    }
    details |= {
        "failures": [
            {"reason": reason, "value": round(value, 4), "threshold": limit, "advice": advice(reason)}
            for reason, value, limit in failures
        ],
        "warnings": _warnings(found, alike),
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


def _failures(found: Measurements, least_speech: float, alike: float | None) -> list[tuple[str, float, float]]:
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
    if found.reverberation is not None and found.reverberation > MAX_ROOM:
        failures.append(("reverberant", found.reverberation, MAX_ROOM))
    if alike is not None and alike < MIN_ALIKE:
        failures.append(("several_voices", alike, MIN_ALIKE))
    if found.net_speech > 0.0 and found.noise_dbfs is None:
        failures.append(("noise_unmeasured", 0.0, NOISE_FRAMES * speech.FRAME / MODEL_RATE))
    return failures


def _warnings(found: Measurements, alike: float | None) -> list[str]:
    """Codes of what is not good but good enough."""
    judged = {
        "snr": found.snr_db is not None and found.snr_db < GOOD_SNR_DB,
        "noise_floor": found.noise_dbfs is not None and found.noise_dbfs > GOOD_NOISE_DBFS,
        "clipped": found.clipped_share > GOOD_CLIPPED,
        "peak": found.peak_dbfs > GOOD_PEAK_DBFS,
        "loudness": found.lufs is None or not GOOD_LUFS[0] <= found.lufs <= GOOD_LUFS[1],
        "pause": found.longest_pause > GOOD_PAUSE_SECONDS,
        "room": found.reverberation is not None and found.reverberation > GOOD_ROOM,
        "pace": found.syllables is not None and not GOOD_SYLLABLES[0] <= found.syllables <= GOOD_SYLLABLES[1],
        "one_speaker": alike is not None and alike < GOOD_ALIKE,
        "silence_share": not GOOD_SILENCE[0] <= found.silence_share <= GOOD_SILENCE[1],
    }
    return [code for code, bad in judged.items() if bad]
