import pytest

from cloning.engine.text.mandarin_numbers import cardinal, number, one_by_one


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ("0", "零"), ("000", "零"), ("", ""), ("10", "十"), ("11", "十一"), ("105", "一百零五"), ("110", "一百一十"),
        ("10010", "一万零一十"), ("52314", "五万二千三百一十四"), ("79094", "七万九千零九十四"), ("007", "七"),
        ("100000001", "一亿零一"), ("1000000000000", "一万亿"), ("20" * 40, "二零" * 40),
    ],
)  # fmt: skip
def test_cardinals(figures: str, expected: str) -> None:
    assert cardinal(figures) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("924.70", "九百二十四点七零"), ("3.0", "三点零"), ("2.500", "二点五零"), (".5", "零点五"), ("3", "三"),
        ("0.05", "零点零五"),
    ],
)  # fmt: skip
def test_decimals(text: str, expected: str) -> None:
    assert number(text) == expected


def test_two_points_are_no_number() -> None:
    with pytest.raises(ValueError, match="more than one point"):
        number("1.2.3")


def test_figures_one_by_one() -> None:
    assert one_by_one("2019") == "二零一九"
    assert one_by_one("2019", telephone=True) == "二零幺九"
