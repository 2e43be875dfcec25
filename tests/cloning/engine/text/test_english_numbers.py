import pytest

from cloning.engine.text.english_numbers import cardinal, digits, grouped, ordinal, ordinal_figures, ordinal_of, year


def test_number_names() -> None:
    assert cardinal(0) == "zero"
    assert cardinal(10**14 + 1) == "one hundred trillion one"
    assert [ordinal(n) for n in (1, 2, 3, 5, 8, 9, 12, 20, 41, 100)] == (
        ["first", "second", "third", "fifth", "eighth", "ninth", "twelfth", "twentieth", "forty-first", "one hundredth"]
    )
    assert [year(n) for n in (1900, 1905, 2000, 2026)] == [
        "nineteen hundred", "nineteen oh five", "two thousand", "twenty twenty-six",
    ]  # fmt: skip
    assert digits("007") == "zero zero seven"


@pytest.mark.parametrize(
    ("number", "plain", "conjoined"),
    [
        # As the inflect library writes them.
        (0, "zero", "zero"),
        (209, "two hundred nine", "two hundred and nine"),
        (1005, "one thousand five", "one thousand and five"),
        (1100, "one thousand, one hundred", "one thousand, one hundred"),
        (12345, "twelve thousand, three hundred forty-five", "twelve thousand, three hundred and forty-five"),
        (1000000, "one million", "one million"),
        (10**15 + 1, "one quadrillion one", "one quadrillion and one"),
        (
            1234567,
            "one million, two hundred thirty-four thousand, five hundred sixty-seven",
            "one million, two hundred and thirty-four thousand, five hundred and sixty-seven",
        ),
    ],
)
def test_numbers_in_groups(number: int, plain: str, conjoined: str) -> None:
    assert grouped(number) == plain
    assert grouped(number, conjunction=True) == conjoined


def test_ordinals_of_words_and_figures() -> None:
    assert [ordinal_of(words) for words in ("zero", "twenty-one", "one hundred and two", "one million")] == [
        "zeroth", "twenty-first", "one hundred and second", "one millionth",
    ]  # fmt: skip
    assert [ordinal_figures(f) for f in ("1", "2", "3", "11", "112", "113", "21", "1984")] == [
        "1st", "2nd", "3rd", "11th", "112th", "113th", "21st", "1984th",
    ]  # fmt: skip


def test_numbers_without_a_name_are_refused() -> None:
    assert cardinal(10**36 - 1).startswith("nine hundred ninety-nine decillion")
    for number in (-1, 10**36):
        with pytest.raises(ValueError, match="no name"):
            cardinal(number)
