import pytest

from cloning.engine.text.identify import languages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("This is an English sentence.", "en"),
        ("今天天气真不错，我们去公园吧。", "zh"),
        ("これは日本語の文章です。", "ja"),
        ("오늘은 날씨가 좋네요.", "ko"),
        ("Ceci est une phrase française.", "fr"),
        ("THIS IS A SHOUTED ENGLISH SENTENCE", "en"),
    ],
)
def test_a_sentence_is_told_by_its_letters(text: str, expected: str) -> None:
    assert languages(text)[0] == expected


@pytest.mark.parametrize(
    "text", ["", "\n", "\ud800", "a\udfffb", "字" * 100_000], ids=["empty", "newline", "surrogate", "half pair", "long"]
)
def test_any_text_has_an_answer_and_never_more_than_five(text: str) -> None:
    assert len(languages(text)) <= 5
