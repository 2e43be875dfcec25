import random
import time

import pytest
from wordsegment import Segmenter

from cloning.engine.text.english_segment import segment


@pytest.fixture(scope="module")
def reference() -> Segmenter:
    segmenter = Segmenter()
    segmenter.load()
    return segmenter


@pytest.mark.parametrize(
    ("letters", "words"),
    [
        ("thisisatest", ["this", "is", "a", "test"]),
        ("livestreamers", ["live", "streamers"]),
        ("thirtyone", ["thirty", "one"]),
        ("thirtyfour", ["thirtyfour"]),
        ("q", ["q"]),
        ("", []),
    ],
)
def test_cuts_where_words_meet(letters: str, words: list[str]) -> None:
    assert list(segment(letters)) == words


def test_agrees_with_the_reference_library(reference: Segmenter) -> None:
    rng = random.Random(3)
    known = list(reference.unigrams)[:20000]
    texts = ["".join(rng.choice(known[:2000]) for _ in range(rng.randrange(1, 8))) for _ in range(120)]
    texts += ["".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randrange(1, 40))) for _ in range(60)]
    # Longer than one piece.
    texts.append("".join(rng.choice(known) for _ in range(80)))
    assert [segment(text) for text in texts] == [tuple(reference.segment(text)) for text in texts]


def test_long_strings_are_cut_in_bounded_time() -> None:
    start = time.process_time()
    assert "".join(segment("zqxj" * 2500)) == "zqxj" * 2500
    assert time.process_time() - start < 4
