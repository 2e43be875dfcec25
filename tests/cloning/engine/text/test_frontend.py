import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cloning.engine.errors import TextError
from cloning.engine.text import MAX_CHARACTERS, MODES, front
from cloning.engine.text.overrides import parse


def _bert(text: str, counts: list[int]) -> torch.Tensor:
    """Each character's code point, on all its symbols."""
    codes = torch.tensor([float(ord(c)) for c in text]).repeat_interleave(torch.tensor(counts))
    return codes.expand(1024, -1)


def test_segments_follow_one_another() -> None:
    spoken = front("我爱London，你好。", "zh", bert=_bert)
    assert " ".join(spoken.symbols) == "w o3 AA ai4 L AH1 N D AH0 N , n i2 h ao3 ."
    assert spoken.languages == ("zh", "en", "zh")
    assert spoken.notes == ("polyphones_built_in",)
    assert [word.text for word in spoken.words] == ["我", "爱", "London", ",", "你", "好", "."]


def test_prosody_lies_on_the_symbols_of_its_characters() -> None:
    spoken = front("我爱London，你好。", "zh", bert=_bert)
    assert spoken.bert is not None
    assert spoken.bert.shape == (1024, len(spoken.ids))
    expected = [ord(c) for c in "我我爱爱"] + [0] * 7 + [ord(c) for c in "你你好好."]
    assert spoken.bert[5].tolist() == expected


def test_what_is_missing_is_said() -> None:
    assert front("今天天气很好。", "zh").notes == ("bert_missing", "polyphones_built_in")
    assert front("今天天气很好。", "zh").bert is None
    assert front("How are you today?", "en").notes == ()
    assert front("How are you today?", "en", bert=_bert).bert.abs().max() == 0  # type: ignore[union-attr]


def test_a_short_piece_gets_a_full_stop_once() -> None:
    assert front("好", "zh").symbols == [".", "h", "ao3"]
    assert front("Hi", "en").symbols == [",", ".", "HH", "AY1"]


def test_commas_inside_a_sentence_are_only_upstream_s() -> None:
    text = "请按A键，然后回车。"
    assert front(text, "zh").symbols.count(",") == 1
    assert front(text, "zh", compat=True).symbols.count(",") == 2


def test_a_lone_letter_is_named() -> None:
    assert front("A股今天上涨。", "zh").symbols[0] == "EY1"
    assert front("A cat.", "en").symbols[:2] == [".", "AH0"]
    assert front("A股今天上涨。", "zh", overrides={"en": {"a": ["AE1"]}}).symbols[0] == "AE1"


def test_overrides_are_by_language() -> None:
    overrides = parse({"en": {"London": "L AO1 N"}, "zh": {"爱": "AA ai1"}})
    assert " ".join(front("我爱London", "zh", overrides=overrides).symbols) == "w o3 AA ai1 L AO1 N"


def test_with_compat_a_text_of_marks_is_a_breath() -> None:
    assert set(front("...", "auto", compat=True).symbols) <= {".", ","}


@pytest.mark.parametrize(
    ("text", "mode", "code"),
    [
        ("hello", "fr", "unsupported_language"),
        ("", "en", "empty_text"),
        (" \n", "auto", "empty_text"),
        ("...", "zh", "empty_text"),
        ("？！", "auto", "empty_text"),
        ("😀", "auto", "empty_text"),
        ("字" * (MAX_CHARACTERS + 1), "zh", "text_too_long"),
        ("a\ud800", "auto", "bad_characters"),
        ("a\x07", "auto", "bad_characters"),
        ("مرحبا", "auto", "unsupported_characters"),
        ("สวัสดี", "zh", "unsupported_characters"),
        ("你好まち", "zh", "unsupported_characters"),
        ("Ελληνικά", "auto", "unsupported_characters"),
    ],
)
def test_unusable_text_is_refused_by_name(text: str, mode: str, code: str) -> None:
    with pytest.raises(TextError) as refusal:
        front(text, mode)
    assert refusal.value.code == code


def test_ten_thousand_characters_are_read() -> None:
    assert len(front("好" * MAX_CHARACTERS, "zh").ids) == 2 * MAX_CHARACTERS


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40), st.sampled_from(MODES["v2"]), st.booleans())
def test_any_text_is_read_or_refused(text: str, mode: str, compat: bool) -> None:
    try:
        spoken = front(text, mode, compat=compat, bert=_bert)
    except TextError:
        return
    assert spoken.ids
    assert spoken.bert is not None
    assert spoken.bert.shape == (1024, len(spoken.ids))
    assert sum(word.count for word in spoken.words) == len(spoken.ids)
