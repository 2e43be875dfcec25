"""Do two recordings come from one microphone and room? Was one compressed twice, or played through a loudspeaker?

All of it is a flag for a moderator and never a refusal: people own two microphones, browsers compress, rooms differ.
The distance of long-term spectra is also moved by what is said; thresholds are set where two recordings of one
session are flagged rarely. Measured on 24 recorded voices, 8 s against 8 s of one session: none flagged as another
channel, one for missing bass; behind a simulated telephone all 24, after MP3 at 32 kbit/s 22 as compressed before.
No loudspeaker was at hand, so the replay cue is unmeasured on real replay.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np

from consent.biometrics import speech
from consent.biometrics.advice import advice
from consent.biometrics.audio import MAX_TRAINING_SECONDS, MODEL_RATE, at_model_rate, checked, decibels
from consent.biometrics.evidence import Detail, Evidence, Verdict

MODEL: Final = f"channel-1/{speech.MODEL}"
#: Less speech than this says nothing about a channel.
MIN_NET_SECONDS: Final = 2.0
#: Bands of the long-term spectrum: evenly spaced on a logarithmic axis.
BANDS: Final = 20
LOW_HZ: Final = 150.0
HIGH_HZ: Final = 7_000.0
#: Flags. Root mean square difference of the levelled spectra, dB; difference of bandwidths, Hz; of backgrounds, dB.
MAX_DISTANCE: Final = 6.0
MAX_BANDWIDTH_GAP: Final = 2_000.0
MAX_FLOOR_GAP: Final = 20.0
#: Share of cells between 3 and 7 kHz that a codec emptied while their neighbours in time hold sound.
MAX_HOLES: Final = 0.05
#: Level of 90 to 200 Hz against 200 to 1,000 Hz, dB: below it the bass is missing, as behind a small loudspeaker.
MIN_BASS: Final = -22.0
#: A band ends where the long-term spectrum has fallen this far below its highest value, dB.
_DROP: Final = 55.0
_FFT: Final = 512
_HOP: Final = 256
#: A hole lies this far below what the same bin holds on average, dB.
_HOLE: Final = 45.0


@dataclass(frozen=True)
class Channel:
    """What one recording says about its way here. Levels in dB; ``spectrum`` (BANDS,) with zero mean."""

    spectrum: np.ndarray
    bandwidth_hz: float
    floor_db: float | None
    holes: float
    bass_db: float
    net_seconds: float


def measure(wave: np.ndarray, rate: int) -> Channel:
    """Measure one recording (samples,). ``floor_db``: background against speech. Raises AudioError."""
    sound = at_model_rate(checked(wave, rate, max_seconds=MAX_TRAINING_SECONDS), rate)
    kept, _, net = speech.spoken(sound, margin=0)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(kept, _FFT), _FFT)[::_HOP] * np.hanning(_FFT)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 / _FFT
    mean = power.mean(axis=0) + 1e-14
    hertz = np.fft.rfftfreq(_FFT, 1.0 / MODEL_RATE)
    edges = np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1)
    bands = np.array([_between(mean, hertz, *pair) for pair in itertools.pairwise(edges)])
    levels = 10.0 * np.log10(mean)
    audible = hertz[levels > levels.max() - _DROP]
    upper = (hertz >= 3_000.0) & (hertz <= 7_000.0)
    carried = upper & (levels > levels.max() - _DROP)
    holes = float((power[:, carried] < mean[carried] * 10.0 ** (-_HOLE / 10.0)).mean()) if carried.any() else 0.0
    quiet = ~np.repeat(speech.frame_mask(sound), speech.FRAME)[: sound.size]
    background = float(np.mean(sound[quiet].astype(np.float64) ** 2)) if quiet.sum() > MODEL_RATE // 5 else None
    loud = float(np.mean(kept.astype(np.float64) ** 2))
    bass = _between(mean, hertz, 90.0, 200.0) - _between(mean, hertz, 200.0, 1_000.0)
    return Channel(
        spectrum=bands - bands.mean(),
        bandwidth_hz=float(audible.max()) if audible.size else 0.0,
        floor_db=None if background is None else decibels(background) - decibels(loud),
        holes=holes,
        bass_db=bass,
        net_seconds=net,
    )


def compare(live: np.ndarray, upload: np.ndarray, rate: int) -> Evidence:
    """Compare a live answer with an upload, both (samples,) at ``rate`` Hz.

    ``value`` is the distance of the long-term spectra in dB. PASS means no flag was raised, INCONCLUSIVE names the
    first one; never REFUSE. Raises AudioError.
    """
    first, second = measure(live, rate), measure(upload, rate)
    band = np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1)[1:] <= min(first.bandwidth_hz, second.bandwidth_hz)
    shared = band if band.sum() >= BANDS // 2 else np.ones(BANDS, dtype=bool)
    gap = first.spectrum[shared] - second.spectrum[shared]
    distance = float(np.sqrt(np.mean((gap - gap.mean()) ** 2)))
    floors = None if first.floor_db is None or second.floor_db is None else abs(first.floor_db - second.floor_db)
    details: dict[str, Detail] = {
        "bandwidth_hz": [round(first.bandwidth_hz), round(second.bandwidth_hz)],
        "background_gap_db": "not measured" if floors is None else round(floors, 1),
        "holes": [round(first.holes, 4), round(second.holes, 4)],
        "bass_db": [round(first.bass_db, 1), round(second.bass_db, 1)],
        "net_seconds": [round(first.net_seconds, 2), round(second.net_seconds, 2)],
    }
    flags = []
    if (
        distance > MAX_DISTANCE
        or abs(first.bandwidth_hz - second.bandwidth_hz) > MAX_BANDWIDTH_GAP
        or (floors is not None and floors > MAX_FLOOR_GAP)
    ):
        flags.append("channel_differs")
    if second.holes > MAX_HOLES:
        flags.append("recompressed")
    if first.bass_db < MIN_BASS:
        flags.append("replay_cues")
    details["flags"] = list(flags)
    if min(first.net_seconds, second.net_seconds) < MIN_NET_SECONDS:
        flags = ["too_little_speech"]
    reason = flags[0] if flags else "ok"
    return Evidence(
        kind="channel",
        value=round(distance, 2),
        threshold=MAX_DISTANCE,
        verdict=Verdict.INCONCLUSIVE if flags else Verdict.PASS,
        reason=reason,
        advice=advice(reason),
        model=MODEL,
        details=details,
    )


def _between(power: np.ndarray, hertz: np.ndarray, low: float, high: float) -> float:
    """Mean level in dB of the bins from ``low`` to ``high`` Hz; the nearest bin where none lies between."""
    inside = (hertz >= low) & (hertz < high)
    if not inside.any():
        inside = np.arange(hertz.size) == int(np.abs(hertz - (low + high) / 2.0).argmin())
    return float(10.0 * np.log10(power[inside].mean()))
