"""Synthesised speech with exact phone times, from any speaking function. No recording of anybody is used.

The engine does not know a synthesiser: the caller hands one in (`Speaking`). Each of its base voices becomes many
virtual speakers by resampling, which moves formants and pitch independently of the tempo.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Protocol

import numpy as np
import soxr

from cloning.engine.text.classes import PAUSE, PHONE_INDEX

RATE = 16_000
#: Voices of this prefix speak Mandarin.
MANDARIN_VOICE = "cmn-"

#: Ranges of the virtual speakers: formants, log2 of pitch, tempo.
FORMANTS = (0.84, 1.20)
PITCH_OCTAVES = (-0.45, 0.45)
TEMPO = (0.9, 1.15)


class Marked(Protocol):
    """One phone and its end in seconds."""

    @property
    def name(self) -> str: ...
    @property
    def end(self) -> float: ...


class Said(Protocol):
    """What a speaking function gives back: wave float32 (samples,) at `rate`, phones in order."""

    @property
    def wave(self) -> np.ndarray: ...
    @property
    def rate(self) -> int: ...
    @property
    def phones(self) -> Sequence[Marked]: ...


class Speaking(Protocol):
    """A synthesiser: text to speech with phone times; f0_shift and stretch multiply pitch and durations."""

    def __call__(self, text: str, *, voice: str, f0_shift: float = 1.0, stretch: float = 1.0) -> Said: ...


@dataclass(frozen=True)
class VirtualSpeaker:
    """A base voice with its formants, pitch and tempo multiplied; 1, 1, 1 is the plain voice."""

    voice: str
    formants: float = 1.0
    pitch: float = 1.0
    tempo: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.voice}-{self.formants:.3f}-{self.pitch:.3f}"

    @property
    def language(self) -> str:
        return "zh" if self.voice.startswith(MANDARIN_VOICE) else "en"


@dataclass(frozen=True)
class Utterance:
    """wave int16 (samples,) at 16 kHz; phones are indices into PHONES, ends their end times in seconds."""

    text: str
    speaker: VirtualSpeaker
    wave: np.ndarray
    phones: np.ndarray
    ends: np.ndarray

    def positions(self, frames: int, hop: int) -> np.ndarray:
        """For each frame the place in `phones` spoken at its middle, (frames,) int64; len(phones) after them."""
        middles = (np.arange(frames) + 0.5) * hop / RATE
        return np.searchsorted(self.ends, middles, side="right")

    def frame_phones(self, frames: int, hop: int = 320) -> np.ndarray:
        """Index of the phone spoken at the middle of each frame, (frames,) int64; pause after the last one."""
        phones: np.ndarray = np.append(self.phones, PAUSE)[self.positions(frames, hop)]
        return phones


def virtual_speakers(voice: str, count: int, rng: np.random.Generator) -> list[VirtualSpeaker]:
    """The plain voice and count - 1 warped ones."""
    out = [VirtualSpeaker(voice)]
    for _ in range(count - 1):
        out.append(
            VirtualSpeaker(
                voice,
                formants=float(rng.uniform(*FORMANTS)),
                pitch=float(2 ** rng.uniform(*PITCH_OCTAVES)),
                tempo=float(rng.uniform(*TEMPO)),
            )
        )
    return out


def utter(speaking: Speaking, text: str, speaker: VirtualSpeaker) -> Utterance:
    """Let a virtual speaker say the text. Raises KeyError for a phone outside PHONES."""
    r = speaker.formants
    said = speaking(text, voice=speaker.voice, f0_shift=speaker.pitch / r, stretch=r * speaker.tempo)
    wave = said.wave
    ends = np.array([mark.end for mark in said.phones])
    # Played r times faster: formants and pitch rise by r, the time shrinks by r.
    if abs(said.rate * r - RATE) > 1:
        warped = np.asarray(soxr.resample(wave, said.rate * r, RATE, quality="HQ"), dtype=np.float32)
        ends = ends * (len(warped) / RATE) / (len(wave) / said.rate)
        wave = warped
    phones = np.array([PHONE_INDEX[mark.name] for mark in said.phones], dtype=np.int64)
    pcm = (np.clip(wave, -1, 1) * 32767).astype(np.int16)
    return Utterance(text=text, speaker=speaker, wave=pcm, phones=phones, ends=ends)


_COMMON = {
    "noun": str.split(
        "water river morning house teacher garden window paper music letter kitchen picture road tree child farmer "
        "doctor island winter summer bridge market engine story flower horse table mountain village forest"
    ),
    "verb": str.split(
        "sees wants keeps takes finds makes opens brings holds leaves likes knows follows carries watches"
    ),
    "adjective": str.split(
        "small large green quiet strong early heavy bright cold young simple clear wooden happy long"
    ),
    "number": str.split("two three four five six seven eight nine ten twelve twenty thirty"),
    "name": str.split("Alan Barbara Charles Diana Edward Fiona George Helen Martin Nora Oliver Paula"),
    "place": str.split(
        "near the bridge|behind the old house|in the north|at the station|under the table|on the way home"
        "|by the sea|in the garden|after the storm|before noon",
        "|",
    ),
}
_SHAPES = (
    "The {adjective} {noun} {verb} the {noun}.",
    "{name} {verb} {number} {adjective} {noun}s.",
    "Does the {noun} of the {noun} cost {number} {noun}s?",
    "{place}, the {noun} {verb} a {adjective} {noun}.",
    "I think that {name} {verb} the {noun} {place}.",
    "{noun}, {noun}, {noun}, and {noun}.",
    "Please give the {noun} to {name}, not to the {noun}.",
    "When the {noun} {verb} it, we will have {number} {noun}s.",
    "She said that the {adjective} {noun} was {place}.",
    "{noun} {adjective} {noun} {noun} {adjective}.",
    "Why is there a {noun} {place}?",
    "They were {adjective} and {adjective}, but the {noun} was {adjective}.",
)
#: How often a noun or adjective slot takes any dictionary word instead of a common one: rare words bring rare phones.
RARE_WORD_SHARE = 0.4


@functools.lru_cache(maxsize=1)
def dictionary_words() -> list[str]:
    """Words of 3 to 10 letters that the text front end knows how to say."""
    raw = resources.files("cloning.engine.text").joinpath("data/cmudict.txt.gz").read_bytes()
    words = [line.partition(" ")[0] for line in gzip.decompress(raw).decode().splitlines()]
    return [word for word in words if word.isalpha() and 3 <= len(word) <= 10]


def sentence(rng: np.random.Generator) -> str:
    """A random English sentence, 1 to 5 seconds when spoken: common words with rare ones mixed in."""
    parts = str(rng.choice(_SHAPES)).split("{")
    out = parts[0]
    for part in parts[1:]:
        slot, _, rest = part.partition("}")
        rare = slot in ("noun", "adjective") and rng.random() < RARE_WORD_SHARE
        pool = dictionary_words() if rare else _COMMON[slot]
        out += pool[int(rng.integers(len(pool)))] + rest
    return out[0].upper() + out[1:]
