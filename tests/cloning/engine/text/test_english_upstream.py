"""English as upstream reads it: the official fixtures, and rows of our own that the official code gave."""

import pytest

from cloning.engine.text.english import read
from cloning.engine.text.english_upstream import tokens, write_out
from cloning.engine.text.symbols import INDEX
from tests.cloning.engine.official import needs_fixtures, rows


@needs_fixtures
@pytest.mark.parametrize(("name", "count"), [("text_en.json", 41), ("text_v1.json", 12)])
def test_official_rows(name: str, count: int) -> None:
    found = [row for row in rows(name) if row.get("lang", "en") == "en"]
    assert len(found) == count
    wrong = []
    for row in found:
        reading = read(row["text"], compat=True)
        # The comma before short texts is the caller's.
        phones = reading.symbols if len(reading.symbols) >= 4 else [",", *reading.symbols]
        assert name != "text_en.json" or [INDEX[phone] for phone in row["phones"]] == row["ids"]
        if (reading.normalised, phones) != (row["norm"], row["phones"]):
            wrong.append((row["text"], reading.normalised, " ".join(phones)))
    assert len(wrong) <= 0.02 * count, wrong


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("It was 1984. Then we left.", "It was one thousand, nine hundred and eighty-fourth, Then we left."),
        ("The fun - very much fun - ends.", "The fun minus very much fun minus ends."),
        ("from 5s - 30s", "from five seconds minus thirty seconds"),
        ("Drive 5km/h, or 1,2 miles.", "Drive five kilometersh, or twelve miles."),
        ("O'Brien's e-mail.Then don’t go: 'tis; naïve café", "O' Brien's e-mail. Then dont go 'tis naive cafe"),
        (
            "Pay $3.5, £0.05 and 7$ by 13:00 or 0:05.",
            "Pay three dollars and fifty cents, five pence and seven dollars by one o'clock p.m. or zero five a.m.",
        ),
        (
            "1001, 1900, 2003, 2010, 3000 and 007.",
            "ten oh one, nineteen hundred, two thousand three, twenty ten, three thousand and seven.",
        ),
        ("The 3/2, 1/3, 101st and 12/1.", "The three halves, one third, one hundred and first and twelve."),
        ("I.e. x + y = z ÷ 2.", "that is x plus y Equals z divided by two."),
        ("NASA's iPhone", "N A S A's i Phone"),
        ("$1.125 and 1.5.2", "one dollar and one hundred twenty-five cents and one point five.two"),
        (
            "(555) 123-4567 at 5:30pm",
            "five hundred fifty-five one hundred twenty-three-four thousand, five hundred sixty-seven at fivethirtypm",
        ),
        ("10 000 000,5%", "ten zero five percent"),
        ("on 2001-04-22 or 11/8/2013.", "on two thousand one-four-twenty-two or eleven eighthstwenty thirteen."),
    ],
)  # fmt: skip
def test_writes_out_as_upstream(text: str, normalised: str) -> None:
    assert write_out(text) == normalised


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        # A name in title case has an entry; its possessive is taken apart as a compound.
        ("Priyanka and Aaditya's kid",
         "P R IY0 Y AA1 NG K AH0 AH0 N D EY1 AH0 D IH1 T IY0 AH0 Z K IH1 D"),
        ("well-being webinarish co-op snorfle's th",
         "W EH2 L B IY1 IH0 NG W EH1 B IH0 N ER0 IH1 SH K OW1 AA2 P EH1 S N AO1 R EH1 F EH1 L IY1 Z T IY1 EY1 CH"),
        ("b.c. ok Ai hud", "B IY1 . S IY1 . OW1 K EY1 EY1 AY1 EY1 CH Y UW1 D IY1"),
        ("The content uses a used house: close to complex.",
         "DH AH0 K AA1 N T EH0 N T Y UW1 S IH0 Z AH0 Y UW1 S T HH AW1 S K L OW1 S T UW1 K AA1 M P L EH0 K S ."),
    ],
)  # fmt: skip
def test_reads_as_upstream(text: str, phones: str) -> None:
    assert " ".join(read(text, compat=True).symbols) == phones


def test_tokens_are_those_of_the_tweet_tokenizer() -> None:
    assert tokens("well.Then o'clock's, sea-shore 'tis a.m. end''''''") == (
        ["well.Then", "o'clock's", ",", "sea-shore", "'", "tis", "a", ".", "m", ".", "end", "'", "'", "'"]
    )


@pytest.mark.parametrize("text", ["9" * 5000, "£,5", "1" * 40 + "st", "1/" + "8" * 50, "(5$", "你好", "\n", ""])
def test_what_breaks_upstream_is_read_somehow(text: str) -> None:
    reading = read(text, compat=True)
    assert all(symbol in INDEX for symbol in reading.symbols)


def test_letters_of_other_scripts_are_dropped() -> None:
    assert read("ab你好Привет", compat=True).symbols == read("ab", compat=True).symbols == ["AE1", "B"]
