"""Writing tricks fold away; ordinary words stay apart."""

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.detectors.folding import is_han
from safety.detectors.lexicon import Lexicon
from safety.detectors.normalise import LONGEST_WORD, disguised, normalise, read, share_of_other_scripts


def has(phrase, written):
    return any(Lexicon({"it": [phrase]}).read(read(written)))


@pytest.mark.parametrize(
    "written",
    [
        "Send money",
        "SEND  MONEY!",
        "s e n d m o n e y",
        "s.e.n.d-m.o.n.e.y",
        "se nd mo-ney",
        "sendmoney",
        "se\u200bnd\u2060 mo\u00adney",
        "s3nd m0ney",
        "s 3 n d m 0 n 3 y",
        "\u0455\u0435nd m\u043en\u0435\u0443",  # Cyrillic
        "ｓｅｎｄ　ｍｏｎｅｙ",  # full width
        "𝓼𝓮𝓷𝓭 𝖒𝖔𝖓𝖊𝖞",  # mathematical
        "🅢🅔🅝🅓 🅼🅾🅽🅴🆈",
        "ꜱᴇɴᴅ ᴍᴏɴᴇʏ",
        "śëñd mõnéÿ",
        "s\u0336e\u0336n\u0336d m\u0336o\u0336n\u0336e\u0336y\u0336",
        "$end mon€y",
        "send@money",
        "seeend moooney",
        "pleaserightnowsendmoneytomyaccount",
    ],
)
def test_the_same_words_read_the_same_however_they_are_written(written):
    assert has("send money", written)


@pytest.mark.parametrize(
    "written", ["send harmony", "resend money order", "money, send", "ascend money", "s 3 n d", ""]
)
def test_other_words_do_not_match(written):
    assert not has("send money", written)


def test_numbers_stay_numbers():
    assert has("110", "call 110 now")
    assert not has("110", "call 1100 now")
    assert not has("iio", "call 110 now")


def test_traditional_and_spaced_chinese_reads_as_simplified():
    for written in ("轉賬", "轉帳", "转 账", "转*账", "转\u200b账"):
        assert has("转账", written), written


def test_apostrophes_belong_to_their_word():
    assert has("dont tell", "Don’t tell")


@pytest.mark.parametrize(
    "written",
    ["yan zheng ma", "YanZhengMa", "yàn zhèng mǎ", "验 zheng 码", "yan证ma", "验正码", "验-证-码", "燕正马"],
)
def test_a_chinese_word_is_the_same_in_pinyin_half_in_pinyin_and_in_characters_of_the_same_sound(written):
    assert has("验证码", f"请把{written}发给我")
    assert has("验证码", f"please, {written}")


def test_a_short_word_is_found_by_sound_only_where_latin_letters_spell_a_part_of_it():
    assert has("转账", "zhuan账")
    assert has("转账", "zhuan zhang")
    assert not has("转账", "赚张")


def test_the_sound_of_a_character_is_no_latin_word():
    assert not has("ma", "号码")
    assert not has("ma*", "号码")


@pytest.mark.parametrize(
    ("written", "hides"),
    [
        ("An ordinary sentence, with 4 numbers.", False),
        ("普通话和 English 混写", False),
        ("Ελληνικά και русский", False),
        ("p\u0430ssword", True),
        ("pass\u200bword", True),
        ("p a s s w o r d", True),
        ("I, a B c", False),
        ("🅢end", True),
    ],
)
def test_a_disguise_is_told_from_honest_writing(written, hides):
    assert disguised(written) is hides


def test_clauses_begin_after_stops_and_commas():
    words = read("Grandma, send it. Now: pay").words
    assert [words.encoded.decode()[words.starts[at] :].split()[0] for at in words.clauses] == [
        "grandma",
        "send",
        "now",
        "pay",
    ]


WORDS = st.text(alphabet=st.characters(codec="ascii", categories=["Ll", "Lu"]), min_size=2, max_size=12)


@given(WORDS.filter(lambda word: len(set(word.casefold().replace("l", "i"))) > 1))
def test_a_word_written_with_hidden_and_decorated_characters_still_reads_as_itself(word):
    hidden = "\u200b".join(word)
    wide = "".join(chr(ord(char) + 0xFEE0) for char in word)
    struck = "".join(char + "\u0336" for char in word)
    for written in (word, word.upper(), hidden, wide, struck, unicodedata.normalize("NFD", word)):
        assert has(word, f"a tale, {written}; the end")


@given(st.text(max_size=300))
def test_the_words_of_any_text_fit_its_streams(text):
    reading = read(text)
    words = reading.words
    assert len(words.starts) + 1 == len(words.begins) == len(words.sounds)
    of_bytes = words.at(np.arange(len(words.encoded))).tolist()
    assert of_bytes == sorted(of_bytes)
    assert set(of_bytes) == set(range(len(words.starts)))
    assert words.encoded.decode() == words.text
    assert words.begins[-1] == len(reading.streams[0].letters)
    if reading.sound is not None:
        assert words.sounds[-1] == len(reading.sound.letters) == len(reading.sound.sounded)


MIXED = st.text(alphabet="ab1l3 .,，-'@$送钱赚\U00020000аβ\u0336", max_size=60)


@given(MIXED | st.text(max_size=60))
def test_a_reading_says_of_each_word_what_the_word_alone_says(text):
    words = read(text).words
    first, sound = read(text).streams[0], read(text).sound
    written = words.encoded
    shown = [written[at:behind].decode() for at, behind in pairwise([*words.starts.tolist(), len(written)])]
    assert "".join(shown) == words.text
    for at, word in enumerate(shown):
        begin, end = words.begins[at], words.begins[at + 1]
        alone = read(word)
        assert len(alone.words.starts) == 1
        assert alone.streams[0].letters == first.letters[begin:end]
        inner = b"\1" if end - begin > LONGEST_WORD else b"\0"
        assert first.edges[begin : end + 1] == b"\1" + inner * (end - begin - 1) + b"\1"
        if sound is not None:
            begin, end = words.sounds[at], words.sounds[at + 1]
            spoken = alone.sound.letters if alone.sound is not None else alone.streams[0].letters
            assert sound.letters[begin:end] == spoken
            assert sound.sounded[begin:end] == (b"\1" if alone.sound is not None else b"\0") * (end - begin)
    # Between Chinese characters there is no space, between everything else there is one.
    for one, other in pairwise(shown):
        both = is_han(one.strip()) and is_han(other.strip())
        assert other.startswith(" ") is not both


@given(st.text(alphabet="aB1 .\u00a0\u3000\nаβ汉", max_size=24))
def test_what_hides_is_told_as_word_by_word(text):
    words = text.split()
    apart = any(
        all(len(word) == 1 and word.isascii() and word.isalpha() for word in words[at : at + 4])
        for at in range(len(words) - 3)
    )
    scripts = {"a": "latin", "B": "latin", "а": "cyrillic", "β": "greek"}
    mixed = any(len({scripts[char] for char in word if char in scripts}) > 1 for word in words)
    assert disguised(text) is (apart or mixed)


@given(st.text(max_size=400))
def test_any_text_yields_streams_whose_edges_fit_their_letters(text):
    for stream in normalise(text):
        assert len(stream.edges) == len(stream.letters) + 1
        assert stream.edges[0] == stream.edges[-1] == 1
        assert set(stream.edges) <= {0, 1}


def test_letters_of_other_scripts_are_counted():
    assert share_of_other_scripts("The train leaves at nine. 火车九点出发。") == 0.0
    assert share_of_other_scripts("สวัสดีตอนเช้า") == 1.0
    assert share_of_other_scripts("12 34 !?") == 0.0
