"""The printed receipt: a whole PDF, one page, with every word and the very code."""

import re
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import pdf, receipt_page
from consent.uses import USES

CODE = "VOUCH1:ABC DEF$%*+-./:"
STATEMENT: dict[str, Any] = {
    "id": "f799d7f5-31b1-4950-a469-c9e8d6481b79",
    "version": 1,
    "former": None,
    "person": {"id": "x", "name": "José 王伟 ☃"},
    "basis": {"kind": "self", "review": None},
    "given_at": "2026-11-22T10:00:00+00:00",
    "valid_until": "2027-11-22T10:00:00+00:00",
    "uses": dict.fromkeys(USES, True),
    "languages": ["en", "zh"],
    "territory": "worldwide",
    "text": {"version": "en-1"},
    "biometric_release": {"version": "biometric-en-1"},
    "rehearsal": True,
}


def drawn(page: bytes) -> str:
    [content] = re.findall(rb"stream\n(.*?)\nendstream", page, re.S)
    return zlib.decompress(content).decode("ascii")


def words(page: bytes) -> str:
    """The text in the order it is drawn, as a reader takes it out."""
    found = []
    for face, shown in re.findall(r"/(F\d) [\d.]+ Tf <([0-9a-f]*)> Tj", drawn(page)):
        found.append(bytes.fromhex(shown).decode("utf-16-be" if face == pdf.SONG else "cp1252"))
    return "".join(found)


@pytest.mark.parametrize("language", receipt_page.LANGUAGES)
def test_the_page_says_all_of_it_and_is_a_sound_file(language: str) -> None:
    page = receipt_page.render(STATEMENT, CODE, "00112233 44556677", 123, language)
    said = words(page)
    for part in [STATEMENT["id"], "José 王伟 □", "2026-11-22 10:00:00 UTC", "biometric-en-1", "00112233", "123"]:
        assert part in said
    assert {"en": "REHEARSAL", "zh": "演练"}[language] in said
    # Every object lies where the table says it lies.
    start = int(page.rsplit(b"startxref\n", 1)[1].split()[0])
    rows = re.findall(rb"(\d{10}) 00000 n ", page[start:])
    for number, row in enumerate(rows, start=1):
        assert page[int(row) :].startswith(b"%d 0 obj" % number)
    assert page.count(b"/Type /Page ") == 1
    assert receipt_page.render(STATEMENT, CODE, "00112233 44556677", 123, language) == page


def test_what_a_long_consent_says_still_fits_one_page() -> None:
    long = {
        **STATEMENT,
        "person": {"id": "x", "name": "W" * 120},
        "speaker": "王" * 120,
        "basis": {"kind": "representative", "review": "x"},
        "territory": ",".join(["DE"] * 50),
        "version": 2,
        "former": {"id": STATEMENT["id"]},
    }
    for language in receipt_page.LANGUAGES:
        heights = re.findall(
            r"BT [\d.]+ (-?[\d.]+) Td", drawn(receipt_page.render(long, CODE, "0" * 71, 2**53, language))
        )
        assert min(float(height) for height in heights) > 30


def test_the_code_on_the_page_is_the_code() -> None:
    rows = receipt_page.matrix(CODE)
    page = pdf.Page(title="x", language="en")
    size = len(rows) + 8.0
    receipt_page.draw_code(page, CODE, 0, 0, size)
    again = [[0] * len(rows) for _ in rows]
    for x, y, wide in re.findall(r"([\d.]+) ([\d.]+) ([\d.]+) 1\.000 re f", drawn(page.bytes())):
        row, column = round(pdf.HEIGHT - float(y) - 1) - 4, round(float(x)) - 4
        for dark in range(round(float(wide))):
            again[row][column + dark] = 1
    assert again == rows


@given(st.text(max_size=200), st.floats(30, 300))
def test_wrapping_loses_no_character_and_keeps_within_the_room(text: str, room: float) -> None:
    lines = pdf.wrap(text, 10, room)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(len(line) == 1 or pdf.width(line, 10) <= room for line in lines)


@given(st.text(max_size=80))
def test_any_text_can_be_drawn(text: str) -> None:
    page = pdf.Page(title=text.encode("utf-8", "ignore").decode(), language="en")
    page.text(0, 0, text)
    assert len(words(page.bytes())) == len(text)
