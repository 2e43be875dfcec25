import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloning.engine.errors import TextError
from cloning.engine.text import METHODS, split
from cloning.engine.text.split import LONGEST


@pytest.mark.parametrize(
    ("method", "text", "expected"),
    [
        ("cut0", "One. Two!\nThree?", ["One. Two!", "Three?"]),
        ("cut1", "你好，我是小明。你好，我是小红。你好，我是小刚。",
         ["你好，我是小明。你好，我是小红。", "你好，我是小刚。"]),
        ("cut3", "第一句话。第二句话！还是。", ["第一句话。", "第二句话！还是。"]),
        ("cut4", "Hello world. This is 3.14 and 2.5kg. Bye!", ["Hello world.", "This is 3.14 and 2.5kg. Bye!"]),
        ("cut5", "你好，我是小明。价格是3.5元，数量1,000个；好的。",
         ["你好，我是小明。", "价格是3.5元，", "数量1,000个；好的。"]),
        ("cut5", "没有标点的一段文字", ["没有标点的一段文字。"]),
        ("cut5", "no mark at all", ["no mark at all."]),
        ("cut5", "Wait... what?! Really", ["Wait...", "what?!", "Really."]),
    ],
)  # fmt: skip
def test_cuts_where_the_method_says(method: str, text: str, expected: list[str]) -> None:
    assert split(text, method) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab1 ,.!?;。，！…\n好的-", max_size=300), st.sampled_from(METHODS))
def test_no_word_is_lost_or_moved(text: str, method: str) -> None:
    try:
        pieces = split(text, method)
    except TextError:
        return
    said = [c for c in "".join(pieces) if c.isalnum()]
    assert said == [c for c in text if c.isalnum()]
    assert all(any(c.isalnum() for c in piece) for piece in pieces)


@pytest.mark.parametrize("method", METHODS)
def test_a_very_long_piece_is_cut_again(method: str) -> None:
    for text in ("word " * 1000, "字" * 2000, "a, " * 900):
        pieces = split(text, method)
        assert max(map(len, pieces)) <= LONGEST + 1
        assert sum(c.isalnum() for c in "".join(pieces)) == sum(c.isalnum() for c in text)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(TextError) as refusal:
        split("hello", "cut9")
    assert refusal.value.code == "unknown_split_method"
