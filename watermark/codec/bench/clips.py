"""Clips for the bench from synthetic speech: ``python -m watermark.codec.bench.clips FOLDER --per-length 20``.

Voices that the soft detector was not trained on: Flite's awb and espeak-ng voices (no recording of a living person).
Each clip is 32 kHz mono with its peak at 0.5; names read LENGTHs_NUMBER_VOICE.wav. ``other.wav`` holds forty seconds
of unrelated speech that some attacks mix in.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile

from watermark.codec.grid import RATE, Wave, resampled
from watermark.codec.training_data import espeak

#: Neither these voices nor these words are in training.
VOICES = ("flite awb", "espeak en-gb+f3", "espeak it+m2", "espeak pl+f4", "espeak en-gb-scotland+m7")
OTHER_VOICES = ("espeak pt+m5", "espeak nl+m1", "espeak en-us+f4")
WORDS = (
    "ancient harvest pebble lantern rather castle thirteen wooden meadow coffee please remember window lemon journal "
    "quarter velvet distant copper thunder basket gentle pilot marble sudden engine cotton whisper northern candle "
    "seldom button railway garden chimney puzzle fabric honest willow captain feather mirror saddle tunnel orchard"
)
LENGTHS = (2, 3, 5, 10, 30)


def clip(voice: str, seconds: float, rng: np.random.Generator) -> Wave:
    """Speech of exactly that length at 32 kHz, peak 0.5, sentences following each other after a pause of 0.2 s."""
    from demo.flite.speaker import speak

    program, name = voice.split()
    parts: list[Wave] = []
    while sum(map(len, parts)) < seconds * RATE:
        text = " ".join(rng.choice(WORDS.split(), size=int(rng.integers(6, 14)))) + "."
        wave, rate = speak(text, voice=name) if program == "flite" else espeak(text, voice=name)
        parts += [resampled(wave, rate, RATE), np.zeros(RATE // 5, np.float32)]
    out = np.concatenate(parts)[: round(seconds * RATE)]
    return np.asarray(out * (0.5 / np.abs(out).max()), np.float32)


def main() -> None:
    """Write the clips."""
    parser = argparse.ArgumentParser(description="Make clips for the watermark bench.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-length", type=int, default=20)
    parser.add_argument("--lengths", type=float, nargs="+", default=LENGTHS)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for seconds in arguments.lengths:
        for number in range(arguments.per_length):
            voice = VOICES[number % len(VOICES)]
            name = f"{seconds:02g}s_{number:03d}_{voice.replace(' ', '-')}.wav"
            soundfile.write(arguments.folder / name, clip(voice, seconds, rng), RATE, subtype="PCM_16")
    others = [clip(voice, 40 / len(OTHER_VOICES) + 0.01, rng) for voice in OTHER_VOICES]
    soundfile.write(arguments.folder / "other.wav", np.concatenate(others)[: 40 * RATE], RATE, subtype="PCM_16")
    sys.stderr.write(f"{len(arguments.lengths) * arguments.per_length} clips in {arguments.folder}\n")


if __name__ == "__main__":
    main()
