"""A text is cut where a clause ends, not behind the dot of an abbreviation."""

import time

import pytest

from cloning.engine.text import split
from cloning.engine.text.english import read
from cloning.engine.text.stops import kept


@pytest.mark.parametrize(
    "whole",
    [
        "No. 5 is on 42nd St. near Dr. Smith's house.",
        "Mr. Brown vs. Mrs. Green and Col. O'Neil.",
        "John F. Kennedy and J. R. R. Tolkien.",
        "The U.S. Army, e.g. today, i.e. now.".replace(",", ""),
        "At 10 a.m. we met on Nov. 3rd near Acme Inc. and so on.",
        "See p. 5 in vol. 3 and fig. 2b etc. for more.",
        "He is 6 ft. 2 in. tall approx. now.",
        "Visit https://www.example.com/path?q=1 or mail a.b@example.com with data.csv.",
        "We saw it in St. Ives.",
    ],
)
def test_no_cut_behind_what_ends_nothing(whole: str) -> None:
    assert split(whole) == [whole]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("We live on Main St. He lives here.", ["We live on Main St.", "He lives here."]),
        ("At 5 p.m. Then we left.", ["At 5 p.m.", "Then we left."]),
        ("I went home.then I slept.", ["I went home.", "then I slept."]),
        ("They said no. He left.", ["They said no.", "He left."]),
        ("We and I. Then nothing.", ["We and I.", "Then nothing."]),
        ("He works at Acme Inc. She does too.", ["He works at Acme Inc.", "She does too."]),
        ("Really? yes. It was in Dec. Then it ended.", ["Really?", "yes. It was in Dec.", "Then it ended."]),
    ],
)
def test_a_sentence_still_ends(text: str, pieces: list[str]) -> None:
    assert split(text) == pieces


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("J. R. R. Tolkien met Col. Fawcett.", "J R R Tolkien met colonel Fawcett."),
        (
            "It took 45 min. later that day. It took 45 min. Then more.",
            "It took forty five minutes later that day. It took forty five minutes. Then more.",
        ),
        ("Rep. Lee saw one rep. Then two.", "representative Lee saw one rep. Then two."),
    ],
)
def test_what_is_kept_together_is_read_without_a_pause(text: str, said: str) -> None:
    assert read(text).normalised == said


@pytest.mark.parametrize(
    "text", ["a." * 20_000, "A. " * 10_000, "a" * 20_000 + ".", "x@" * 10_000 + ".com/", "a?b" * 9_000]
)
def test_hostile_texts_take_no_endless_time(text: str) -> None:
    begin = time.process_time()
    kept(text)
    assert time.process_time() - begin < 3
