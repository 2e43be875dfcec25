import pytest

from cloning.engine.text.english import read
from cloning.engine.text.english_writing import write_out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("On Jan 20, 1984, it cost $6483.59.",
         "On January twentieth, nineteen eighty-four , it cost six thousand four hundred eighty-three dollars and "
         "fifty-nine cents."),
        ("1,000,000 dogs", "one million dogs"),
        ("10.05%, .5 and 3.14", "ten point zero five percent, zero point five and three point one four"),
        ("It is -13 at 3:05", "It is minus thirteen at three oh five"),
        ("-5°C to 10–20 km/h, -$5",
         "minus five degrees celsius to ten to twenty kilometers per hour, minus five dollars"),
        ("1914-1918, 5-10%", "nineteen fourteen to nineteen eighteen, five to ten percent"),
        ("at 10 a.m. today. It ended at 5 p.m. Then 9:30 PM",
         "at ten AM today. It ended at five PM. Then nine thirty PM"),
        ("17:58 and 21:00", "seventeen fifty-eight and twenty-one o'clock"),
        ("the 21st, 12th and 30th", "the twenty-first, twelfth and thirtieth"),
        ("Dr. Smith vs. Mr. Jones", "doctor Smith versus mister Jones"),
        ("10 Main St. in St. Ives", "ten Main street in saint Ives"),
        ("the U.S. Army, John F. Kennedy, a Ph.D. in A.I.", "the US Army, John F Kennedy, a PhD in AI."),
        ("e.g. this & that", "for example this and that"),
        ("2009-12-03", "December third, two thousand nine"),
        ("the 1950s, the 80s and '90s for 30s", "the nineteen fifties, the eighties and nineties for thirty seconds"),
        ("1 km, 22km, 255GB, 71 mph",
         "one kilometer, twenty-two kilometers, two hundred fifty-five gigabytes, seventy-one miles per hour"),
        ("$1 and £2.50, £0.50", "one dollar and two pounds and fifty pence, fifty pence"),
        ("$3 million, $5m, €1.5bn, 7$",
         "three million dollars, five million dollars, one point five billion euros, seven dollars"),
        ("$5/month, 24/7, 2/6, 3 1/2, 1/2",
         "five dollars per month, twenty-four seven, two sixths, three and one half, one half"),
        ("Call 1-800-240-9698", "Call one, eight zero zero, two four zero, nine six nine eight"),
        ("or 555-1234, +44 20 7946 0958",
         "or five five five, one two three four, "
         "plus four four, two zero, seven nine four six, zero nine five eight"),
        ("6 x 5 = 30, 12 ÷ 4, 5 - 3", "six times five equals thirty, twelve divided by four, five minus three"),
        ("call 007", "call zero zero seven"),
        ("a@b.com", "a at b dot com"),
        ("https://example.org/page?x=1", "example dot org/page x equals one"),
    ],
)  # fmt: skip
def test_figures_and_abbreviations_become_words(text: str, expected: str) -> None:
    assert write_out(text).replace(" ,", ",").replace(" .", ".") == expected.replace(" ,", ",")


@pytest.mark.parametrize(
    "text", ["1" * 10_000, "1," * 5000, "1-" * 5000, "1st" * 3333, "A." * 5000, "a" + " " * 9990 + "b", "'s" * 5000]
)
@pytest.mark.parametrize("compat", [False, True])
def test_hostile_rows_of_signs_are_read_in_bounded_time(text: str, compat: bool) -> None:
    assert read(text, compat=compat).normalised
