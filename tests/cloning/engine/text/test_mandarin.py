import pytest

from cloning.engine.text import to_phones
from cloning.engine.text.mandarin import initial_final
from cloning.engine.text.mandarin_numbers import cardinal, write_out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Rows of the official front end's output.
        ("你好，世界！", "n i2 h ao3 , sh ir4 j ie4 !"),
        ("他行走在银行门口，觉得自己的行为还行。",
         "t a1 x ing2 z ou3 z ai4 y in2 h ang2 m en2 k ou3 , j ve2 d e5 z i04 j i3 d e5 x ing2 w ei2 h ai2 x ing2 ."),
        ("重庆的重量级选手重新出发。",
         "ch ong2 q ing4 d e5 zh ong4 l iang4 j i2 x van2 sh ou3 ch ong2 x in1 ch u1 f a1 ."),
    ],
)  # fmt: skip
def test_reads_as_the_official_front_end(text: str, expected: str) -> None:
    assert to_phones(text, "zh").symbols == expected.split()


@pytest.mark.parametrize(
    ("syllable", "expected"),
    [
        ("zhong1", "zh ong1"), ("yuan2", "y van2"), ("an4", "AA an4"), ("si1", "s i01"), ("zhi4", "zh ir4"),
        ("lv4", "l v4"), ("nve4", "n ve4"), ("jue2", "j ve2"), ("yan3", "y En3"), ("ye3", "y E3"), ("wo3", "w o3"),
        ("er4", "EE er4"), ("ou3", "OO ou3"), ("yu2", "y v2"), ("yun2", "y vn2"), ("xiong2", "x iong2"),
        ("ng2", "EE en2"),
        ("ri4", "r ir4"), ("hm5", "EE en5"), ("you3", "y ou3"), ("wei2", "w ei2"), ("???", "UNK"),
    ],
)  # fmt: skip
def test_syllables_part_into_initial_and_final(syllable: str, expected: str) -> None:
    assert initial_final(syllable) == expected.split()


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "零"), (10, "十"), (11, "十一"), (105, "一百零五"), (110, "一百一十"), (10010, "一万零一十"),
        (52314, "五万二千三百一十四"), (79094, "七万九千零九十四"), (100000001, "一亿零一"), (10**12, "一万亿"),
    ],
)  # fmt: skip
def test_numbers(number: int, expected: str) -> None:
    assert cardinal(number) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1974年1月28日，气温-3℃，湿度56%。", "一九七四年一月二十八日，气温零下三度，湿度百分之五十六。"),
        ("现在是7:50", "现在是七点五十分"),
        ("成绩提高了4/7", "成绩提高了七分之四"),
        ("请拨打14764854807", "请拨打幺四七六四八五四八零七"),
        ("价格是924.70元", "价格是九百二十四点七零元"),
        ("身高198cm", "身高一百九十八厘米"),
        ("16~38岁", "十六到三十八岁"),
    ],
)
def test_figures_become_characters(text: str, expected: str) -> None:
    assert write_out(text) == expected


def test_latin_words_inside_are_read_as_english() -> None:
    assert to_phones("我爱London。", "zh").symbols == ["w", "o3", "AA", "ai4", "L", "AH1", "N", "D", "AH0", "N", "."]
