"""Recordings to training items: cut, levelled, coded and read. Everything stays in memory; no file is written unless a
folder is handed in for it.

Text and sound must belong together, so a recording of at most ITEM_SECONDS with a transcript is one item. Longer ones
are cut at pauses; their pieces have no text of their own and teach only the sound (S2), never the reading (S1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cloning.engine.config import EngineConfig
from cloning.engine.errors import TextError, TrainingRefused
from cloning.engine.features import audio
from cloning.engine.features.content import ContentEncoder, nearest_codes, pair
from cloning.engine.features.levels import sliced
from cloning.engine.text import to_phones
from cloning.engine.text.symbols import INDEX
from cloning.engine.training import doubts
from cloning.engine.training.hearing import OfficialHearing
from cloning.engine.training.keep import write_material

#: Longest item; a recording up to this length keeps its transcript.
ITEM_SECONDS = 15.0
#: Upstream's longest recording with a text, and shortest recording at all.
UPSTREAM_ITEM_SECONDS, UPSTREAM_SHORTEST = 54.0, 0.6
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
    """`wave` (samples,) or (samples, channels), float or int16, at `rate` Hz; `transcript`: what is said, or None.

    `language` None: that of the whole set. `name`, `speaker`: as the person who hands it in calls them, or "".
    """

    wave: np.ndarray
    rate: int
    transcript: str | None = None
    language: str | None = None
    name: str = ""
    speaker: str = ""


@dataclass(frozen=True)
class Item:
    """One utterance. `wave` float32 (T * samples per code,), `codes` (T,), `phones` (X,) int64.

    `has_text` False: phones are a placeholder. `speaker` tells who may be paired with whom.
    `phone_targets` (T,): the phone being spoken at each code, IGNORED (-100) where unknown; None for real speech.
    `bert` (bert_dim, X) float32: prosody features of Mandarin, None = zeros. `speaker_vector` (speaker_dim,) float32:
    for the Pro versions, None for all others. `name`, `language`: of the recording.
    """

    wave: Tensor
    codes: Tensor
    phones: Tensor
    has_text: bool
    speaker: str = ""
    phone_targets: Tensor | None = None
    bert: Tensor | None = None
    speaker_vector: Tensor | None = None
    name: str = ""
    language: str = ""


@dataclass(frozen=True)
class Material:
    """Items of one speaker, and how much was heard: seconds of audible speech and of pieces left out.

    `notes`: what a careful person would mention. `transcripts_left_out`: some cannot be what was said;
    `transcripts_unconfirmed`: the content encoder could not hear the words of most; `several_speakers`: the recordings
    name more than one; `bert_missing`, `polyphones_built_in`: of the text front end. `left_out`: recordings whose text
    is not what was said, by name, or by their number in the list (from 1).
    """

    items: list[Item]
    speech_seconds: float
    dropped_seconds: float
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def readable(self) -> list[Item]:
        return [item for item in self.items if item.has_text]


def prepare(
    recordings: Sequence[Recording],
    *,
    language: str,
    config: EngineConfig,
    encoder: ContentEncoder | OfficialHearing,
    codebook: Tensor,
    keep: Path | None = None,
) -> Material:
    """Items for training.

    `encoder`: the base's own, or what the mounted official models hear; then `codebook` is not looked at, and with
    `compat` nothing is trimmed and texts may last as long as upstream's (54 s). `language` (en, zh, ja, ko, yue) is
    that of recordings that name none. `keep`: a folder that gets what was prepared as files (see training.keep);
    without it nothing is written.
    Raises TrainingRefused: `no_recordings`, `too_much`, `bad_audio`, `bad_transcript`, `silence`, `too_little_speech`,
    `transcripts_disagree` (most are not what is said), `no_transcript` (nothing to learn reading from), `disk_full`
    (`keep`); TextError `unsupported_language`.
    """
    if not recordings:
        raise TrainingRefused("no_recordings", "there is no recording")
    if len(recordings) > MOST_RECORDINGS:
        raise TrainingRefused("too_much", f"at most {MOST_RECORDINGS} recordings are taken")
    if sum(len(r.wave) / max(1, r.rate) for r in recordings) > MOST_SECONDS:
        raise TrainingRefused("too_much", f"at most {MOST_SECONDS / 60:.0f} minutes of recordings are taken")
    official = encoder if isinstance(encoder, OfficialHearing) else None
    compat = official is not None and official.compat
    rate = config.audio.sample_rate
    items: list[Item] = []
    told: list[str] = []
    seconds: list[float] = []
    left_out: list[str] = []
    dropped = mismatched = too_short = 0.0
    for number, recording in enumerate(recordings, 1):
        recording = replace(recording, name=recording.name or str(number))
        wave = audio.resample(audio.mono(recording.wave), recording.rate, rate)
        wave = wave if compat else audio.normalise(wave)
        short = len(wave) <= (UPSTREAM_ITEM_SECONDS if compat else ITEM_SECONDS) * rate
        text = recording.transcript if short else None
        spoken = _spoken(text, recording.language or language, official) if text else None
        for piece in [wave] if short else _pieces(wave, rate, compat=compat):
            piece, audible = (piece, trim(piece, rate)[1]) if compat else trim(piece, rate)
            if audible == 0 or len(piece) < (UPSTREAM_SHORTEST if compat else SHORTEST_SECONDS) * rate:
                dropped += len(piece) / rate
                too_short += audible
                continue
            pace = len(spoken.phones) * rate / len(piece) if spoken else PHONES_PER_SECOND[0]
            if not compat and not PHONES_PER_SECOND[0] <= pace <= PHONES_PER_SECOND[1]:
                mismatched += len(piece) / rate
                left_out.append(recording.name)
                continue
            item = _encoded(piece, spoken, recording, language, config, encoder, codebook)
            if item is None:
                dropped += len(piece) / rate
                continue
            items.append(item)
            seconds.append(audible)
            told += spoken.notes if spoken else ()
    if official is None:
        english = [(i, item) for i, item in enumerate(items) if item.has_text and item.language == "en"]
        found = doubts.texts([item for _, item in english], encoder, config)  # type: ignore[arg-type]
        if found.wrong and not found.confirmed:
            raise TrainingRefused(
                "transcripts_disagree",
                f"{len(found.wrong)} of {len(english)} transcripts are not what is said; give every recording its own",
            )
        told += [] if found.confirmed else ["transcripts_unconfirmed"]
        wrong = {english[place][0] for place in found.wrong}
        mismatched += sum(len(items[i].wave) / rate for i in wrong)
        left_out += [items[i].name for i in sorted(wrong)]
        items, seconds = ([x for i, x in enumerate(row) if i not in wrong] for row in (items, seconds))  # type: ignore[assignment]
    heard = sum(seconds)
    if heard + mismatched + too_short == 0:
        raise TrainingRefused("silence", "no speech was found in the recordings")
    if heard < LEAST_SPEECH_SECONDS:
        raise TrainingRefused(
            "too_little_speech",
            f"{heard:.1f} seconds of usable speech were found; at least {LEAST_SPEECH_SECONDS:.0f} are needed"
            + (f" (in {mismatched:.1f} more the transcript cannot be what was said)" if mismatched else ""),
        )
    told += ["transcripts_left_out"] * (mismatched > 0) + ["several_speakers"] * (len({i.speaker for i in items}) > 1)
    material = Material(items, heard, dropped + mismatched, tuple(dict.fromkeys(told)), tuple(left_out))
    if not material.readable:
        raise TrainingRefused("no_transcript", "no recording of at most 15 seconds came with its text")
    if keep is not None:
        write_material(keep, items, rate)
    return material


@dataclass(frozen=True)
class _Spoken:
    """A transcript as it is read."""

    phones: list[int]
    bert: Tensor | None
    notes: tuple[str, ...]


def _encoded(
    wave: np.ndarray,
    spoken: _Spoken | None,
    recording: Recording,
    language: str,
    config: EngineConfig,
    encoder: ContentEncoder | OfficialHearing,
    codebook: Tensor,
) -> Item | None:
    """One piece as an item; None for a piece that the official levels leave out."""
    phones = None if spoken is None else spoken.phones
    about = {"speaker": recording.speaker, "name": recording.name, "language": recording.language or language}
    if isinstance(encoder, ContentEncoder):
        item = encode(wave, phones, config=config, encoder=encoder, codebook=codebook)
        return replace(item, **about)  # type: ignore[arg-type]
    try:
        kept, heard = encoder.levelled(wave)
    except TrainingRefused:
        return None
    codes = encoder.codes(heard)
    span = config.acoustic.frames_per_code * config.audio.hop
    count = min(len(codes), len(kept) // span)
    return Item(
        wave=torch.from_numpy(kept[: count * span].copy()),
        codes=codes[:count].clone(),
        phones=torch.tensor(phones if phones is not None else [WORDLESS]),
        has_text=phones is not None,
        bert=None if spoken is None else spoken.bert,
        speaker_vector=encoder.speaker(kept),
        **about,  # type: ignore[arg-type]
    )


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


def _pieces(wave: np.ndarray, rate: int, *, compat: bool) -> list[np.ndarray]:
    """Cut at pauses; what is still too long is cut hard, as nothing is lost with the text unknown anyway. With `compat`
    pieces are levelled as upstream's slicer does it, which is otherwise done before."""
    longest = int(ITEM_SECONDS * rate)
    pieces = [
        wave[place : min(end, place + longest)]
        for start, end in audio.slices(wave, rate)
        for place in range(start, end, longest)
    ]
    return [sliced(piece, compat=True).astype(np.float32) / 32768 for piece in pieces] if compat else pieces


def _spoken(transcript: str, language: str, official: OfficialHearing | None) -> _Spoken:
    try:
        if official is None:
            return _Spoken(to_phones(transcript, language).ids, None, ())
        return _Spoken(*official.read(transcript, language))
    except TextError as error:
        if error.code == "unsupported_language":
            raise
        raise TrainingRefused("bad_transcript", f"a transcript cannot be read: {error.message}") from error
