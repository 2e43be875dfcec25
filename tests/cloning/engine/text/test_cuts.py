import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloning.engine.errors import TextError
from cloning.engine.text import METHODS, presegment, split, upstream_cut
from tests.cloning.engine.official import needs_fixtures, rows


@needs_fixtures
def test_every_cut_is_the_official_one() -> None:
    wrong = []
    for row in rows("cuts.json"):
        for key, expected in row.items():
            if key == "text":
                continue
            got = upstream_cut(row["text"], key) if key in METHODS else _pieces(row["text"], key)
            if got != expected:
                wrong.append((key, row["text"], expected, got))
    assert wrong == []


def _pieces(text: str, key: str) -> list[str] | dict[str, str]:
    _, language, method = key.split("_")
    try:
        return presegment(text, method, language)
    except TextError as error:
        return {"error": {"empty_text": "ValueError"}[error.code]}


@pytest.mark.parametrize(
    ("method", "text", "expected"),
    [
        ("cut1", "一。二。三。四。五。", "一。二。三。四。五。"),
        ("cut1", "3.14", "3.14"),
        ("cut2", "字" * 60 + "。好。", "字" * 60 + "。好。"),
        ("cut3", "。早。晚。", "早\n晚"),
        ("cut4", "one. two 3.14 is 2.", "one\n two 3.14 is 2"),
        ("cut5", "1.5,2.", "1.5,\n2."),
    ],
)
def test_a_cut_keeps_the_method_s_habits(method: str, text: str, expected: str) -> None:
    assert upstream_cut(text, method) == expected


def test_a_short_start_gets_a_mark_and_a_long_clause_stays_whole() -> None:
    assert presegment("Hi. I am here", "cut0", "en") == [".Hi. I am here."]
    assert presegment("字" * 600, "cut0", "zh") == ["", "字" * 600, "。"]
    assert presegment("\n\n", "cut5", "zh") == []


def test_without_compat_it_is_the_platform_s_own_split() -> None:
    text = "Hi. I am here, and 3.14 is a number."
    assert presegment(text, "cut5", "en", compat=False) == split(text, "cut5")


@pytest.mark.parametrize(
    ("text", "method", "code"), [("hello", "cut9", "unknown_split_method"), ("", "cut1", "empty_text")]
)
def test_what_cannot_be_cut_is_refused_by_name(text: str, method: str, code: str) -> None:
    with pytest.raises(TextError) as refusal:
        upstream_cut(text, method)
    assert refusal.value.code == code


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab1 ,.!?;。，！…—\n好的-", max_size=300), st.sampled_from(METHODS))
def test_any_text_is_cut_or_refused(text: str, method: str) -> None:
    try:
        pieces = presegment(text, method, "zh")
    except TextError as error:
        pieces = {"empty_text": []}[error.code]
    assert all(len(piece) <= 510 and any(c.isalnum() for c in piece) for piece in pieces)
