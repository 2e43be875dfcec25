import re

import pytest

from cloning.engine.text.openjtalk.accents import accentuate, phrase
from cloning.engine.text.openjtalk.dictionary import Morpheme
from cloning.engine.text.openjtalk.morae import KANA, LETTERS, MORAE
from cloning.engine.text.openjtalk.prosody import marked, pronounce
from cloning.engine.text.openjtalk.words import Word, line, words_of


def unknown(surface: str) -> Morpheme:
    return Morpheme(surface, 0, 0, 0, ("名詞", "一般", "*", "*", "*", "*", "*"))


def test_every_reading_has_phones() -> None:
    assert set(KANA.values()) - {"ー"} <= set(MORAE)
    for letter in LETTERS.values():
        assert marked([Word(pronunciation=letter.name)])


def test_an_entry_may_hold_several_words() -> None:
    word = Word()
    _, *feature = re.split(",", "四国山,名詞,固有名詞,一般,*,*,*,四:国:山,シ:コク:ヤマ,シ:コク:ヤマ,1/1:0/2:2/2,C1")
    more = word.load("四国山", feature)
    assert [(part.string, part.pronunciation, part.accent, part.morae, part.chain) for part in (word, *more)] == [
        ("四", "シ", 1, 1, -1),
        ("国", "コク", 0, 2, 0),
        ("山", "ヤマ", 2, 2, 0),
    ]


def test_unknown_signs_are_kana_letters_or_pauses() -> None:
    words = words_of([unknown("ヴォ"), unknown("ー"), unknown("漢"), unknown("Ａ")])
    assert [(word.pronunciation, word.morae, word.pos) for word in words] == [
        ("ヴォー", 2, "フィラー"),
        ("、", 0, "記号"),
        ("エー", 2, "フィラー"),
    ]


@pytest.mark.parametrize(
    ("before", "word", "joins"),
    [
        ("犬,名詞,一般,*,*,*,*,犬,イヌ,イヌ,2/2,C3", "が,助詞,格助詞,一般,*,*,*,が,ガ,ガ,0/1,*", 1),
        ("高い,形容詞,自立,*,*,*,基本形,高い,タカイ,タカイ,2/3,*", "山,名詞,一般,*,*,*,*,山,ヤマ,ヤマ,2/2,C3", 0),
        ("見,動詞,自立,*,*,一段,連用形,見る,ミ,ミ,1/1,*", "出す,動詞,非自立,*,*,五段,基本形,出す,ダス,ダス,1/2,*", 1),
        (
            "山田,名詞,固有名詞,人名,姓,*,*,山田,ヤマダ,ヤマダ,0/3,C1",
            "太郎,名詞,固有名詞,人名,名,*,*,*,タロー,タロー,1/3,C1",
            0,
        ),
    ],
)
def test_accent_phrases(before: str, word: str, joins: int) -> None:
    words = [line(before), line(word)]
    phrase(words)
    assert words[1].chain == joins


@pytest.mark.parametrize(
    ("rule", "accent"),
    [("F1", 2), ("F2", 2), ("F3@1", 4), ("F4@-1", 2), ("F5", 0), ("C1", 4), ("C2", 4), ("C3", 3), ("C4", 0), ("C5", 2)],
)
def test_accent_rules(rule: str, accent: int) -> None:
    top = Word(string="あ", pos="名詞", accent=2, morae=3)
    accentuate([top, Word(string="い", accent=1, morae=2, chain=1, rule=f"動詞%F5/名詞%{rule}")])
    assert top.accent == accent


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("箸", "h a ] sh i"),
        ("花", "h a [ n a"),
        ("日本語", "n i [ h o N g o"),
        (
            "２０２６年１０月１４日",
            "n i [ s e ] N # n i ] j u u # r o [ k u ] n e N # j u [ u g a ts u # j u ] u y o cl k a",
        ),
        ("二十四日間", "n i ] j u u # y o [ cl k a ] k a N"),
        ("三百六十五", "s a ] N by a k u # r o [ k u j u u # g o"),
        ("六本", "r o [ cl ] p o N"),
        ("一人", "h i [ t o ] r i"),
        ("どこへ行こうか", "d o ] k o e # i [ k o o ] k a"),
        ("ヴォウチャー", "v o [ u ] ch a a"),
        ("ーー", ""),
    ],
)
def test_pieces(text: str, said: str) -> None:
    assert " ".join(pronounce(text)) == said


def test_what_follows_a_pause_is_not_the_next_mora() -> None:
    words = [
        Word(string="あ", pronunciation="ア", morae=1),
        Word(pronunciation="、"),
        Word(pronunciation="イウ", morae=2),
    ]
    assert marked(words) == ["a", "_", "i", "[", "u"]
