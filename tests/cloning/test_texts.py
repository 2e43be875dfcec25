"""What may be asked to be spoken at all."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloning import texts
from cloning.errors import ContainerUnknown, LanguageUnsupported, RateUnknown, TextInvalid
from cloning.models import MAX_TEXT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "...!?",
        "a" * (MAX_TEXT + 1),
        "a" * 1_000_000,
        "nul\0",
        "bell\a",
        "esc\x1b[2J",
        "lone \ud800",
        "\ue000a",
    ],
    ids=["empty", "blank", "no letters", "too long", "a megabyte", "nul", "bell", "escape", "surrogate", "private use"],
)
def test_a_text_that_cannot_be_spoken_is_refused(text: str) -> None:
    with pytest.raises(TextInvalid):
        texts.check_text(text)


@pytest.mark.parametrize("text", ["Good morning.", "你好，世界", "line one\nline two\tend", "a" * (MAX_TEXT - 3), "42"])
def test_an_ordinary_text_passes(text: str) -> None:
    assert texts.check_text(f"  {text}\n") == text


@given(st.text(max_size=200))
def test_whatever_passes_is_clean_and_stable(text: str) -> None:
    try:
        checked = texts.check_text(text)
    except TextInvalid:
        return
    assert checked == checked.strip()
    assert texts.check_text(checked) == checked
    assert texts.digest(checked) == hashlib.sha256(checked.encode()).hexdigest()


def test_unknown_languages_and_containers_are_refused() -> None:
    with pytest.raises(LanguageUnsupported):
        texts.check_language("tlh")
    with pytest.raises(ContainerUnknown):
        texts.check_container("exe")


@pytest.mark.parametrize(("tier", "default", "other"), [("free", 24_000, 48_000), ("member", 32_000, 24_000)])
def test_each_tier_has_its_rates(settings, tier, default, other):
    settings.VOUCH_TIER = tier
    assert texts.check_rate(None) == default
    with pytest.raises(RateUnknown):
        texts.check_rate(other)
    settings.VOUCH_TIER = "member"
    assert texts.check_rate(48_000) == 48_000


def test_label_speaks_the_listeners_language_or_english():
    assert [texts.label_language(code) for code in ("en", "zh", "ja")] == ["en", "zh", "en"]
