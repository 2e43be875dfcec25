"""``python -m consent.biometrics.attacks.survey --out FILE``: which words are misheard in noise and rooms?

Every word that may be asked for is read in random company by every voice, and listened to as the gate does it, the
expected words not favoured. Prints, most often misheard first, the words that were misheard at all; those in
``vocabulary_misheard.txt`` came from two such runs and from readings that had failed. A word is not a reader: drop it
where several voices lose it, or where the list is long enough to spare it.
"""

from __future__ import annotations

import argparse
import pkgutil
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from consent.biometrics import liveness, recogniser, speech, words
from consent.biometrics.attacks.reading import recorded
from consent.biometrics.audio import AudioError
from consent.biometrics.calibrate.clips import CONDITIONS

HARD: Final = ("noise 20 dB", "room 0.6 s")


def survey(
    voices: Mapping[str, Callable[[str], np.ndarray]], asked: Sequence[str], *, conditions: Sequence[str], seed: int
) -> Counter[str]:
    """How often each word was misheard, once read by every voice and heard in every condition. A rest of words that
    makes no challenge is read with words that were read before."""
    rng = random.Random(seed)  # noqa: S311 - readings are to be repeated
    missed: Counter[str] = Counter()
    for speak in voices.values():
        order = rng.sample(list(asked), len(asked))
        for start in range(0, len(order), words.CHALLENGE_WORDS):
            challenge = order[max(0, min(start, len(order) - words.CHALLENGE_WORDS)) :][: words.CHALLENGE_WORDS]
            framed = recorded(speak(", ".join(challenge)), rng)
            for condition in conditions:
                missed.update(_missed(CONDITIONS[condition](framed, rng.getrandbits(30)), challenge))
    return missed


def _missed(wave: np.ndarray, challenge: Sequence[str]) -> list[str]:
    """The words of the challenge that were not heard at the best of the listenings."""
    try:
        spoken, _, _ = speech.spoken(wave, margin=liveness.PAUSE)
    except AudioError:
        return list(challenge)
    best = list(challenge)
    for way in liveness.WAYS:
        heard = recogniser.recognise(way(spoken))
        best = min(best, [word for word in challenge if word not in heard], key=len)
    return best


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog="python -m consent.biometrics.attacks.survey", description=__doc__)
    parser.add_argument("--attackers", default="demo.attack_voices:attackers", help="module:callable, for its voices")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    voices = pkgutil.resolve_name(options.attackers)().voices
    found = survey(voices, words.asked(), conditions=HARD, seed=options.seed)
    options.out.write_text("".join(f"{word} {count}\n" for word, count in found.most_common()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
