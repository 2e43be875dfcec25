"""Writing tricks fold away; ordinary words stay apart."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.detectors.normalise import normalise, share_of_other_scripts
from safety.detectors.patterns import Pattern

SEND_MONEY = Pattern.of([["send money"]], within=None)


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
    assert SEND_MONEY.matches(normalise(written))


@pytest.mark.parametrize(
    "written", ["send harmony", "resend money order", "money, send", "ascend money", "s 3 n d", ""]
)
def test_other_words_do_not_match(written):
    assert not SEND_MONEY.matches(normalise(written))


def test_numbers_stay_numbers():
    assert Pattern.of([["110"]], within=None).matches(normalise("call 110 now"))
    assert not Pattern.of([["110"]], within=None).matches(normalise("call 1100 now"))
    assert not Pattern.of([["iio"]], within=None).matches(normalise("call 110 now"))


def test_traditional_and_spaced_chinese_reads_as_simplified():
    transfer = Pattern.of([["转账"]], within=None)
    for written in ("轉賬", "轉帳", "转 账", "转*账", "转\u200b账"):
        assert transfer.matches(normalise(written)), written


def test_apostrophes_belong_to_their_word():
    assert Pattern.of([["dont tell"]], within=None).matches(normalise("Don’t tell"))


WORDS = st.text(alphabet=st.characters(codec="ascii", categories=["Ll", "Lu"]), min_size=2, max_size=12)


@given(WORDS.filter(lambda word: len(set(word.casefold().replace("l", "i"))) > 1))
def test_a_word_written_with_hidden_and_decorated_characters_still_reads_as_itself(word):
    pattern = Pattern.of([[word]], within=None)
    hidden = "\u200b".join(word)
    wide = "".join(chr(ord(char) + 0xFEE0) for char in word)
    struck = "".join(char + "\u0336" for char in word)
    for written in (word, word.upper(), hidden, wide, struck, unicodedata.normalize("NFD", word)):
        assert pattern.matches(normalise(f"a tale, {written}; the end"))


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
