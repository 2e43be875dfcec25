"""Mandarin speech of eSpeak NG's formant voices, with the times of its phones by forced alignment.

A clause is one call: the program applies tone sandhi of its own within a call, the engine's front end has done it
already, so a clause that would be changed again is not trained on.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import soxr
import torch

from cloning.engine.features.content import ContentEncoder
from cloning.engine.starter import aligning, corpus, mandarin_texts
from cloning.engine.text import to_phones
from cloning.engine.text.classes import PAUSE, SILENT, phone_class
from cloning.engine.text.symbols import PUNCTUATION
from demo.espeak import speak_pinyin

#: The program's speakers that are trained on, and a family that never is: it judges.
VARIANTS = str.split(
    "f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen "
    "Tweaky anika aunty belinda benjamin boris caleb david ed edward edward2 grandma grandpa john "
    "linda max michel miguel norbert paul pedro quincy robert sandro shelby steph travis victor zac"
)
JUDGES = str.split("Alex Alicia Andrea Andy Annie")
SPEAKERS_PER_VARIANT = 4
#: Words a minute of an unhurried speaker, and the program's pitch by the octave.
SPEED, PITCH, PITCH_STEPS = 130.0, 50, 50
#: Silence between clauses and at both ends, in seconds.
PAUSES, EDGE = (0.12, 0.35), 0.1
#: Samples quieter than this are silence that the program leaves before and after a clause.
QUIET = 0.003
#: Utterances that the alignment is learnt from.
ALIGNED_FROM = 600
HOP = 320


@dataclass(frozen=True)
class Clause:
    """Symbols of a clause and the samples, from and to, in which they are spoken."""

    symbols: tuple[str, ...]
    start: int
    stop: int

    @property
    def sounds(self) -> list[str]:
        """Initials and finals without tone, as `aligning` knows them."""
        heard = (symbol for symbol in self.symbols if symbol not in SILENT)
        return [symbol[:-1] if symbol[-1] in "12345" else symbol for symbol in heard]


@dataclass(frozen=True)
class Spoken:
    """wave int16 at 16 kHz; the clauses in it, in order."""

    text: str
    speaker: corpus.VirtualSpeaker
    wave: np.ndarray
    clauses: tuple[Clause, ...]


def speakers(judges: bool, rng: np.random.Generator) -> list[corpus.VirtualSpeaker]:
    """The virtual speakers that are trained on, or those that judge."""
    variants = JUDGES if judges else [name for name in VARIANTS if name not in JUDGES]
    return [
        speaker
        for name in variants
        for speaker in corpus.virtual_speakers(corpus.MANDARIN_VOICE + name, SPEAKERS_PER_VARIANT, rng)
    ]


def say(text: str, speaker: corpus.VirtualSpeaker, rng: np.random.Generator, *, joined: bool = False) -> Spoken | None:
    """Let a virtual speaker say the text. None where it is not Mandarin, or the program would change a tone; `joined`:
    there the clause is put together from several calls, which can be heard."""
    found = clauses(to_phones(text, "zh").symbols)
    spelled = [pinyin(symbols) for symbols, _ in found]
    if not found or not all(spelled) or (not joined and any(len(calls) > 1 for calls in spelled)):
        return None
    r = speaker.formants
    pitch = round(PITCH + PITCH_STEPS * math.log2(speaker.pitch / r))
    speed = round(SPEED / (r * speaker.tempo))
    parts, made, at = [np.zeros(round(EDGE * corpus.RATE), np.float32)], [], round(EDGE * corpus.RATE)
    variant = speaker.voice.removeprefix(corpus.MANDARIN_VOICE)
    for (symbols, mark), calls in zip(found, spelled, strict=True):
        waves = []
        for number, syllables in enumerate(calls, 1):
            ended = f"{syllables}{mark if number == len(calls) else ''}"
            wave, rate = speak_pinyin(ended, variant=variant, pitch=min(90, max(10, pitch)), speed=speed)
            loud = np.flatnonzero(np.abs(wave) > QUIET)
            if not len(loud):
                return None
            # Played r times faster: formants and pitch rise by r, the time shrinks by r.
            waves.append(soxr.resample(wave[loud[0] : loud[-1] + 1], rate * r, corpus.RATE, quality="HQ"))
        wave = np.concatenate(waves).astype(np.float32)
        pause = np.zeros(round(float(rng.uniform(*PAUSES)) * corpus.RATE), np.float32)
        made.append(Clause(tuple(symbols), at, at + len(wave)))
        parts += [wave, pause]
        at += len(wave) + len(pause)
    sound = np.concatenate(parts)
    peak = max(float(np.abs(sound).max()), 1e-6)
    return Spoken(text, speaker, (sound * (0.5 / peak) * 32767).astype(np.int16), tuple(made))


def clauses(symbols: Sequence[str]) -> list[tuple[list[str], str]]:
    """Symbols between marks, each with the mark behind it as the program reads it."""
    out: list[tuple[list[str], str]] = []
    now: list[str] = []
    for symbol in [*symbols, "."]:
        if symbol not in PUNCTUATION:
            now.append(symbol)
        elif now:
            out.append((now, symbol if symbol in ".,?!" else ","))
            now = []
    return out


def pinyin(symbols: Sequence[str]) -> list[str]:
    """Two symbols a syllable to ["ni2 hao3"], in more than one part where two third tones meet, of which the program
    would make another; empty where something is no syllable."""
    table = _syllables()
    pairs = list(zip(symbols[::2], symbols[1::2], strict=False))
    names = [table.get((initial, final[:-1])) for initial, final in pairs]
    if len(symbols) % 2 or any(name is None for name in names):
        return []
    parts: list[list[str]] = [[]]
    for name, (_, final) in zip(names, pairs, strict=True):
        if final[-1] == "3" and parts[-1] and parts[-1][-1].endswith("3"):
            parts.append([])
        parts[-1].append(f"{name}{final[-1]}")
    return [" ".join(part) for part in parts]


@functools.lru_cache(maxsize=1)
def _syllables() -> dict[tuple[str, str], str]:
    """(initial, final) -> its syllable; of two spellings the standard one (ju, not jv)."""
    text = resources.files("cloning.engine.text").joinpath("data/pinyin_symbols.txt").read_text("utf-8")
    out: dict[tuple[str, str], str] = {}
    for syllable, initial, final in (line.split() for line in text.splitlines()):
        if syllable[0] in "jqxy" and "v" in syllable:
            continue
        out.setdefault((initial, final), syllable)
    return out


def spoken_texts(rng: np.random.Generator, pool: Sequence[corpus.VirtualSpeaker], count: int) -> list[Spoken]:
    """`count` random texts, each by a speaker of the pool."""
    out: list[Spoken] = []
    while len(out) < count:
        one = say(mandarin_texts.text(rng), pool[int(rng.integers(len(pool)))], rng)
        if one is not None:
            out.append(one)
    return out


@dataclass(frozen=True)
class Timer:
    """Tells when each phone was spoken, by what a content encoder hears; the encoder need not know Mandarin."""

    encoder: ContentEncoder
    aligner: aligning.Aligner

    @classmethod
    def learn(cls, encoder: ContentEncoder, seed: int) -> Timer:
        """From ALIGNED_FROM utterances of the trained speakers."""
        rng = np.random.default_rng(seed)
        made = spoken_texts(rng, speakers(False, rng), ALIGNED_FROM)
        pairs = [
            (heard, clause.sounds)
            for one in made
            for heard, clause in zip(frames(encoder, one), one.clauses, strict=True)
        ]
        return cls(encoder, aligning.learn(pairs))

    def timed(self, spoken: Spoken) -> corpus.Utterance | None:
        """With the times of its phones; None where they cannot be told."""
        phones: list[int] = []
        ends: list[float] = []
        for clause, heard in zip(spoken.clauses, frames(self.encoder, spoken), strict=True):
            stops = self.aligner.ends(heard, clause.sounds)
            if stops is None:
                return None
            classes = [phone_class(symbol) for symbol in clause.symbols]
            phones += [PAUSE, *(phone for phone in classes if phone is not None)]
            ends += [clause.start / corpus.RATE, *((clause.start // HOP + stops) * HOP / corpus.RATE)]
        return corpus.Utterance(spoken.text, spoken.speaker, spoken.wave, np.array(phones), np.array(ends))


@torch.inference_mode()
def frames(encoder: ContentEncoder, spoken: Spoken) -> list[np.ndarray]:
    """Content frames of each clause."""
    wave = torch.from_numpy(spoken.wave.astype(np.float32) / 32768)
    heard = encoder(wave[None])[0].float().numpy()
    return [heard[c.start // HOP : max(c.start // HOP + 1, -(-c.stop // HOP))] for c in spoken.clauses]
