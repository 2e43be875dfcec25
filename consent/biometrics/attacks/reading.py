"""How often an honest reading is understood, and a partly wrong one taken for right, in noise and rooms.

The readers are text-to-speech voices (`Attackers.voices`): recorded speech of the corpus holds no challenge. A partly
wrong reading is an honest one held against a challenge with one word changed. Because that never passed, the chance is
also bounded by counting pairs: the recogniser is told to favour words that nobody said, many at once, and each of them
against each word said is one chance to be mistaken for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from consent.biometrics import liveness, recogniser, speech, words
from consent.biometrics.attacks.outcomes import upper_bound
from consent.biometrics.audio import MODEL_RATE
from consent.biometrics.calibrate.clips import CONDITIONS

HEARD_IN: Final = ("clean", "Opus 16 kbit/s", "noise 20 dB", "room 0.3 s", "room 0.6 s")
#: A person tries this often; words favoured at once that nobody said.
TRIES: Final = 3
DECOYS: Final = 50
_LEVEL: Final = 10.0 ** (-26.0 / 20.0)
_ROOM: Final = 10.0 ** (-72.0 / 20.0)


@dataclass(frozen=True)
class Reading:
    """One condition. ``people``: groups of TRIES readings by one voice; ``pairs``: word said, other word favoured."""

    condition: str
    tries: int
    understood: int
    people: int
    people_understood: int
    partly_wrong: int
    partly_wrong_accepted: int
    pairs: int
    pairs_mistaken: int

    @property
    def mistaken_bound(self) -> float:
        """Upper bound (95 %) of the chance that one other word is taken for the one shown."""
        return upper_bound(self.pairs_mistaken, self.pairs)


def measure(voices: Mapping[str, Callable[[str], np.ndarray]], condition: str, *, people: int, seed: int) -> Reading:
    """Every voice reads TRIES challenges ``people`` times in one condition of HEARD_IN."""
    rng = random.Random(f"{seed}/{condition}")  # noqa: S311 - readings are to be repeated
    understood: list[list[bool]] = []
    wrong = mistaken = 0
    for speak in (speak for speak in voices.values() for _ in range(people)):
        understood.append([])
        for _ in range(TRIES):
            challenge = words.draw(rng=rng)
            wave = CONDITIONS[condition](recorded(speak(", ".join(challenge)), rng), rng.getrandbits(30))
            understood[-1].append(liveness.check(wave, MODEL_RATE, challenge).passed)
            others = words.draw(DECOYS + 1, exclude=challenge, rng=rng)
            changed = list(challenge)
            changed[rng.randrange(len(changed))] = others.pop()
            wrong += liveness.check(wave, MODEL_RATE, changed).passed
            mistaken += _mistaken(wave, others)
    tries = sum(map(len, understood))
    return Reading(
        condition=condition,
        tries=tries,
        understood=sum(map(sum, understood)),
        people=len(understood),
        people_understood=sum(map(any, understood)),
        partly_wrong=tries,
        partly_wrong_accepted=wrong,
        pairs=tries * DECOYS * words.CHALLENGE_WORDS,
        pairs_mistaken=mistaken,
    )


def _mistaken(wave: np.ndarray, decoys: list[str]) -> int:
    """How many of the favoured words are heard though nobody said them, in any way of listening."""
    spoken, _, _ = speech.spoken(wave, margin=liveness.PAUSE)
    heard = {word for way in liveness.WAYS for word in recogniser.recognise(way(spoken), favoured=decoys)}
    return len(heard & set(decoys))


def recorded(sound: np.ndarray, rng: random.Random) -> np.ndarray:
    """At the level and in the quiet room that the conditions expect, half a second of it before and after."""
    level = float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))
    framed = np.pad(sound * (_LEVEL / level), MODEL_RATE // 2)
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0.0, _ROOM, framed.size)
    return np.asarray(framed + noise, dtype=np.float32)
