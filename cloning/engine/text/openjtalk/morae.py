"""Kana, letters and the phones of every mora (Open JTalk's njd_set_pronunciation and jpcommon tables)."""

from __future__ import annotations

from typing import NamedTuple

_ROWS = """
k カ キ ク ケ コ|g ガ ギ グ ゲ ゴ|s サ スィ ス セ ソ|sh シャ シ シュ シェ ショ
z ザ ズィ ズ ゼ ゾ|j ジャ ジ ジュ ジェ ジョ|t タ ティ トゥ テ ト|ch チャ チ チュ チェ チョ
ts ツァ ツィ ツ ツェ ツォ|d ダ ディ ドゥ デ ド|n ナ ニ ヌ ネ ノ|h ハ ヒ - ヘ ホ
f ファ フィ フ フェ フォ|b バ ビ ブ ベ ボ|p パ ピ プ ペ ポ|m マ ミ ム メ モ
y ヤ - ユ イェ ヨ|r ラ リ ル レ ロ|w ワ ウィ - ウェ ウォ|v ヴァ ヴィ ヴ ヴェ ヴォ
ky キャ - キュ キェ キョ|gy ギャ - ギュ ギェ ギョ|ny ニャ - ニュ ニェ ニョ|hy ヒャ - ヒュ ヒェ ヒョ
by ビャ - ビュ ビェ ビョ|py ピャ - ピュ ピェ ピョ|my ミャ - ミュ ミェ ミョ|ry リャ - リュ リェ リョ
ty テャ - テュ - テョ|dy デャ - デュ - デョ
"""
_MORE = {
    **dict.fromkeys("アァ", ("a",)),
    **dict.fromkeys("イィヰ", ("i",)),
    **dict.fromkeys("ウゥ", ("u",)),
    **dict.fromkeys("エェヱ", ("e",)),
    **dict.fromkeys("オォヲ", ("o",)),
    "ン": ("N",),
    "ッ": ("cl",),
    "ヂ": ("j", "i"),
    "ヅ": ("z", "u"),
    "ャ": ("y", "a"),
    "ュ": ("y", "u"),
    "ョ": ("y", "o"),
    "ヮ": ("w", "a"),
    "ヶ": ("k", "e"),
    "クヮ": ("kw", "a"),
    "グヮ": ("gw", "a"),
    "ヴャ": ("by", "a"),
    "ヴュ": ("by", "u"),
    "ヴョ": ("by", "o"),
}


def _morae() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = dict(_MORE)
    for row in _ROWS.replace("\n", "|").split("|"):
        consonant, *kana = row.split() or ("",)
        table.update({mora: (consonant, vowel) for mora, vowel in zip(kana, "aiueo", strict=False) if mora != "-"})
    return table


#: Katakana mora -> its phones.
MORAE = _morae()
#: In pronunciations of the dictionary only; a text's own are not read as written.
_NOT_READ = ("ヮ", "ヶ", "クヮ", "グヮ")


def _kana() -> dict[str, str]:
    read = {mora: mora for mora in MORAE if mora not in _NOT_READ}
    hiragana = {"".join(chr(ord(sign) - 0x60) for sign in mora): mora for mora in read}
    return read | hiragana | {"ー": "ー"}


#: Kana as a text may write them -> katakana.
KANA = _kana()


class Letter(NamedTuple):
    """A Latin letter's name in katakana and the number of morae that Open JTalk counts for it."""

    name: str
    morae: int


_NAMES = [
    *("エー", "ビー", "シー", "ディー", "イー", "エフ", "ジー", "エイチ", "アイ", "ジェー", "ケー", "エル", "エム"),
    *("エヌ", "オー", "ピー", "キュー", "アール", "エス", "ティー", "ユー", "ブイ", "ダブリュー", "エックス", "ワイ"),
    "ズィー",
]
_COUNTS = {"ダブリュー": 4, "エックス": 4, "エイチ": 3, "アール": 3}
#: Full-width letters of both cases.
LETTERS = {
    chr(first + place): Letter(name, _COUNTS.get(name, 2))
    for first in (0xFF21, 0xFF41)
    for place, name in enumerate(_NAMES)
}
