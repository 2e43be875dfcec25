"""Which phones a content encoder can hear, and which of them a symbol says."""

from __future__ import annotations

from importlib import resources

import pytest

from cloning.engine.config import tiny
from cloning.engine.text import to_phones
from cloning.engine.text.classes import PHONES, SILENT, classes_of, phone_class


def test_inventory_fits_the_content_head() -> None:
    assert len(PHONES) == len(set(PHONES)) == tiny().content.phones


@pytest.mark.parametrize(
    ("symbol", "name"),
    [("AH0", "ah"), ("B", "b"), ("b", "cmn:b"), ("i05", "cmn:i05"), ("ir2", "cmn:ir2"), ("En4", "cmn:En4"), ("Y", "y")],
)
def test_a_symbol_is_a_class_of_its_language(symbol: str, name: str) -> None:
    phone = phone_class(symbol)
    assert phone is not None
    assert PHONES[phone] == name


@pytest.mark.parametrize("symbol", ["AA", "EE", "OO", ".", "SP", "UNK", ""])
def test_what_is_not_heard_has_no_class(symbol: str) -> None:
    assert phone_class(symbol) is None


def test_every_syllable_of_mandarin_has_its_classes() -> None:
    rows = resources.files("cloning.engine.text").joinpath("data/pinyin_symbols.txt").read_text("utf-8").splitlines()
    for _, initial, final in map(str.split, rows):
        assert initial in SILENT or phone_class(initial) is not None
        assert all(phone_class(f"{final}{tone}") is not None for tone in range(1, 6))


def test_phones_of_a_text_are_without_stress_and_marks() -> None:
    said = classes_of(to_phones("Hello, cat!", "en").ids)
    assert [PHONES[phone] for phone in said] == ["hh", "ah", "l", "ow", "k", "ae", "t"]
