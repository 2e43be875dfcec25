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
        ("https://example.org/page?x=1", "example dot org slash page x equals one"),
    ],
)  # fmt: skip
def test_figures_and_abbreviations_become_words(text: str, expected: str) -> None:
    assert write_out(text).replace(" ,", ",").replace(" .", ".") == expected.replace(" ,", ",")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("World War II, Part I, Type II, Super Bowl XL", "World War two, Part one, Type two, Super Bowl forty"),
        ("Henry VIII, Louis XIV. Henry V. Malcolm X",
         "Henry the eighth, Louis the fourteenth. Henry the fifth. Malcolm X"),
        ("Chapter XXIX, Super Bowl LVIII", "Chapter twenty nine, Super Bowl fifty eight"),
        ("John, I think so. John I saw, the Book I read. Class C, Type X.",
         "John, I think so. John I saw, the Book I read. Class C, Type X."),
        ("3/14/2025, 14/3/25, 14.3.2025, 2025/03/14",
         "March fourteenth, twenty twenty five, March fourteenth, twenty twenty five, March fourteenth, twenty twenty "
         "five, March fourteenth, twenty twenty five"),
        ("on 3 March 2025, 5 May 2020. Only 5 May attend",
         "on the third of March twenty twenty five, the fifth of May twenty twenty. Only five May attend"),
        ("Mon–Fri 9am–5pm, Jan-Mar, the 5th–7th",
         "Monday to Friday nine AM to five PM, January to March, the fifth to seventh"),
        ("in 2024/25, mid-90s, 1:02:03",
         "in twenty twenty four twenty five, mid nineties, one oh two and three seconds"),
        ("version 2.0.1 at 192.168.0.1.",
         "version two point zero point one at one hundred ninety two point one hundred sixty eight point zero point "
         "one."),
        ("BA2490 in FY2024, 978-3-16-148410-0",
         "BA two four nine zero in FY twenty twenty four, nine seven eight, three, one six, one four eight four one "
         "zero, zero"),
        ("3:1, 100:1, at 4:30", "three to one, one hundred to one, at four thirty"),
        ("1,000,000,000,000,000 or 1000000000000000", "one quadrillion or one" + " zero" * 15),
        ("3½ miles, 10⁶ cells, 2^10, 10⁻³, x² and 10 m²",
         "three and one half miles, ten to the power of six cells, two to the power of ten, ten to the power of minus "
         "three, x squared and ten square meters"),
        ("~20, ±5, <5, ≥ 10, 50-50", "about twenty, plus or minus five, less than five, at least ten, fifty fifty"),
        ("₹200, 1¢, 50p, US$5, A$3.50, USD 5 million, 1 EUR",
         "two hundred rupees, one cent, fifty pence, five US dollars, three Australian dollars and fifty cents, "
         "five million US dollars, one euro"),
        ("$5-10 million, $5–$10", "five to ten million dollars, five to ten dollars"),
        ("3/4 tsp, 1 1/2 km, 1/2 oz, 2/3 oz, 120/80, 9/11",
         "three quarters of a teaspoon, one and one half kilometers, one half ounce, two thirds of an ounce, one "
         "hundred twenty over eighty, nine eleven"),
        ("8,849 m high, 5 μm, 24 hrs, 100 sq ft, 3 ft³",
         "eight thousand eight hundred forty nine meters high, five micrometers, twenty four hours, one hundred square "
         "feet, three cubic feet"),
        ("5'11\", 6 ft 2 in. tall, 3in", "five foot eleven, six feet two inches tall, three inches"),
        ("a 5G phone, 4K, 5M users, 1.5x faster, 2 x 4",
         "a five G phone, four K, five million users, one point five times faster, two times four"),
        ("on 42nd St. near St. John's St.", "on forty second street near saint John's street."),
        ("12 Oak Ave. He left the dept.", "twelve Oak avenue. He left the department."),
        ("Fig. 2, pp. 3-5, vol. 3", "figure two, pages three to five, volume three"),
        ("w/o sugar, w/ milk, C# in .NET, #1 #MeToo, call 911",
         "without sugar, with milk, C sharp in dot NET, number one hashtag MeToo, call nine one one"),
        ("https://www.example.com/a/b/", "www dot example dot com slash a slash b"),
    ],
)  # fmt: skip
def test_what_a_person_would_say_is_read(text: str, expected: str) -> None:
    assert read(text).normalised == expected


#: Both readings' own, and what only ours looks at.
HOSTILE = ["1" * 10_000, "1," * 5000, "1-" * 5000, "1st" * 3333, "A." * 5000, "a" + " " * 9990 + "b", "'s" * 5000]
MORE_HOSTILE = [
    "a-" * 5000, "a." * 5000, "1." * 5000, "11-" * 3333, "$1-" * 3333, "1:" * 5000, "1/" * 5000, "1 " * 5000,
    "10⁹" * 3000,
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "compat"), [(text, True) for text in HOSTILE] + [(text, False) for text in HOSTILE + MORE_HOSTILE]
)
def test_hostile_rows_of_signs_are_read_in_bounded_time(text: str, compat: bool) -> None:
    assert read(text, compat=compat).normalised
