"""Test recordings made from the corpus: prompts joined to a stretch of speech, then sent through a condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.signal import fftconvolve

from consent.biometrics.attacks import processing
from consent.biometrics.audio import MODEL_RATE
from consent.biometrics.calibrate.corpus import Voice

#: Every prompt is brought to this level before it is joined; the quiet room around it is this far below full scale.
SPEECH_DBFS: Final = -26.0
ROOM_DBFS: Final = -72.0
#: Gaps between prompts, seconds; and the quiet before and after.
GAPS: Final = (0.15, 0.45)
EDGE: Final = 0.5
#: A frame of a prompt is sound when it is at most this far (dB) below the prompt's loud frames.
_EDGE_DB: Final = 35.0
_FRAME: Final = 160

Degrade = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Shelf:
    """The prompts of one voice, edges trimmed and levelled: what enrolment is taken from, and what tests are."""

    voice: Voice
    enrol: list[np.ndarray]
    test: list[np.ndarray]
    #: Do the two come from different sessions (see `corpus.Voice`)?
    apart: bool


def trimmed(clip: np.ndarray) -> np.ndarray:
    """The clip without its quiet edges, at SPEECH_DBFS; empty when there is nothing but quiet."""
    frames = clip[: clip.size // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64)
    powers = (frames**2).mean(1)
    if powers.size < 5 or powers.max() < 1e-8:
        return np.zeros(0, np.float32)
    loud = np.flatnonzero(powers > np.percentile(powers, 95) * 10.0 ** (-_EDGE_DB / 10.0))
    sound = clip[max(0, loud[0] - 3) * _FRAME : (loud[-1] + 4) * _FRAME]
    rms = float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))
    return np.asarray(sound * (10.0 ** (SPEECH_DBFS / 20.0) / rms), dtype=np.float32)


def shelf(voice: Voice) -> Shelf:
    """Split a voice: the first session enrols and the last is tested; one session is halved, clip by clip."""
    sessions = [[clip for clip in map(trimmed, session) if clip.size > _FRAME * 10] for session in voice.sessions]
    sessions = [session for session in sessions if seconds(session) >= 20.0] or [
        [clip for session in sessions for clip in session]
    ]
    if len(sessions) > 1:
        return Shelf(voice, sessions[0], sessions[-1], apart=True)
    return Shelf(voice, sessions[0][::2], sessions[0][1::2], apart=False)


def seconds(clips: list[np.ndarray]) -> float:
    """Length of all clips together."""
    return sum(clip.size for clip in clips) / MODEL_RATE


def recordings(clips: list[np.ndarray], length: float, most: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Up to ``most`` recordings with ``length`` seconds of prompts each, no prompt used twice."""
    order: list[int] = list(rng.permutation(len(clips)))
    made: list[np.ndarray] = []
    while order and len(made) < most:
        pieces: list[np.ndarray] = []
        while order and seconds(pieces) < length:
            pieces.append(clips[order.pop()])
        if seconds(pieces) >= length:
            made.append(joined(pieces, rng))
    return made


def joined(pieces: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Prompts one after the other with short gaps in a quiet room."""
    parts = [np.zeros(int(EDGE * MODEL_RATE), np.float32)]
    for piece in pieces:
        parts += [piece, np.zeros(int(rng.uniform(*GAPS) * MODEL_RATE), np.float32)]
    parts.append(np.zeros(int((EDGE - GAPS[0]) * MODEL_RATE), np.float32))
    sound = np.concatenate(parts)
    room = rng.normal(0.0, 10.0 ** (ROOM_DBFS / 20.0), sound.size)
    return np.asarray(np.clip(sound + room, -1.0, 1.0), dtype=np.float32)


def noisy(sound: np.ndarray, decibels: float, seed: int) -> np.ndarray:
    """Background noise, pink above 200 Hz, ``decibels`` below the speech (SPEECH_DBFS)."""
    white = np.fft.rfft(np.random.default_rng(seed).standard_normal(sound.size))
    hertz = np.fft.rfftfreq(sound.size, 1.0 / MODEL_RATE)
    noise = np.fft.irfft(white / np.sqrt(np.maximum(hertz, 200.0)), n=sound.size)
    noise *= 10.0 ** ((SPEECH_DBFS - decibels) / 20.0) / np.sqrt(np.mean(noise**2))
    return np.asarray(sound + noise, dtype=np.float32)


def room(sound: np.ndarray, rt60: float, direct_db: float, seed: int) -> np.ndarray:
    """A synthetic room: the direct sound, then exponentially falling noise ``direct_db`` below it in energy."""
    length = int(1.2 * rt60 * MODEL_RATE)
    tail = np.random.default_rng(seed).standard_normal(length)
    tail *= 10.0 ** (-3.0 * np.arange(length) / (rt60 * MODEL_RATE))
    tail[: MODEL_RATE // 400] = 0.0
    response = tail * 10.0 ** (-direct_db / 20.0) / np.sqrt((tail**2).sum())
    response[0] = 1.0
    wet = fftconvolve(sound, response)[: sound.size]
    return np.asarray(wet * np.sqrt(np.mean(sound**2) / np.mean(wet**2)), dtype=np.float32)


#: By name, as the card lists them; the second argument is a seed.
CONDITIONS: Final[dict[str, Degrade]] = {
    "clean": lambda sound, seed: sound,
    "MP3 32 kbit/s": lambda sound, seed: processing.mp3(sound, 32_000),
    "Opus 16 kbit/s": lambda sound, seed: processing.opus(sound, 16_000),
    "noise 20 dB": lambda sound, seed: noisy(sound, 20.0, seed),
    "noise 10 dB": lambda sound, seed: noisy(sound, 10.0, seed),
    "noise 5 dB": lambda sound, seed: noisy(sound, 5.0, seed),
    "room 0.3 s": lambda sound, seed: room(sound, 0.3, 6.0, seed),
    "room 0.6 s": lambda sound, seed: room(sound, 0.6, 0.0, seed),
    "telephone": lambda sound, seed: processing.telephone(sound),
}
