import json
from pathlib import Path

import pytest

from cloning.engine.text import korean
from cloning.engine.text.korean_numbers import numeral, spell
from cloning.engine.text.korean_rules import DIPHTHONGS, LETTERS, annotated, decomposed, pronounced
from cloning.engine.text.phones import clean
from cloning.engine.text.symbols import INDEX
from tests.cloning.engine.official import needs_fixtures, rows

REFERENCE = json.loads((Path(__file__).parent / "data" / "korean_reference.json").read_text("utf-8"))


def said(text: str, **options: object) -> str:
    return "".join(korean.read(text, **options).symbols)  # type: ignore[arg-type]


@needs_fixtures
def test_reads_as_the_official_front_end() -> None:
    official = rows("text_ko.json")
    wrong = []
    for row in official:
        got = clean(row["text"], "ko", compat=True)
        if (got.normalised, got.ids, got.symbols) != (row["norm"], row["ids"], row["phones"]):
            wrong.append((row["text"], row["phones"], got.symbols))
    assert len(official) >= 40
    assert len(wrong) <= 0.02 * len(official), wrong


def test_reads_other_sentences_as_g2pk2_does() -> None:
    wrong = [
        (text, expected, got)
        for text, expected in REFERENCE["rows"]
        if (got := " ".join(korean.read(text, compat=True).symbols)) != expected
    ]
    assert len(REFERENCE["rows"]) == 30
    assert wrong == []


def test_chunks_spell_the_text() -> None:
    reading = korean.read("값이 3개, GPT!")
    assert reading.words == [
        ("값이", list("ㄱㅏㅂㅆㅣ")),
        (" ", ["空"]),
        ("3개", list("ㅅㅔㄱㅐ")),
        (",", [","]),
        (" ", ["空"]),
        ("GPT", list("ㅈㅣㅍㅣㅌㅣ")),
        ("!", ["!"]),
    ]
    # a text that ends in a letter gets a full stop, which its last word carries
    assert korean.read("강").words == [("강", ["ㄱ", "ㅏ", "ㅇ", "."])]


@pytest.mark.parametrize(
    ("text", "upstream", "ours"),
    [
        ("끝이", "ㄲㅡㅅㅣ.", "ㄲㅡㅊㅣ."),
        ("늦어요", "ㄴㅡㅅㅓㅇㅣㅗ.", "ㄴㅡㅈㅓㅇㅣㅗ."),
        ("디귿이", "ㄷㅣㄱㅡㅅㅣ.", "ㄷㅣㄱㅡㅅㅣ."),
        ("흙투성이", "ㅎㅡㄱㅍㅜㅅㅓㅇㅇㅣ.", "ㅎㅡㄱㅌㅜㅅㅓㅇㅇㅣ."),
        ("11번째", "ㅇㅣㄹㅊㅓㄷㅃㅓㄴㅉㅐ.", "ㅇㅣㅓㄹㅎㅏㄴㅂㅓㄴㅉㅐ."),
        ("45km", "ㅅㅏㅇㅗㅋㅔㅇㅣㅇㅔㅁ.", "ㅅㅏㅅㅣㅂㅗㅋㅔㅇㅣㅇㅔㅁ."),
        ("2.6", "ㅇㅣ.ㅇㅣㅜㄱ.", "ㅇㅣㅈㅓㅁㅣㅜㄱ."),
        ("mp3", "ㅇㅔㅁㅍㅣㅅㅏㅁ.", "ㅇㅔㅁㅍㅣㅆㅡㄹㅣ."),
        ("5리", "ㄷㅏㅅㅓㄴㄴㅣ.", "ㅇㅗㄹㅣ."),
        ("010-1234", "ㅇㅣㅓㅇㅇㅣㄹㅣㅓㅇ-ㅇㅣㄹㅣㅅㅏㅁㅅㅏ.", "ㅇㅣㅓㅇㅇㅣㄹㅣㅓㅇ-ㅇㅣㄹㅣㅅㅏㅁㅅㅏ."),
        ("싫 듯", "ㅅㅣㄹ空ㅌㅡㄷ.", "ㅅㅣㄹ空ㅌㅡㄷ."),
        ("잃 웃", "ㅇㅣㄹㅜㄷ.", "ㅇㅣㄹ空ㅇㅜㄷ."),
        ("강\n", "ㄱㅏㅇ..", "ㄱㅏㅇ."),
    ],
)
def test_what_upstream_gets_wrong_is_read(text: str, upstream: str, ours: str) -> None:
    assert (said(text, compat=True), said(text)) == (upstream, ours)


def test_a_lost_space_leaves_one_chunk() -> None:
    assert korean.read("잃 웃", compat=True).words == [("잃 웃", list("ㅇㅣㄹㅜㄷ."))]


@pytest.mark.parametrize(
    ("digits", "sino", "native"),
    [
        ("0", "영", "영"),
        ("1", "일", "한"),
        ("10", "십", "열"),
        ("11", "십일", "열한"),
        ("20", "이십", "스무"),
        ("99", "구십구", "아흔아홉"),
        ("105", "백오", "백다섯"),
        ("10,000", "만", "만"),
        ("110000", "십일만", "십일만"),
        ("1100000000", "십일억", "십일억"),
        ("100000000", "일억", "일억"),
        ("123456789", "일억이천삼백사십오만육천칠백팔십구", "일억이천삼백사십오만육천칠백여든아홉"),
        ("1000000000000", "일조", "일조"),
        ("12345678901234567", "일이삼사오육칠팔구영일이삼사오육칠", "일이삼사오육칠팔구영일이삼사오육칠"),
    ],
)
def test_numerals(digits: str, sino: str, native: str) -> None:
    assert (numeral(digits), numeral(digits, native=True)) == (sino, native)


def test_upstream_loses_the_one_of_ten_thousand() -> None:
    assert numeral("110000", compat=True) == "십만"
    assert numeral("1100000000", compat=True) == "일십일억"


def test_numbers_of_an_annotated_text() -> None:
    assert spell("1개/B와 11개/B, 30,40") == "한개/B와 열한개/B, 삼영,사영"
    assert spell("2024.3.5 1.5개/B 12,000원") == "이영이사.삼.오 일점오개/B 만이천원"
    assert spell("12,000 10-20", compat=True) == "일이,영영영 일영-이영"


def test_marks_of_morphemes() -> None:
    tokens = [("신", "VV"), ("고", "EC"), ("갈", "VV+ETM"), ("세", "MM"), ("개", "NNBC")]
    assert annotated("신고 갈 세 개", tokens) == "신/P고 갈/E 세 개/B"
    assert annotated("신고\t갈", tokens[:3]) == "신고\t갈"


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("국물", "궁물"),
        ("독립", "동닙"),
        ("신라", "실라"),
        ("좋다", "조타"),
        ("많아", "마나"),
        ("밟고", "밥꼬"),
        ("넓다", "널따"),
        ("앞마당", "암마당"),
        ("닫혀", "다처"),
        ("붙여", "부처"),
        ("굳이", "구지"),
        ("핥이다", "할치다"),
        ("넋이", "넉씨"),
        ("희망", "히망"),
        ("가져", "가저"),
    ],
)
def test_standard_pronunciation(written: str, spoken: str) -> None:
    assert pronounced(decomposed(written)) == decomposed(spoken)


def test_every_letter_is_a_symbol_or_two() -> None:
    single = {chr(code) for code in LETTERS}
    assert len(single) == 19 + 21 + 27
    # clusters of final consonants never survive the rules
    for code in range(0xAC00, 0xD7A4):
        for letter in pronounced(decomposed(chr(code))).translate(LETTERS).translate(DIPHTHONGS):
            assert letter in INDEX


def test_overrides_win_at_the_start_of_a_word() -> None:
    given = {"값": ["ㄱ", "ㅏ"], "AI": ["ㅇ", "ㅏ"], "": ["x"]}
    assert said("값이 몸값 ai와", overrides=given) == "ㄱㅏㅇㅣ空ㅁㅗㅁㄱㅏㅂ空ㅇㅏㅇㅗㅏ."
    assert korean.read("값", overrides=given).words == [("값", ["ㄱ", "ㅏ", "."])]
    assert given["값"] == ["ㄱ", "ㅏ"]


@pytest.mark.parametrize("text", ["\ud800", "漢字", "\x00가", "가\n나\t다", "ㅋㅋㅋ", "🙂", "\u212a"])
def test_strange_texts_are_read_without_a_word(text: str) -> None:
    for compat in (False, True):
        reading = korean.read(text, compat=compat)
        assert all(symbol in INDEX for symbol in reading.symbols)
    assert korean.read("").words == []


def test_long_texts_are_read_in_time() -> None:
    assert len(korean.read("가나다 " * 2500).symbols) > 10_000
    assert korean.read("가" * 10_000).symbols != []
