import time

import pytest

from cloning.engine.text import mandarin
from cloning.engine.text.mandarin_rules import verbalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1974年1月28日", "一九七四年一月二十八日"), ("98年", "九八年"), ("2024-05-06", "二零二四年五月六日"),
        ("2024/12/31", "二零二四年十二月三十一日"), ("7:50", "七点五十分"), ("07:05:09", "七点零五分零九秒"),
        ("20:30", "二十点半"), ("8:00-12:00", "八点至十二点"), ("-3℃", "零下三度"), ("36.5°C", "三十六点五度"),
        ("3kg~5kg", "三千克至五千克"), ("198cm", "一百九十八厘米"), ("4/7", "七分之四"), ("-4/7", "负七分之四"),
        ("56%", "百分之五十六"), ("13812345678", "幺三八幺二三四五六七八"),
        ("+8613812345678", "八六幺三八幺二三四五六七八"),
        ("01060481049", "零幺零六零四八幺零四九"), ("4001234567", "四零零幺二三四五六七"),
        ("16~38岁", "十六到三十八岁"),
        ("-33", "负三十三"), ("1.2.3", "一点二点三"), ("924.70元", "九百二十四点七零元"), ("2个", "两个"),
        ("2余人", "两余人"), ("20+人", "二十多人"), ("2千米", "两千米"), ("1050本", "一千零五十本"),
        ("588309", "五八八三零九"), ("079", "零七九"), ("12", "十二"), ("79×4", "七十九乘四"), ("a+b=c", "a加b等于c"),
        ("x²", "x的二次方"), ("6÷2=3", "六除二等于三"),
    ],
)  # fmt: skip
def test_both_readings_agree(text: str, expected: str) -> None:
    assert verbalise(text, compat=True) == expected
    assert verbalise(text) == expected


@pytest.mark.parametrize(
    ("text", "upstream", "ours"),
    [
        ("8:30-12:15", "八点半至十二点半", "八点半至十二点十五分"),
        ("20摄氏度", "二十度", "二十摄氏度"),
        ("比分3:1", "比分三:一", "比分三比一"),
        ("14-57岁", "十四减五十七岁", "十四到五十七岁"),
        ("3-5%", "三减百分之五", "百分之三到百分之五"),
        ("-3~5℃", "负三~五度", "零下三到五度"),
        ("2009-12-3", "二零零九减十二减三", "二零零九年十二月三日"),
        ("010-60481049", "零幺零减六零四八幺零四九", "零幺零，六零四八幺零四九"),
        ("400-123-4567", "四零零减幺二三减四五六七", "四零零，幺二三，四五六七"),
        ("5000000元", "五零零零零零零元", "五百万元"),
        ("5mm", "五米米", "五毫米"),
        ("146km/h", "一百四十六千米/h", "一百四十六千米每小时"),
        ("Tom和Sam", "To米和Sa米", "Tom和Sam"),
        ("$33.8", "$三十三点八", "三十三点八美元"),
        ("￥3万元", "￥三万元", "三万元"),
        ("√48", "√四十八", "根号四十八"),
        ("Wi-Fi", "W减i减Fi", "Wi Fi"),
    ],
)
def test_misreadings_of_upstream_are_kept_only_on_request(text: str, upstream: str, ours: str) -> None:
    assert verbalise(text) == ours
    if text != "Wi-Fi":
        assert verbalise(text, compat=True) == upstream


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,000,000，1,000人，3,499.99", "一百万,一千人,三千四百九十九点九九"),
        ("¥1,234.50，-1,000，1,000%，1,000-2,000人", "一千二百三十四点五零元,负一千,百分之一千,一千到二千人"),
        ("2024-2025年，2023–2024赛季", "二零二四至二零二五年,二零二三至二零二四赛季"),
        ("20世纪90年代，1980s，90后，10后来", "二十世纪九十年代,二十世纪八十年代,九零后,十后来"),
        ("第1-3章，No.5，24/7", "第一至三章,第五,二十四七"),
        ("~20人，5岁~10岁，±5，-5℃~10℃", "约二十人,五岁到十岁,正负五,零下五度至十度"),
        ("3½杯，½", "三又二分之一杯,二分之一"),
        ("100㎡，100°F，℃", "一百平方米,华氏一百度,摄氏度"),
        ("₹200，HK$100，100万USD，EUR 3.5", "二百卢比,一百港元,一百万美元,三点五欧元"),
        ("¥5-10万，$5~$10", "五到十万元,五到十美元"),
        ("9am-5pm，12pm，12:30 a.m.", "上午九点至下午五点,中午十二点,凌晨零点半"),
        ("http://www.example.com/a/", "www点example点com斜杠a"),
        ("a@b.com，AT&T，C#", "a at b点com,AT and T,C sharp"),
    ],
)
def test_what_upstream_drops_or_misreads_is_read(text: str, expected: str) -> None:
    assert mandarin.normalise(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "1" * 10_000,
        "0" * 10_000,
        "²" * 10_000,
        "1:" * 5_000,
        "-" * 10_000,
        "1," * 5_000,
        "a." * 5_000,
        "a-" * 5_000,
        "~1" * 5_000,
        "½" * 10_000,
        "9am-" * 2_500,
    ],
)
def test_endless_figures_take_no_endless_time(text: str) -> None:
    begin = time.process_time()
    mandarin.normalise(text)
    mandarin.normalise(text, compat=True)
    assert time.process_time() - begin < 3
