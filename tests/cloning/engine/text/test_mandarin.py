import pytest

from cloning.engine.errors import TextError
from cloning.engine.text import mandarin
from cloning.engine.text.mandarin_syllables import initial_final, syllables
from cloning.engine.text.mandarin_words import parts, words
from cloning.engine.text.symbols import table
from tests.cloning.engine.official import needs_fixtures, rows


@needs_fixtures
@pytest.mark.parametrize(("name", "version"), [("text_zh.json", "v2"), ("text_v1.json", "v1")])
def test_reads_as_the_official_front_end(name: str, version: str) -> None:
    official = [row for row in rows(name) if row.get("lang", "zh") == "zh"]
    index, wrong = table(version), []
    for row in official:
        got = mandarin.read(row["text"], version=version, compat=True)
        ids = [index[symbol] for symbol in got.symbols]
        counts = [len(symbols) for _, symbols in got.words]
        if (got.normalised, ids, counts) != (row["norm"], row["ids"], row["word2ph"]):
            wrong.append((row["text"], row["norm"], got.normalised, row["phones"], got.symbols))
    assert len(official) >= 10
    assert len(wrong) <= 0.02 * len(official), wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # 一 and 不
        ("一天一段一个", "y i4 t ian1 y i2 d uan4 y i2 g e5"), ("第一名", "d i4 y i1 m ing2"),
        ("看一看", "k an4 y i5 k an4"), ("不怕不好", "b u2 p a4 b u4 h ao3"), ("看不懂", "k an4 b u5 d ong3"),
        ("一零一", "y i1 l ing2 y i1"),
        # the neutral tone
        ("桌子上", "zh uo1 z i05 sh ang4"), ("家里", "j ia1 l i5"), ("出去", "ch u1 q v5"), ("奶奶", "n ai3 n ai5"),
        ("女子", "n v2 z i03"), ("漂亮", "p iao4 l iang5"), ("好吧", "h ao3 b a5"),
        # third tones in a row
        ("你好", "n i2 h ao3"), ("展览馆", "zh an2 l an2 g uan3"), ("纸老虎", "zh ir3 l ao2 h u3"),
        ("所有人", "s uo2 y ou3 r en2"),
        # erhua
        ("玩儿", "w an2 EE er2"), ("小院儿", "x iao3 y van4 EE er4"), ("女儿", "n v3 EE er2"),
        ("胡同儿", "h u2 t ong5 EE er5"),
        # polyphonic characters, by the dictionary of words
        ("重庆的重量", "ch ong2 q ing4 d e5 zh ong4 l iang4"), ("银行行长", "y in2 h ang2 h ang2 zh ang3"),
        ("一…二", "y i1 … EE er4"),
        # syllables without a place in the table
        ("𰻝𰻝面", "b iang2 b iang2 m ian4"),
    ],
)  # fmt: skip
def test_tones_as_spoken(text: str, expected: str) -> None:
    assert mandarin.read(text).symbols == expected.split()


def test_v1_models_know_no_erhua() -> None:
    assert mandarin.read("哪儿", version="v2").symbols == ["n", "a3", "EE", "er3"]
    assert mandarin.read("哪儿", version="v1").symbols == ["n", "a3", "EE", "er2"]


@pytest.mark.parametrize(
    ("syllable", "expected"),
    [
        ("zhong1", "zh ong1"), ("yuan2", "y van2"), ("an4", "AA an4"), ("si1", "s i01"), ("zhi4", "zh ir4"),
        ("lv4", "l v4"), ("nve4", "n ve4"), ("jue2", "j ve2"), ("yan3", "y En3"), ("ye3", "y E3"), ("wo3", "w o3"),
        ("er4", "EE er4"), ("ou3", "OO ou3"), ("yu2", "y v2"), ("yun2", "y vn2"), ("xiong2", "x iong2"),
        ("ng2", "EE en2"), ("ri4", "r ir4"), ("hm5", "EE en5"), ("you3", "y ou3"), ("wei2", "w ei2"),
        ("yo1", "OO o1"), ("ê4", "EE e4"), ("fiao4", "f iao4"), ("???", "UNK"), ("zhong", "UNK"), ("xx1", "UNK"),
    ],
)  # fmt: skip
def test_syllables_part_into_initial_and_final(syllable: str, expected: str) -> None:
    assert initial_final(syllable) == expected.split()


def test_every_symbol_of_a_syllable_is_in_both_tables() -> None:
    from cloning.engine.text.mandarin_syllables import _table

    for name in _table():
        for tone in "12345":
            symbols = initial_final(name + tone)
            assert len(symbols) == 2
            assert all(symbol in table("v1") and symbol in table("v2") for symbol in symbols)


def test_characters_without_a_reading_keep_their_place() -> None:
    assert syllables("不,") == (["bu", ","], [4, 0])
    reading = mandarin.read("㗎㗎好")
    assert reading.words == [("㗎", ["UNK"]), ("㗎", ["UNK"]), ("好", ["h", "ao3"])]


def test_words_are_merged_for_tone_sandhi() -> None:
    assert [word.text for word in words("我不怕。")][-2:] == ["不怕", "。"]
    assert "听一听" in [word.text for word in words("你听一听吧")]
    assert parts("展览馆") == ("展览", "馆")
    assert parts("人") == ("人", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好，世界！！", "你好,世界!"), ("嗯……呣", "恩…母"), ("《原神》（测试）", "原神测试"), ("Ａ１２", "A十二"),
        ("啊——好", "啊,好"), ("鐘錶", "钟表"),
        ("1,234,567元", "一百二十三万四千五百六十七元"), ("３＋５＝８", "三加五等于八"),
        ("α≤β", "阿尔法贝塔"), ("3≤5", "三小于等于五"), ("Hello World，好", "Hello World,好"),
        ("他说：“好”", "他说,好"),
        ("iPhone 15 Pro卖5 kg", "iPhone十五Pro卖五千克"),
    ],
)  # fmt: skip
def test_normalised_text(text: str, expected: str) -> None:
    assert mandarin.normalise(text) == expected


def test_upstream_drops_latin_words_and_we_read_them_as_english() -> None:
    assert mandarin.read("我爱London。").symbols == ["w", "o3", "AA", "ai4", "L", "AH1", "N", "D", "AH0", "N", "."]
    assert mandarin.read("我爱London。", compat=True).symbols == ["w", "o3", "AA", "ai4", "."]
    assert mandarin.read("London", compat=True).words == []


def test_silence_signs() -> None:
    # Of several marks a silence wins.
    assert " ".join(mandarin.read("停，￥再，^说。").symbols) == "t ing2 SP2 z ai4 SP3 sh uo1 ."
    assert " ".join(mandarin.read("停￥再，说。").symbols) == "t ing2 SP2 z ai4 , sh uo1 ."
    assert " ".join(mandarin.read("停，^说。").symbols) == "t ing2 SP3 sh uo1 ."
    # Upstream turns every comma into the silence.
    assert " ".join(mandarin.read("停￥再，说。", compat=True).symbols) == "t ing2 SP2 z ai4 SP2 sh uo1 ."
    assert " ".join(mandarin.read("￥5的").symbols) == "w u3 y van2 d e5"


def test_what_was_said_about_a_word_wins() -> None:
    given = {"行长": ["x", "ing2", "zh", "ang3"], "長": ["chang2"], "london": ["L", "AH0"]}
    assert " ".join(mandarin.read("银行长，长。", overrides=given).symbols) == "y in2 x ing2 zh ang3 , ch ang2 ."
    assert " ".join(mandarin.read("在London", overrides=given).symbols) == "z ai4 L AH0"
    for bad in (["x"], ["a", "b", "c"], ["???"]):
        with pytest.raises(TextError, match="bad_override"):
            mandarin.read("长", overrides={"长": bad})


@pytest.mark.parametrize("text", ["привет", "你好ひらがな", "안녕"])
def test_other_letters_are_refused_unless_upstream_is_asked_for(text: str) -> None:
    with pytest.raises(TextError, match="unsupported_characters"):
        mandarin.read(text)
    mandarin.read(text, compat=True)


def test_private_characters_cannot_pose_as_silence() -> None:
    assert mandarin.read("\ue000好\ue001").symbols == ["h", "ao3"]


def test_upstream_tones_that_we_repair() -> None:
    assert " ".join(mandarin.read("银行行长", compat=True).symbols) == "y in2 h ang2 h ang5 zh ang3"
    assert " ".join(mandarin.read("一…二", compat=True).symbols) == "y i4 … EE er4"
