"""Recordings to training items: cut, levelled, coded and read. Everything stays in memory; no file is written.

Text and sound must belong together, so a recording of at most ITEM_SECONDS with a transcript is one item. Longer ones
are cut at pauses; their pieces have no text of their own and teach only the sound (S2), never the reading (S1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cloning.engine.config import EngineConfig
from cloning.engine.errors import TextError, TrainingRefused
from cloning.engine.features import audio
from cloning.engine.features.content import ContentEncoder, nearest_codes, pair
from cloning.engine.text import to_phones
from cloning.engine.text.symbols import INDEX

#: Longest item; a recording up to this length keeps its transcript.
ITEM_SECONDS = 15.0
#: Shortest item: below this there is no sentence, and less than a training segment.
SHORTEST_SECONDS = 0.7
#: Audible speech needed in all, and most material taken (the rest would only take time).
LEAST_SPEECH_SECONDS = 10.0
MOST_SECONDS = 1800.0
#: Most recordings in one call.
MOST_RECORDINGS = 2000
#: Frames of 20 ms louder than this (dB below the recording's loud frames, and in absolute RMS) count as speech.
SPEECH_RANGE_DB = 35.0
SPEECH_FLOOR = 10 ** (-55 / 20)
#: Silence left at either end of an item.
EDGE_SECONDS = 0.2
#: Phones per second that can be true (upstream's filter); outside, the transcript is not what was said.
PHONES_PER_SECOND = (3.0, 25.0)
#: Stands for the unknown words of a piece without text.
WORDLESS = INDEX["SP"]


@dataclass(frozen=True)
class Recording:
    """`wave` (samples,) or (samples, channels), float or int16, at `rate` Hz; `transcript`: what is said, or None."""

    wave: np.ndarray
    rate: int
    transcript: str | None = None


@dataclass(frozen=True)
class Item:
    """One utterance. `wave` float32 (T * samples per code,), `codes` (T,), `phones` (X,) int64.

    `has_text` False: phones are a placeholder. `speaker` tells who may be paired with whom.
    `phone_targets` (T,): the phone being spoken at each code, IGNORED (-100) where unknown; None for real speech.
    """

    wave: Tensor
    codes: Tensor
    phones: Tensor
    has_text: bool
    speaker: str = ""
    phone_targets: Tensor | None = None


@dataclass(frozen=True)
class Material:
    """Items of one speaker, and how much was heard: seconds of audible speech and of pieces left out."""

    items: list[Item]
    speech_seconds: float
    dropped_seconds: float

    @property
    def readable(self) -> list[Item]:
        return [item for item in self.items if item.has_text]


def prepare(
    recordings: Sequence[Recording], *, language: str, config: EngineConfig, encoder: ContentEncoder, codebook: Tensor
) -> Material:
    """Items for training.

    Raises TrainingRefused: `no_recordings`, `too_much`, `bad_audio`, `bad_transcript`, `silence`, `too_little_speech`,
    `no_transcript` (nothing to learn reading from).
    """
    if not recordings:
        raise TrainingRefused("no_recordings", "there is no recording")
    if len(recordings) > MOST_RECORDINGS:
        raise TrainingRefused("too_much", f"at most {MOST_RECORDINGS} recordings are taken")
    if sum(len(r.wave) / max(1, r.rate) for r in recordings) > MOST_SECONDS:
        raise TrainingRefused("too_much", f"at most {MOST_SECONDS / 60:.0f} minutes of recordings are taken")
    rate = config.audio.sample_rate
    items: list[Item] = []
    heard = dropped = mismatched = 0.0
    for recording in recordings:
        wave = audio.normalise(audio.resample(audio.mono(recording.wave), recording.rate, rate))
        short = len(wave) <= ITEM_SECONDS * rate
        for piece in [wave] if short else _pieces(wave, rate):
            piece, seconds = trim(piece, rate)
            phones = _read(recording.transcript, language) if short and recording.transcript else None
            if len(piece) < SHORTEST_SECONDS * rate:
                dropped += len(piece) / rate
                continue
            pace = len(phones) * rate / len(piece) if phones is not None else PHONES_PER_SECOND[0]
            if not PHONES_PER_SECOND[0] <= pace <= PHONES_PER_SECOND[1]:
                mismatched += len(piece) / rate
                continue
            heard += seconds
            items.append(encode(piece, phones, config=config, encoder=encoder, codebook=codebook))
    if heard == 0 and mismatched == 0:
        raise TrainingRefused("silence", "no speech was found in the recordings")
    if heard < LEAST_SPEECH_SECONDS:
        raise TrainingRefused(
            "too_little_speech",
            f"{heard:.1f} seconds of usable speech were found; at least {LEAST_SPEECH_SECONDS:.0f} are needed"
            + (f" (in {mismatched:.1f} more the transcript cannot be what was said)" if mismatched else ""),
        )
    material = Material(items, heard, dropped + mismatched)
    if not material.readable:
        raise TrainingRefused("no_transcript", "no recording of at most 15 seconds came with its text")
    return material


def encode(
    wave: np.ndarray,
    phones: list[int] | None,
    *,
    config: EngineConfig,
    encoder: ContentEncoder,
    codebook: Tensor,
    speaker: str = "",
    phone_targets: Tensor | None = None,
) -> Item:
    """One piece of sound at the configuration's rate, with its phones (None: unknown), as an item."""
    span = config.acoustic.frames_per_code * config.audio.hop
    count = len(wave) // span
    sound = torch.from_numpy(np.ascontiguousarray(wave[: count * span], dtype=np.float32))
    content_rate = config.content.sample_rate
    heard = sound
    if config.audio.sample_rate != content_rate:
        heard = torch.from_numpy(audio.resample(sound.numpy(), config.audio.sample_rate, content_rate))
    with torch.inference_mode():
        vectors = pair(encoder(heard[None]), config.acoustic.frames_per_code)[0]
        codes = nearest_codes(vectors, codebook)[:count]
    count = len(codes)
    return Item(
        wave=sound[: count * span],
        codes=codes.clone(),
        phones=torch.tensor(phones if phones is not None else [WORDLESS]),
        has_text=phones is not None,
        speaker=speaker,
        phone_targets=None if phone_targets is None else phone_targets[:count],
    )


def trim(wave: np.ndarray, rate: int) -> tuple[np.ndarray, float]:
    """The wave without long silence at its ends, and its seconds of audible speech."""
    hop = round(0.02 * rate)
    if len(wave) < hop:
        return wave[:0], 0.0
    rms = audio.level(wave, frame=2 * hop, hop=hop)
    loud = float(np.quantile(rms, 0.95))
    speech = np.flatnonzero(rms > max(SPEECH_FLOOR, loud * 10 ** (-SPEECH_RANGE_DB / 20)))
    if not len(speech):
        return wave[:0], 0.0
    edge = round(EDGE_SECONDS * rate)
    start, end = max(0, int(speech[0]) * hop - edge), int(speech[-1]) * hop + edge
    return wave[start:end], len(speech) * hop / rate


def _pieces(wave: np.ndarray, rate: int) -> list[np.ndarray]:
    """Cut at pauses; what is still too long is cut hard, as nothing is lost with the text unknown anyway."""
    longest = int(ITEM_SECONDS * rate)
    return [
        wave[place : min(end, place + longest)]
        for start, end in audio.slices(wave, rate)
        for place in range(start, end, longest)
    ]


def _read(transcript: str, language: str) -> list[int]:
    try:
        return to_phones(transcript, language).ids
    except TextError as error:
        if error.code == "unsupported_language":
            raise
        raise TrainingRefused("bad_transcript", f"a transcript cannot be read: {error.message}") from error
