"""Text for the models: nothing lost, limits by name."""

from __future__ import annotations

import pytest
import torch

from cloning.engine.errors import TextError
from cloning.engine.tts.sentences import Reader, Sentence, all_overrides, joined_bert


def reader(*, table: str = "v2", phonemes: int = 732, compat: bool = False) -> Reader:
    return Reader(table, phonemes, {}, None, compat)


def test_every_sentence_is_read_in_order() -> None:
    got = reader().sentences("One two three. Four five six!", "en", "cut5")
    assert [sentence.normalised for sentence in got] == ["One two three.", "Four five six!"]
    assert all(sentence.phones.dtype == torch.int64 and sentence.phones.numel() > 5 for sentence in got)


@pytest.mark.parametrize(
    ("text", "mode", "ends"), [("hello there", "en", "."), ("你好吗", "zh", "."), ("yes!", "en", "!")]
)
def test_a_prompt_ends_with_a_mark(text: str, mode: str, ends: str) -> None:
    assert reader().prompt(text, mode).normalised.endswith(ends)


def test_a_sentence_without_end_is_refused_unless_upstream_s_quirks_are_kept() -> None:
    endless = "strengthen " * 200
    with pytest.raises(TextError, match="fragment_too_long"):
        reader().sentence(endless[:3000], "en")
    assert reader(compat=True).sentence(endless[:3000], "en").phones.numel() > 540


def test_sounds_the_voice_does_not_know_are_refused() -> None:
    with pytest.raises(TextError, match="unsupported_language"):
        reader(phonemes=10).sentence("Hello there", "en")
    with pytest.raises(TextError, match="unsupported_language"):
        reader(table="v1", phonemes=322).sentence("안녕하세요", "ko")


def test_a_request_s_pronunciation_wins_over_the_voice_s() -> None:
    merged = all_overrides({"en": {"a": "AH0", "b": "B IY1"}}, {"en": {"a": "EY1"}}, "v2")
    assert merged == {"en": {"a": ("EY1",), "b": ("B", "IY1")}}


def test_missing_bert_features_are_zeros() -> None:
    with_bert = Sentence(torch.arange(3), torch.ones(8, 3), "", ())
    without = Sentence(torch.arange(2), None, "", ())
    joined = joined_bert(without, with_bert)
    assert joined is not None
    assert joined.shape == (8, 5)
    assert joined.sum(0).tolist() == [0, 0, 8, 8, 8]
    assert joined_bert(without, without) is None
