import pytest

from cloning.engine.text import to_phones
from cloning.engine.text.english_numbers import cardinal, ordinal, write_out, year
from cloning.engine.text.letters import sound_out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Rows of the official front end's output.
        ("The quick brown fox jumps over the lazy dog.",
         "DH AH0 K W IH1 K B R AW1 N F AA1 K S JH AH1 M P S OW1 V ER0 DH AH0 L EY1 Z IY0 D AO1 G ."),
        ("Don't you think it's too complex?",
         "D OW1 N T Y UW1 TH IH1 NG K IH1 T S T UW1 K AA1 M P L EH0 K S ?"),
        ("Hi", ", HH AY1"),
        ("OpenAI released ChatGPT in November.",
         "OW1 P AH0 N EY1 AY1 R IY0 L IY1 S T CH AE1 T JH IY1 P IY1 T IY1 IH0 N N OW0 V EH1 M B ER0 ."),
    ],
)  # fmt: skip
def test_reads_as_the_official_front_end(text: str, expected: str) -> None:
    assert to_phones(text, "en").symbols == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("On Jan 20, 1984, it cost $6483.59.",
         "On Jan twenty , nineteen eighty-four , it cost six thousand four hundred eighty-three dollars and fifty-nine "
         "cents."),
        ("1,000,000 dogs", "one million dogs"),
        ("10.05%", "ten point zero five percent"),
        ("It is -13 at 3:05", "It is minus thirteen at three oh five"),
        ("the 21st, 12th and 30th", "the twenty-first, twelfth and thirtieth"),
        ("Dr. Smith vs. Mr. Jones", "doctor Smith versus mister Jones"),
        ("e.g. this & that", "for example this and that"),
        ("2009-12-03", "December third, two thousand nine"),
        ("the 1950s", "the nineteen fifties"),
        ("1 km, 22km", "one kilometer, twenty-two kilometers"),
        ("$1 and £2.50", "one dollar and two pounds and fifty pence"),
        ("$3 million", "three million dollars"),
        ("call 007", "call zero zero seven"),
        ("a@b.com", "a at b dot com"),
    ],
)  # fmt: skip
def test_figures_and_abbreviations_become_words(text: str, expected: str) -> None:
    assert write_out(text).replace(" ,", ",").replace(" .", ".") == expected.replace(" ,", ",")


def test_number_names() -> None:
    assert cardinal(0) == "zero"
    assert cardinal(10**14 + 1) == "one hundred trillion one"
    assert [ordinal(n) for n in (1, 2, 3, 5, 8, 9, 12, 20, 41, 100)] == (
        ["first", "second", "third", "fifth", "eighth", "ninth", "twelfth", "twentieth", "forty-first", "one hundredth"]
    )
    assert [year(n) for n in (1900, 1905, 2000, 2026)] == [
        "nineteen hundred", "nineteen oh five", "two thousand", "twenty twenty-six",
    ]  # fmt: skip


def test_words_no_dictionary_has_are_sounded_out() -> None:
    # "quizzically", "xylophonists" as the official front end's network gives them.
    assert sound_out("xylophonists") == ("Z", "AY1", "L", "AH0", "F", "AH0", "N", "AH0", "S", "T", "S")
    assert len(sound_out("antidisestablishmentarianismologically")) > 20


def test_acronyms_are_spelled_and_shouting_is_not() -> None:
    assert to_phones("The FBI and the HTML.", "en").symbols[2:8] == ["EH1", "F", "B", "IY1", "AY1", "AH0"]
    assert to_phones("STOP THE CAR NOW", "en").symbols[:4] == ["S", "T", "AA1", "P"]


def test_unknown_plurals_follow_their_last_sound() -> None:
    assert to_phones("one two three bass's", "en").symbols[-5:] == ["B", "EY1", "S", "IH0", "Z"]
