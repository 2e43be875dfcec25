from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloning.engine.text.runs import upstream_runs
from cloning.engine.text.segment import Segment, han_of, script_of, segment
from tests.cloning.engine.official import needs_fixtures, rows


@needs_fixtures
def test_upstream_s_segments_are_found() -> None:
    wrong = []
    for row in rows("langseg.json"):
        for key, expected in row.items():
            if key == "text":
                continue
            default = key.removeprefix("default_").removeprefix("none")
            got = [{"lang": part.language, "text": part.text} for part in segment(row["text"], default, compat=True)]
            if got != expected:
                wrong.append((key, row["text"], expected, got))
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天是2024年5月1日，劳动节快乐！", ["zh 今天是2024年5月1日，劳动节快乐！"]),
        ("ねえ、知ってる？最近、僕は天文学を勉強してる。", ["ja ねえ、知ってる？最近、僕は天文学を勉強してる。"]),
        ("MyGO?,你也喜欢まいご吗？", ["en MyGO?,", "zh 你也喜欢", "ja まいご", "zh 吗？"]),
        ("当时ThinkPad T60刚刚发布", ["zh 当时", "en ThinkPad T60", "zh 刚刚发布"]),
        ("我买了3个apple和5个banana。", ["zh 我买了3个", "en apple", "zh 和5个", "en banana。"]),
        ("COVID-19疫情 12:30", ["en COVID-19", "zh 疫情 12:30"]),
        ("東京は首都です。北京是中国的首都。", ["ja 東京は首都です。", "zh 北京是中国的首都。"]),
        ("오늘 weather가 좋다", ["ko 오늘 ", "en weather", "ko 가 좋다"]),
        ("𠮷野家の牛丼", ["ja 𠮷野家の牛丼"]),
        ("明日会議。", ["ja 明日会議。"]),
        ("價錢係三百蚊", ["zh 價錢係三百蚊"]),
        ("他说「こんにちは」然后走了", ["zh 他说", "ja 「こんにちは」", "zh 然后走了"]),
        ("café, Привет", ["en café, ", "x Привет"]),
        ("α粒子", ["zh α粒子"]),
        ("", []),
    ],
)
def test_by_default_every_piece_is_where_a_reader_would_put_it(text: str, expected: list[str]) -> None:
    assert [f"{part.language} {part.text}" for part in segment(text)] == expected


def test_a_default_language_takes_all_but_english() -> None:
    assert segment("我爱 London まち 3", "ja") == [
        Segment("ja", "我爱 "), Segment("en", "London "), Segment("ja", "まち 3"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ㅋㅋㅋ 진짜?", ["en ㅋㅋㅋ ", "ko 진짜?"]),
        ("明日会議。\n\nはい", ["ja 明日会議。\n\nはい"]),
        ("ab's 12, 你好！3", ["en ab's 12, ", "zh 你好！3"]),
        ("Привет, как дела? 你好吗？", ["zh   ? 你好吗？"]),
    ],
)
def test_upstream_s_habits_that_the_fixture_does_not_show(text: str, expected: list[str]) -> None:
    # What the official segmenter with the same small model gives.
    assert [f"{part.language} {part.text}" for part in segment(text, compat=True)] == expected


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aé1２ ,.-。「」はﾊ漢国气気한α\n😀٣ж", max_size=80), st.sampled_from(["", "zh", "ja", "ko"]))
def test_no_character_is_lost(text: str, default: str) -> None:
    parts = segment(text, default)
    assert "".join(part.text for part in parts) == text
    assert all(a.language != b.language for a, b in pairwise(parts))
    assert "".join(run.text for run in upstream_runs(text)) == text.strip()


@pytest.mark.parametrize("piece", ["1 ", "(", "か好", "word ", "1a", "。"])
@pytest.mark.parametrize("compat", [False, True])
def test_a_long_text_takes_no_longer_than_its_length(piece: str, compat: bool) -> None:
    text = (piece * 10_000)[:10_000] + "a"
    assert segment(text, compat=compat)


def test_scripts_and_national_characters() -> None:
    assert ",".join(script_of(c) for c in "aＡéのｱ漢한ж5，々") == "en,en,en,ja,ja,han,ko,x,digit,,han"
    assert [han_of(c) for c in "们気中嗎駅"] == ["zh", "ja", "", "zh", "ja"]
