import pytest

from cloning.engine.errors import TextError
from cloning.engine.text.symbols import INDEX, PUNCTUATION, SYMBOLS, UNKNOWN, VERSIONS, table


def test_the_tables_are_the_official_ones() -> None:
    assert {version: len(table(version)) for version in VERSIONS} == {"v1": 322, "v2": 732}
    assert (INDEX["!"], INDEX["HH"], INDEX["AH0"], INDEX["sh"], INDEX["ir4"]) == (0, 51, 12, 251, 214)
    assert SYMBOLS[321] == list(table("v1"))[321]


def test_v2_only_adds_rows_to_v1() -> None:
    assert list(table("v1")) == list(table("v2"))[:322]


@pytest.mark.parametrize("version", VERSIONS)
def test_marks_and_the_unknown_phone_are_in_every_table(version: str) -> None:
    assert set(PUNCTUATION) | {UNKNOWN} <= set(table(version))


def test_there_is_no_other_table() -> None:
    with pytest.raises(TextError) as refusal:
        table("v9")
    assert refusal.value.code == "unknown_symbol_table"
