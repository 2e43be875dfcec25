"""The survey of misheard words: what is clear is not counted, what is not said always is."""

from __future__ import annotations

import numpy as np

from consent.biometrics.attacks.survey import survey

WORDS = ("almanac", "confetti", "firefly", "lullaby", "paprika", "selection", "universe")


def test_words_read_clearly_are_not_misheard_and_words_nobody_says_are(say) -> None:
    voices = {"reader": lambda text: say(text), "hum": lambda text: np.sin(np.arange(32_000) / 20.0).astype(np.float32)}
    clear = survey({"reader": voices["reader"]}, WORDS, conditions=("clean",), seed=1)
    assert not clear
    hummed = survey({"hum": voices["hum"]}, WORDS, conditions=("clean",), seed=1)
    assert set(hummed) == set(WORDS)
