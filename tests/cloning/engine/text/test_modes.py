import pytest

from cloning.engine.errors import TextError
from cloning.engine.text.modes import MODES, segments


def _shown(text: str, mode: str, *, compat: bool = False) -> list[str]:
    return [f"{part.language} {part.text}" for part in segments(text, mode, compat=compat)]


MIXED = "我用iPhone 15，最高です。"


@pytest.mark.parametrize(
    ("mode", "expected", "upstream"),
    [
        ("en", ["en " + MIXED], ["en " + MIXED]),
        ("zh", ["zh 我用", "en iPhone 15，", "zh 最高です。"], ["zh 我用", "en iPhone 15，", "zh 最高です。"]),
        ("yue", ["yue 我用", "en iPhone 15，", "yue 最高です。"], ["yue 我用", "en iPhone 15，", "yue 最高です。"]),
        ("all_ja", ["ja 我用", "en iPhone 15，", "ja 最高です。"], ["ja 我用", "en iPhone ", "ja 15，最高です。"]),
        ("all_yue", ["yue 我用", "en iPhone 15，", "yue 最高です。"], ["yue 我用", "en iPhone ", "yue 15，最高です。"]),
        ("auto", ["ja 我用", "en iPhone 15，", "ja 最高です。"], ["zh 我用", "en iPhone 15，", "ja 最高です。"]),
    ],
)
def test_a_mode_says_which_language_reads_what(mode: str, expected: list[str], upstream: list[str]) -> None:
    assert _shown(MIXED, mode) == expected
    assert _shown(MIXED, mode, compat=True) == upstream


def test_auto_yue_reads_chinese_as_cantonese() -> None:
    assert _shown("我哋去买嘢，OK？", "auto_yue") == ["yue 我哋去买嘢，", "en OK？"]


def test_with_compat_spaces_are_joined() -> None:
    assert _shown("Hello   world", "en", compat=True) == ["en Hello world"]


def test_versions_have_their_modes() -> None:
    assert set(MODES["v1"]) < set(MODES["v2"])
    for mode, version in (("ko", "v1"), ("auto_yue", "v1"), ("fr", "v2"), ("en", "v9")):
        with pytest.raises(TextError) as refusal:
            segments("hello", mode, version=version)
        assert refusal.value.code == "unsupported_language"
