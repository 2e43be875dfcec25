"""Reads a text the way a listener hears it: tricks of writing are folded away before anything is matched.

A fraudster who may not type "send money" types "s e n d  m0ney" in Cyrillic look-alikes with zero-width spaces. All of
these sound the same once spoken, so they must read the same here. The output is a *stream*: the letters of the text
without any separator, and the places where a word may begin or end. Matching asks for a phrase's letters at such
places; so "mon ey", "mo-ney" and "m o n e y" are all "money", while "harmony" is not.

A second kind of stream is of sounds: Chinese characters in it are written as their pinyin, without tones. In it a word
typed in pinyin, half in pinyin, or with other characters of the same sound is the same word, as it is when spoken.

Steps, in order: NFKD, combining marks and format characters dropped (Unicode UAX 15, general categories Mn, Me, Cf),
case folded, look-alikes folded to Latin (after the idea of UTS 39, a small table of our own), Traditional Chinese
folded for the characters our packs use, digits standing for letters folded inside words, repeated letters collapsed.
The same folding is applied to a pack's phrases, so it need not be reversible; it only must not separate equals.
"""

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, groupby, islice, pairwise
from typing import Final

LONGEST_WORD: Final = 22
"""Longer Latin words than this are read as several words written together: a phrase may begin anywhere in them."""

SPELLED_RUN: Final = 3
"""This many single letters in a row are a word spelled out, in which digits may stand for letters."""

_CLAUSE_ENDS: Final = frozenset(".,;:!?\n()\u3002\u3001\u2014\u2013\u2026")
"""What ends a clause, after NFKD: full-width forms are plain by then."""

_HAN: Final = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]")
# A Chinese character, a run of other letters and digits, or the end of a clause; one character is looked at once.
_TOKEN: Final = re.compile(f"{_HAN.pattern}|[^\\W_{_HAN.pattern[1:-1]}]+|[{re.escape(''.join(sorted(_CLAUSE_ENDS)))}]")
_APOSTROPHES: Final = str.maketrans(dict.fromkeys("'\u2019\u02bc`", ""))
_DIGIT_LETTERS: Final = str.maketrans("01345789", "oieastbg")
_SYMBOL_LETTERS: Final = {"@": "a", "$": "s", "!": "i", "|": "i", "€": "e", "£": "l", "¥": "y"}

_SYMBOLS: Final = re.compile(f"[{re.escape(''.join(_SYMBOL_LETTERS))}]")

# Filler letters that draw nothing yet are letters to Unicode, so category Cf does not catch them.
_INVISIBLE: Final = frozenset("\u115f\u1160\u3164\uffa0\u17b4\u17b5")

_LOOKALIKES: Final[dict[str, str]] = {
    # Cyrillic
    **dict(zip("абвгдезикмнорстухцѕіјһԁԛԝьєґѵ", "abbrge3nkmhopctyxusijhdqwberv", strict=True)),
    # Greek
    **dict(zip("αβγεζηικνορστυχω", "abyeznikvopotuxw", strict=True)),
    # Latin letters that Unicode does not decompose
    **dict(zip("ıłøđħŧƒɑɡɩɪⅼǀɴʀʏʙʜʟɢᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜱɛ", "ilodhtfagiillnrybhlgacdejkmoptuvwzse", strict=True)),
    "æ": "ae",
    "œ": "oe",
    "ß": "ss",
    # Armenian and Cherokee letters seen in spoofed addresses
    **dict(zip("օսոհցզ", "ounhgq", strict=True)),
}
"""What is drawn like a Latin letter, and the letter. Lower case: folding happens after ``casefold``."""

_TRADITIONAL: Final[dict[str, str]] = dict(
    zip(
        "轉帳賬錢驗證碼匯銀傳發給媽爺兒孫醫車禍緊別訴誰們號帳戶賬警檢調關稅務詐騙總經飛機開會議購買儲貸賠償還幫麼電話個現萬點"
        "這嗎說動馬來過後對請綁綫線領導領主統選為學長師裡裏凍結務門圓塊時間問題項採辦無員聯繫係簡訊軟體臺國陸網連接丟撥",
        "转账账钱验证码汇银传发给妈爷儿孙医车祸紧别诉谁们号账户账警检调关税务诈骗总经飞机开会议购买储贷赔偿还帮么电话个现万点"
        "这吗说动马来过后对请绑线线领导领主统选为学长师里里冻结务门元块时间问题项采办无员联系系简讯软体台国陆网连接丢拨",
        strict=True,
    )
)
"""Traditional to Simplified, for the characters that the packs' phrases and their neighbours use; not a dictionary."""


_FLAGS: Final = (b"\0", b"\1")


@dataclass(frozen=True, slots=True)
class Stream:
    """One reading of a text.

    ``letters``: what remains, without separators. ``edges``: ``len(letters) + 1`` bytes, 1 where a phrase may begin or
    end: between words, and anywhere inside a word too long to be one word. ``sounded``: empty, or in a stream of sounds
    a byte for each letter, 1 where it stands for a Chinese character.
    """

    letters: str
    edges: bytes
    sounded: bytes = b""


@dataclass(frozen=True, slots=True)
class Words:
    """The words as written, for patterns: case, marks and look-alikes folded, one space between, digits kept.

    ``text`` joins them, and word ``i`` begins in it at ``starts[i]`` (the space before a word belongs to it). Word
    ``i`` takes the letters ``begins[i]`` to ``begins[i + 1]`` of the first stream, ``sounds[i]`` to ``sounds[i + 1]``
    of the stream of sounds. ``clauses``: the words that begin a clause: after a full stop, comma, colon and the like,
    or the very first.
    """

    text: str
    starts: tuple[int, ...]
    begins: tuple[int, ...]
    sounds: tuple[int, ...]
    clauses: tuple[int, ...]

    def word_at(self, offset: int) -> int:
        """The word that has the character at ``offset`` (0 to ``len(text) - 1``)."""
        return bisect_right(self.starts, offset) - 1


@dataclass(frozen=True, slots=True)
class Reading:
    """A text ready to be searched. ``sound``: only where it has Chinese characters. ``disguised``: see `disguised`.

    ``other_scripts``: see `share_of_other_scripts`.
    """

    streams: tuple[Stream, ...]
    sound: Stream | None
    words: Words
    disguised: bool
    other_scripts: float


def normalise(text: str) -> tuple[Stream, ...]:
    """The readings of ``text``: symbols taken as letters ("c@sh"), and as separators ("send@money"); usually equal.

    Never raises; the cost is linear in the length. The caller bounds the length (NFKD may make it 18 times longer).
    """
    folded = _fold(text)
    symbols = _with_symbols(folded)
    first = _stream(_walk(symbols)[0])
    if symbols == folded or (other := _stream(_walk(folded)[0])) == first:
        return (first,)
    return first, other


def read(text: str) -> Reading:
    """Everything that can be searched of a text. As `normalise`."""
    folded = _fold(text)
    symbols = _with_symbols(folded)
    words, clauses = _walk(symbols)
    plain = list(map(_plain, words))
    streams = [_joined(plain)]
    if symbols != folded and (other := _stream(_walk(folded)[0])) != streams[0]:
        streams.append(other)
    begins = tuple(accumulate(map(len, plain), initial=0))
    if not _HAN.search(symbols):
        shown, starts = _shown(words, b"")
        return Reading(
            tuple(streams), None, Words(shown, starts, begins, begins, clauses), disguised(text), _others(folded)
        )
    han = bytes(["\u3400" <= word <= "\u9fff" or is_han(word) for word in words])
    heard = [_sound(word) if one else letters for word, letters, one in zip(words, plain, han, strict=True)]
    sounds = tuple(accumulate(map(len, heard), initial=0))
    sounded = b"".join([_FLAGS[one] * len(letters) for one, letters in zip(han, heard, strict=True)])
    sound = _joined(heard)
    shown, starts = _shown(words, han)
    return Reading(
        tuple(streams),
        Stream(sound.letters, sound.edges, sounded),
        Words(shown, starts, begins, sounds, clauses),
        disguised(text),
        _others(folded),
    )


def disguised(text: str) -> bool:
    """Whether the writing hides something: letters of several scripts in one word, characters that draw nothing, or
    three letters and more of one word set apart."""
    plain = text.translate(_ENCLOSED)
    if plain != text or any(
        unicodedata.category(char) == "Cf" or char in _INVISIBLE for char in set(text) if not char.isascii()
    ):
        return True
    singles = 0
    for word in plain.split():
        if word.isascii():
            singles = singles + 1 if len(word) == 1 and word.isalpha() else 0
            if singles > SPELLED_RUN:
                return True
            continue
        singles = 0
        if len({_script(char) for char in set(word.casefold()) if char.isalpha()} - {"han"}) > 1:
            return True
    return False


def pinyin_of(char: str) -> str:
    """The first reading of a Chinese character without its tone, letters folded as everywhere here; "" if unknown."""
    from pypinyin import Style, pinyin

    found = pinyin(char, style=Style.NORMAL, errors="ignore")
    return _plain(found[0][0]) if found else ""


@lru_cache(maxsize=30_000)
def _script(char: str) -> str:
    if char.isascii():
        return "latin"
    if is_han(char):
        return "han"
    name = unicodedata.name(char, "")
    return name.split(" ")[0].lower()


@lru_cache(maxsize=30_000)
def _sound(char: str) -> str:
    return pinyin_of(char) or char


def _shown(words: list[str], han: bytes) -> tuple[str, tuple[int, ...]]:
    """The text of `Words`, and where its words start. ``han``: which are Chinese characters; empty if none is."""
    if not han:
        starts = accumulate((len(word) + 1 for word in words), initial=-1)
        return " ".join(words), (0, *islice(starts, 1, len(words))) if words else ()
    gaps = [0, *(not (one and other) for one, other in pairwise(han))]
    starts = accumulate((len(word) + gap for word, gap in zip(words, gaps, strict=True)), initial=0)
    text = "".join([" " + word if gap else word for word, gap in zip(words, gaps, strict=True)])
    return text, tuple(islice(starts, len(words)))


class _Folds(dict[int, str]):
    """What each character folds to, worked out once: `str.translate` asks for it. At most as many as Unicode has."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if unicodedata.category(char) in ("Mn", "Me", "Cf") or char in _INVISIBLE:
            folded = ""
        else:
            folded = _TRADITIONAL.get(char) or _LOOKALIKES.get(char, char)
        self[code] = folded
        return folded


_FOLDS: Final = _Folds()


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    # casefold may itself decompose (İ), so marks are dropped after it and not before.
    return unicodedata.normalize("NFKD", text.translate(_ENCLOSED)).casefold().translate(_FOLDS)


def _with_symbols(folded: str) -> str:
    """Symbols that stand for letters, where a letter follows: "c@sh" yes, "wait!" and "$500" no."""
    if not _SYMBOLS.search(folded):
        return folded
    chars = list(folded)
    for i in range(len(chars) - 2, -1, -1):  # from the end, so that "pa$$word" folds both
        letter = _SYMBOL_LETTERS.get(chars[i])
        if letter and chars[i + 1].isalpha():
            chars[i] = letter
    return "".join(chars)


def _stream(words: list[str]) -> Stream:
    return _joined([_plain(word) for word in words])


def _joined(plain: list[str]) -> Stream:
    letters = "".join(plain)
    if len(letters) == len(plain):  # Chinese alone
        return Stream(letters, b"\1" * (len(letters) + 1))
    edges = bytearray(len(letters) + 1)
    at = 0
    edges[0] = 1
    for word in plain:
        if len(word) > LONGEST_WORD:
            edges[at : at + len(word)] = b"\1" * len(word)
        at += len(word)
        edges[at] = 1
    return Stream(letters, bytes(edges))


def _walk(folded: str) -> tuple[list[str], tuple[int, ...]]:
    """The words, and the numbers of those that begin a clause.

    A word is a run of letters and digits; a Chinese character is a word by itself: its writing has no spaces to go by.
    An apostrophe belongs to its word: "don't" is "dont".
    """
    words: list[str] = []
    clauses: list[int] = []
    fresh = True
    for token in _TOKEN.findall(folded.translate(_APOSTROPHES)):
        if token in _CLAUSE_ENDS:
            fresh = True
            continue
        if fresh:
            clauses.append(len(words))
            fresh = False
        words.append(token)
    return _unspell(words), tuple(clauses)


def _unspell(words: list[str]) -> list[str]:
    """Folds digits to letters in runs of single characters: ["s","3","n","d"] is spelled, ["1","2","3"] is a number."""
    single = [at for at, word in enumerate(words) if len(word) == 1 and not "\u3400" <= word <= "\u9fff"]
    if len(single) < SPELLED_RUN:
        return words
    single = [at for at in single if not is_han(words[at])]  # the rare characters too
    out = list(words)
    for _, group in groupby(enumerate(single), lambda pair: pair[1] - pair[0]):  # numbers that follow one another
        run = [at for _, at in group]
        if len(run) >= SPELLED_RUN and sum(out[at].isalpha() for at in run) * 2 > len(run):
            for at in run:
                out[at] = out[at].translate(_DIGIT_LETTERS)
    return out


@lru_cache(maxsize=30_000)
def _plain(word: str) -> str:
    """Digits become letters, l reads as i (as 1, I and | do), repeated letters collapse. Numbers stay numbers."""
    if len(word) == 1 and is_han(word):
        return word
    if word.isdigit():
        return word
    out: list[str] = []
    for char in word.translate(_DIGIT_LETTERS).replace("l", "i"):
        if not out or out[-1] != char:
            out.append(char)
    return "".join(out)


def is_han(char: str) -> bool:
    """Whether ``char`` is one Chinese character (CJK unified ideographs and their extensions)."""
    return len(char) == 1 and ("\u3400" <= char <= "\u9fff" or "\U00020000" <= char <= "\U0003ffff")


def share_of_other_scripts(text: str) -> float:
    """Share (0..1) of the letters that are neither Latin, nor Chinese, nor drawn like Latin. 0 for no letters.

    A pack made for English and Chinese says nothing about a text in Thai; the policy must know that it is blind.
    """
    return _others(_fold(text))


def _others(folded: str) -> float:
    letters = other = 0
    for char, count in Counter(folded).items():
        if char.isalpha():
            letters += count
            other += 0 if char.isascii() or is_han(char) else count
    return other / letters if letters else 0.0


def _enclosed() -> dict[int, str]:
    """Letters in boxes and circles that NFKD leaves alone: negative circled, negative squared, regional indicators."""
    table: dict[int, str] = {}
    for first in (0x1F150, 0x1F170, 0x1F1E6):
        table |= {first + i: chr(ord("a") + i) for i in range(26)}
    return table


_ENCLOSED: Final = _enclosed()
