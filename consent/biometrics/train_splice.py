"""Fit and measure the splice cue: ``python -m consent.biometrics.train_splice --speech FOLDER``.

FOLDER holds the recorded speech of `calibrate.corpus`. Genuine are words laid into one background with pauses between
(what a microphone in a room hears, with a fan that wavers, people talking elsewhere, breath, a noise gate, a room), and
the corpus's own recordings with pauses in them, few as they are; spliced are the same people's words, each from a
session of its own (`attacks.splicing`), in each of the ways to join them. Both go through codecs, noise and rooms.
People are kept apart between fit and test by the hash that `train_spoof` uses. Nothing of the recordings is stored.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.signal import lfilter
from scipy.special import expit

from consent.biometrics import background, speech, words
from consent.biometrics.attacks import Speak, splicing
from consent.biometrics.attacks.processing import PROCESSES
from consent.biometrics.audio import MODEL_RATE
from consent.biometrics.calibrate import clips, corpus
from consent.biometrics.speech import FRAME
from consent.biometrics.train_spoof import measured_only

ATTACKERS: Final = "demo.attack_voices:attackers"
#: Text-to-speech voices that only test, as the measured families of the corpus do.
TEST_VOICES: Final = ("awb", "slt")
#: Words of one person; and drawings of each kind, to fit and to test: of a person of the corpus, and of a
#: text-to-speech voice.
WORDS: Final = 30
ROUNDS: Final = (2, 3)
VOICE_ROUNDS: Final = (8, 17)
#: Lengths of a word and of a recording that counts as one, seconds.
WORD_SECONDS: Final = (0.35, 1.5)
RECORDING_SECONDS: Final = (2.0, 20.0)
#: Pauses of an honest reader, seconds.
PAUSES: Final = (0.15, 1.2)
#: Share of genuine training recordings that may be held up: the goal is 2 % of people who were not fitted on.
FALSE_ALARMS: Final = 0.015
RIDGE: Final = 0.3
_WAYS: Final = tuple(name for name in PROCESSES if name not in ("none", "telephone"))
RECORDED: Final = "genuine: recordings of the corpus"

Disturb = Callable[[np.ndarray, random.Random], np.ndarray]


@dataclass(frozen=True)
class Person:
    """``words``: 16 kHz, edges trimmed, at one level; ``recordings``: as they are, with pauses in them."""

    name: str
    test: bool
    words: list[np.ndarray]
    recordings: list[np.ndarray]
    speaks: bool = False


@dataclass(frozen=True)
class Row:
    """One recording: its kind, whether it is cut together, and what was measured (None: too few pauses)."""

    kind: str
    spliced: bool
    test: bool
    found: background.Background | None


def fan(sound: np.ndarray, rng: random.Random) -> np.ndarray:
    """A noise whose level wavers by 8 dB within seconds."""
    wave = np.sin(2.0 * np.pi * (rng.uniform(0.1, 0.6) * np.arange(sound.size) / MODEL_RATE + rng.random()))
    made = splicing.noise(sound.size, rng.uniform(-65.0, -42.0), rng.uniform(0.0, 0.9), rng)
    return np.asarray(sound + made * 10.0 ** (4.0 * wave / 20.0))


def breath(sound: np.ndarray, rng: random.Random) -> np.ndarray:
    """Breath drawn at any moment, about once in 1.5 s."""
    made = sound.copy()
    for _ in range(max(1, round(sound.size / MODEL_RATE / 1.5))):
        size = int(rng.uniform(0.15, 0.4) * MODEL_RATE)
        start = rng.randrange(max(1, sound.size - size))
        drawn = splicing.noise(size, rng.uniform(-58.0, -42.0), 0.3, rng) * np.hanning(size) ** 0.5
        made[start : start + size] += drawn[: made.size - start]
    return made


def gate(sound: np.ndarray, rng: random.Random) -> np.ndarray:
    """A noise gate: what is quieter than speech is turned down, some time after the last sound of a word."""
    level = np.sqrt(np.maximum(lfilter([0.01], [1.0, -0.99], sound**2), 1e-12))
    hold, depth = int(rng.uniform(0.05, 0.3) * MODEL_RATE), 10.0 ** (-rng.uniform(6.0, 20.0) / 20.0)
    loud = np.convolve(level > 10.0 ** (-40.0 / 20.0), np.ones(hold), mode="full")[: sound.size] > 0.0
    return np.asarray(sound * lfilter([0.005], [1.0, -0.995], np.where(loud, 1.0, depth)))


def room(sound: np.ndarray, rng: random.Random) -> np.ndarray:
    """A synthetic room of 0.2 to 0.6 s."""
    return clips.room(sound.astype(np.float32), rng.uniform(0.2, 0.6), 6.0, rng.getrandbits(30)).astype(np.float64)


#: What happens in honest recordings, by name.
DISTURBANCES: Final[dict[str, Disturb]] = {
    "steady background": lambda sound, rng: sound,
    "wavering fan": fan,
    "breath": breath,
    "noise gate": gate,
    "room": room,
}
TALK: Final = "people talking elsewhere"


def people(voices: Sequence[corpus.Voice], speakers: dict[str, Speak], rng: random.Random) -> list[Person]:
    """Whoever has words enough: people of the corpus, and text-to-speech voices that say words of challenges."""
    found = [_person(voice) for voice in voices]
    for name, speak in speakers.items():
        said = [clips.trimmed(speak(word)) for word in rng.sample(words.vocabulary(), WORDS)]
        found.append(Person(name, name in TEST_VOICES, said, [], speaks=True))
    return [person for person in found if len(person.words) >= 2 * words.CHALLENGE_WORDS]


def _person(voice: corpus.Voice) -> Person:
    said: list[np.ndarray] = []
    recordings = []
    for clip in (clip for session in voice.sessions for clip in session):
        seconds = clip.size / MODEL_RATE
        if seconds < WORD_SECONDS[0] or (seconds < RECORDING_SECONDS[0] and len(said) >= WORDS):
            continue
        stretches = speech.runs(speech.frame_mask(clip))
        if RECORDING_SECONDS[0] <= seconds <= RECORDING_SECONDS[1] and len(stretches) > background.MIN_PAUSES:
            recordings.append(clip)
        for start, stop in stretches[:1]:
            word = clips.trimmed(clip[start * FRAME : stop * FRAME])
            if len(said) < WORDS and WORD_SECONDS[0] <= word.size / MODEL_RATE <= WORD_SECONDS[1]:
                said.append(word)
    return Person(voice.name, measured_only(voice.family), said, recordings)


def genuine(person: Person, others: Sequence[np.ndarray], rng: random.Random) -> Iterator[tuple[str, np.ndarray]]:
    """One reading of six words with each disturbance: kind and sound."""
    for name in (*DISTURBANCES, TALK):
        pause = [np.zeros(int(rng.uniform(*PAUSES) * MODEL_RATE)) for _ in range(words.CHALLENGE_WORDS)]
        said = rng.sample(person.words, words.CHALLENGE_WORDS)
        reading = np.concatenate([part for pair in zip(pause, said, strict=True) for part in pair] + pause[:1])
        if name == TALK:
            talk = sum(np.roll(np.resize(rng.choice(others), reading.size), rng.randrange(reading.size))
                       for _ in range(3))  # fmt: skip
            reading = reading + talk * 10.0 ** (rng.uniform(-35.0, -22.0) / 20.0)
        recorded = splicing.Session.drawn(rng).recorded(reading, rng)
        yield f"genuine: {name}", DISTURBANCES.get(name, DISTURBANCES["steady background"])(recorded, rng)


def rows(found: Sequence[Person], rng: random.Random) -> list[Row]:
    """Every kind of every person, every other one through a codec, noise or a room."""
    others = [word for person in found for word in person.words]
    made: list[Row] = []

    def add(person: Person, kind: str, sound: np.ndarray, *, cut: bool) -> None:
        way = rng.choice(_WAYS) if len(made) % 2 else "none"
        heard = PROCESSES[way](sound.astype(np.float32))
        made.append(Row(kind, cut, person.test, background.measure(heard, speech.frame_mask(heard))))

    for person in found:
        for _ in range((VOICE_ROUNDS if person.speaks else ROUNDS)[person.test]):
            for kind, sound in genuine(person, others, rng):
                add(person, kind, sound, cut=False)
            for join in splicing.JOINS if person.test else splicing.SEEN:
                said = rng.sample(person.words, words.CHALLENGE_WORDS)
                add(person, f"spliced: {join}", splicing.spliced(said, rng, join=join), cut=True)
        for clip in person.recordings:
            add(person, RECORDED, clip, cut=False)
            add(person, RECORDED, PROCESSES[rng.choice(_WAYS)](clip), cut=False)
    return made


def fit(made: Sequence[Row]) -> tuple[np.ndarray, float]:
    """Ridge logistic regression, every kind weighing the same: weights (5,) and bias."""
    x = np.stack([row.found.features for row in made if row.found is not None])
    kinds = [row.kind for row in made if row.found is not None]
    labels = np.array([float(row.spliced) for row in made if row.found is not None])
    share = np.array([1.0 / kinds.count(kind) for kind in kinds])
    share *= np.where(labels == 1.0, 0.5 / share[labels == 1.0].sum(), 0.5 / share[labels == 0.0].sum()) * labels.size

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ parameters[:-1] + parameters[-1]
        slope = share * (expit(z) - labels)
        value = (share * np.logaddexp(0.0, np.where(labels == 1.0, -z, z))).sum()
        value += 0.5 * RIDGE * float(parameters[:-1] @ parameters[:-1])
        return float(value), np.concatenate([x.T @ slope + RIDGE * parameters[:-1], [slope.sum()]])

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return found[:-1], float(found[-1])


def train(made: Sequence[Row]) -> dict[str, Any]:
    """Everything splice_weights.json holds. Raises ValueError when one side has no people."""
    known = [row for row in made if not row.test]
    if not known or not any(row.test for row in made):
        raise ValueError("too few people")
    weights, bias = fit(known)

    def probabilities(asked: Sequence[Row]) -> np.ndarray:
        return np.array([0.0 if one.found is None else expit(one.found.features @ weights + bias) for one in asked])

    alarms = probabilities([row for row in known if not row.spliced])
    threshold = float(np.quantile(alarms, 1.0 - FALSE_ALARMS))
    lines = []
    for kind in sorted({row.kind for row in made}):
        asked = [row for row in made if row.test and row.kind == kind]
        if asked:
            lines.append(
                {
                    "kind": kind,
                    "recordings": len(asked),
                    "too few pauses": sum(row.found is None for row in asked),
                    "held up": int((probabilities(asked) >= threshold).sum()),
                }
            )
    return {
        "version": "background-1",
        "weights": [round(float(weight), 6) for weight in weights],
        "bias": round(bias, 6),
        "threshold": round(threshold, 6),
        "measured": lines,
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True, help="folder of the unpacked packages, or /")
    parser.add_argument("--attackers", default=ATTACKERS, help="module:callable that brings text-to-speech voices")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=background.WEIGHTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rng = random.Random(options.seed)  # noqa: S311 - measuring is to be repeated
    try:
        voices = corpus.load(options.speech)
    except corpus.CorpusMissing as error:
        parser.error(str(error))
    found = people(voices, dict(pkgutil.resolve_name(options.attackers)().voices), rng)
    stored = train(rows(found, rng))
    options.out.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(stored, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
