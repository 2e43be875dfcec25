import json
import subprocess
import sys
from pathlib import Path

import pytest

from cloning.engine.text import japanese
from cloning.engine.text.phones import clean
from tests.cloning.engine.official import needs_fixtures, rows

REFERENCE = json.loads((Path(__file__).parent / "data" / "japanese_reference.json").read_text("utf-8"))


def said(text: str, **options: object) -> str:
    return " ".join(japanese.read(text, **options).symbols)  # type: ignore[arg-type]


@needs_fixtures
def test_reads_as_the_official_front_end() -> None:
    official = rows("text_ja.json")
    wrong = []
    for row in official:
        got = clean(row["text"], "ja", compat=True)
        if (got.normalised, got.ids, got.symbols) != (row["norm"], row["ids"], row["phones"]):
            wrong.append((row["text"], row["phones"], got.symbols))
    assert len(official) >= 40
    assert len(wrong) <= 0.02 * len(official), wrong


def test_reads_other_sentences_as_open_jtalk_does() -> None:
    wrong = [
        (text, expected, got)
        for text, expected in REFERENCE["rows"]
        if (got := " ".join(clean(text, "ja", compat=True).symbols)) != expected
    ]
    assert len(REFERENCE["rows"]) == 30
    assert wrong == []


def test_chunks_spell_the_text() -> None:
    text = "えっ、GPTの性能は12％も上がった！ 本当ですか？"
    for compat in (False, True):
        reading = japanese.read(text, compat=compat)
        assert reading.normalised == text
        assert "".join(chunk for chunk, _ in reading.words) == text.replace(" ", "")
        assert reading.words[1] == ("、", [","])


@pytest.mark.parametrize(
    ("text", "upstream", "ours"),
    [
        ("100%", "hy a [ k u %", "hy a [ k u p a a s e ] N t o"),
        ("ｶﾞﾑ", "k a ﾞ m u", "g a ] m u"),
        ("٣個", "k o", "s a [ N k o"),
        ("2.6秒", "n i . r o [ k u ] by o o", "n i ] i t e N # r o [ k u ] by o o"),
        ("1,000円", "i [ ch i , z e [ r o z e ] r o # z e [ r o ] e N", "s e [ N ] e N"),
        ("「猫」です", "「 n e ] k o 」 d e ] s u", "n e ] k o # d e ] s u"),
        ("（笑）。", "（ w a [ r a i ） .", "w a [ r a i ."),
        ("猫; 犬:", "n e ] k o ; i [ n u :", "n e ] k o , i [ n u ,"),
    ],
)
def test_what_upstream_loses_is_read(text: str, upstream: str, ours: str) -> None:
    assert (said(text, compat=True), said(text)) == (upstream, ours)


@pytest.mark.parametrize("text", ["1.2.3", "2024.3.5", "12,34"])
def test_points_and_commas_of_no_number_stay_marks(text: str) -> None:
    assert [mark for _, mark in japanese.read(text).words[1::2]] == [[sign] for sign in text if not sign.isdigit()]


def test_overrides_win_over_the_dictionary() -> None:
    given = {"日本橋": ["n", "i"], "gpt": ["j", "i"], "タワ": ["t", "a"], "橋": ["h", "a"]}
    reading = japanese.read("日本橋とGPTとタワーとタワ。", overrides=given)
    assert reading.words == [
        ("日本橋", ["n", "i"]),
        ("と", ["t", "o"]),
        ("GPT", ["j", "i"]),
        # part of a longer katakana word is another word
        ("とタワーと", ["t", "o", "#", "t", "a", "]", "w", "a", "a", "t", "o"]),
        ("タワ", ["t", "a"]),
        ("。", ["."]),
    ]
    assert japanese.read("橋", overrides={"": ["x"]}).symbols == japanese.read("橋").symbols


def test_an_override_never_changes_other_texts() -> None:
    before = said("橋を渡る")
    assert said("橋を渡る", overrides={"橋": ["b"]}) == "b o # w a [ t a r u"
    assert said("橋を渡る") == before


@pytest.mark.parametrize("text", ["", " ", "\ud800", "🙂", "「」"])
def test_texts_without_words_are_silent(text: str) -> None:
    assert japanese.read(text).words == []


@pytest.mark.parametrize("text", ["ア", "漢", "9", "1・", "ー", "a", "は"])
def test_long_monotony_is_read_in_time(text: str) -> None:
    long = japanese.read(text * (10_000 // len(text)))
    # length without a vowel to lengthen is nothing
    assert bool(long.symbols) == (text != "ー")


def test_nothing_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, cloning.engine.text; "
        "assert not {'mecab', 'cloning.engine.text.japanese', 'cloning.engine.text.korean'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
