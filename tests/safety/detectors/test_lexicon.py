"""Lists of phrases and regular expressions, at a cost that no text can blow up."""

import time

import pytest

from safety.detectors.lexicon import Lexicon, PhraseTooShort, Regex, RegexRefused
from safety.detectors.normalise import normalise, read


def found(lists, text):
    return {name for stream in normalise(text) for name in Lexicon(lists).find(stream)}


def test_each_list_is_told_apart_and_a_phrase_may_be_in_several():
    lists = {"kin": ["grandma", "奶奶"], "money": ["money", "钱"], "both": ["money", "grandma"]}
    assert found(lists, "Grandma, the garden.") == {"kin", "both"}
    assert found(lists, "奶奶, send money") == {"kin", "money", "both"}
    assert found(lists, "Nothing here") == set()


def test_a_star_lets_a_word_go_on():
    assert found({"it": ["transfer*"]}, "Transferring now") == {"it"}
    assert found({"it": ["transfer"]}, "Transferring now") == set()
    assert found({"it": ["transfer*"]}, "no retransfer") == set()


def test_hits_say_where():
    (stream,) = normalise("pay now, pay later")
    assert list(Lexicon({"it": ["pay"]}).find(stream)["it"]) == [(0, 3), (6, 9)]


def test_every_hit_is_kept():
    (stream,) = normalise("pay " * 5_000)
    assert len(Lexicon({"it": ["pay"]}).find(stream)["it"]) == 5_000
    assert len(Regex.of("pay").find(read("pay " * 5_000).words)) == 5_000


@pytest.mark.parametrize("phrase", ["a", " ", "\u200b", "!", "aa", "*"])
def test_a_phrase_that_normalises_to_almost_nothing_is_refused(phrase):
    with pytest.raises(PhraseTooShort):
        Lexicon({"it": [phrase]})


def test_one_chinese_character_is_a_phrase():
    assert found({"it": ["妈"]}, "妈，我到了") == {"it"}


@pytest.mark.parametrize("text", ["a" * 20_000, "ab " * 6_000, "一千万" * 6_000, "\ufdfa" * 20_000, "a\u0336" * 10_000])
def test_hostile_texts_cost_little(text):
    lexicon = Lexicon({"one": ["ab", "aa b", "千万"], "two": ["ba", "一千"], "three": ["a b a"]})
    begin = time.process_time()
    reading = read(text)
    lexicon.read(reading)
    assert time.process_time() - begin < 4.0


def test_a_pattern_names_the_words_it_matches():
    words = read("Please pay 500 dollars, or 20!").words
    assert Regex.of(r"\b[0-9]{3,}\b( dollars)?").find(words).tolist() == [[2, 4]]
    words = read("请付 500 元，或 二十！").words
    assert Regex.of("[0-9]+ 元|二十").find(words).tolist() == [[2, 4], [5, 7]]


@pytest.mark.parametrize("written", ["(", "(?=b)a", r"(a)\1", "a{5000}", "((a{100}){100}){100}", "x" * 501, "", "a*"])
def test_what_the_bounded_engine_does_not_take_is_no_pattern(written):
    with pytest.raises(RegexRefused):
        Regex.of(written)


def test_a_pattern_that_explodes_elsewhere_takes_linear_time_here():
    pattern = Regex.of(r"(a+)+(b+)+c")
    begin = time.process_time()
    assert pattern.find(read("a" * 5_000 + "b" * 5_000).words).tolist() == []
    assert time.process_time() - begin < 2.0
