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

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LONGEST_WORD: Final = 22
"""Longer Latin words than this are read as several words written together: a phrase may begin anywhere in them."""

SPELLED_RUN: Final = 3
"""This many single letters in a row are a word spelled out, in which digits may stand for letters."""

_CLAUSE_ENDS: Final = frozenset(".,;:!?\n()\u3002\u3001\u2014\u2013\u2026")
"""What ends a clause, after NFKD: full-width forms are plain by then."""

_DIGIT_LETTERS: Final = str.maketrans("01345789", "oieastbg")
_SYMBOL_LETTERS: Final = {"@": "a", "$": "s", "!": "i", "|": "i", "€": "e", "£": "l", "¥": "y"}

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

    ``text`` joins them; ``word_at`` gives for each of its characters the word it belongs to. Word ``i`` takes the
    letters ``begins[i]`` to ``begins[i + 1]`` of the first stream, ``sounds[i]`` to ``sounds[i + 1]`` of the stream of
    sounds. ``clauses``: the words that begin a clause: after a full stop, comma, colon and the like, or the very first.
    """

    text: str
    word_at: tuple[int, ...]
    begins: tuple[int, ...]
    sounds: tuple[int, ...]
    clauses: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A text ready to be searched. ``sound``: only where it has Chinese characters. ``disguised``: see `disguised`."""

    streams: tuple[Stream, ...]
    sound: Stream | None
    words: Words
    disguised: bool


def normalise(text: str) -> tuple[Stream, ...]:
    """The readings of ``text``: symbols taken as letters ("c@sh"), and as separators ("send@money"); usually equal.

    Never raises; the cost is linear in the length. The caller bounds the length (NFKD may make it 18 times longer).
    """
    folded = _fold(text)
    readings = (_stream(_split(_with_symbols(folded))), _stream(_split(folded)))
    return readings[:1] if readings[0] == readings[1] else readings


def read(text: str) -> Reading:
    """Everything that can be searched of a text. As `normalise`."""
    folded = _fold(text)
    symbols = _with_symbols(folded)
    split = _split(symbols)
    streams = [_stream(split)]
    if symbols != folded and (other := _stream(_split(folded))) != streams[0]:
        streams.append(other)
    sound = _sounds(split) if any(is_han(word) for word in split) else None
    return Reading(tuple(streams), sound, _shown(split, _clauses(symbols)), disguised(text))


def disguised(text: str) -> bool:
    """Whether the writing hides something: letters of several scripts in one word, characters that draw nothing, or
    three letters and more of one word set apart."""
    plain = text.translate(_ENCLOSED)
    if plain != text or any(
        unicodedata.category(char) == "Cf" or char in _INVISIBLE for char in text if not char.isascii()
    ):
        return True
    for word in plain.casefold().split():
        scripts = {_script(char) for char in word if char.isalpha()}
        if len(scripts - {"han"}) > 1:
            return True
    singles = 0
    for word in plain.split():
        singles = singles + 1 if len(word) == 1 and word.isascii() and word.isalpha() else 0
        if singles > SPELLED_RUN:
            return True
    return False


def pinyin_of(char: str) -> str:
    """The first reading of a Chinese character without its tone, letters folded as everywhere here; "" if unknown."""
    if char not in _PINYIN:
        from pypinyin import Style, pinyin

        found = pinyin(char, style=Style.NORMAL, errors="ignore")
        _PINYIN[char] = _plain(found[0][0]) if found else ""
    return _PINYIN[char]


_PINYIN: Final[dict[str, str]] = {}
"""Grows to the characters that were seen: at most as many as there are."""


def _script(char: str) -> str:
    if char.isascii():
        return "latin"
    if is_han(char):
        return "han"
    name = unicodedata.name(char, "")
    return name.split(" ")[0].lower()


def _sounds(split: list[str]) -> Stream:
    letters: list[str] = []
    edges = bytearray([1])
    sounded = bytearray()
    for word in split:
        han = is_han(word)
        plain = (pinyin_of(word) or word) if han else _plain(word)
        letters.append(plain)
        inner = 1 if len(plain) > LONGEST_WORD else 0
        edges.extend([inner] * (len(plain) - 1))
        edges.append(1)
        sounded.extend([1 if han else 0] * len(plain))
    return Stream("".join(letters), bytes(edges), bytes(sounded))


def _shown(split: list[str], clauses: tuple[int, ...]) -> Words:
    text: list[str] = []
    word_at: list[int] = []
    begins, sounds = [0], [0]
    han = True
    for number, word in enumerate(split):
        if text and not (han and is_han(word)):
            text.append(" ")
            word_at.append(number)
        han = is_han(word)
        text.append(word)
        word_at.extend([number] * len(word))
        plain = _plain(word)
        begins.append(begins[-1] + len(plain))
        sounds.append(sounds[-1] + len((pinyin_of(word) or word) if han else plain))
    return Words("".join(text), tuple(word_at), tuple(begins), tuple(sounds), clauses)


def _fold(text: str) -> str:
    out: list[str] = []
    for char in unicodedata.normalize("NFKD", text.translate(_ENCLOSED)).casefold():
        # casefold may itself decompose (İ), so marks are dropped here and not before.
        if unicodedata.category(char) in ("Mn", "Me", "Cf") or char in _INVISIBLE:
            continue
        out.append(_TRADITIONAL.get(char) or _LOOKALIKES.get(char, char))
    return "".join(out)


def _with_symbols(folded: str) -> str:
    """Symbols that stand for letters, where a letter follows: "c@sh" yes, "wait!" and "$500" no."""
    chars = list(folded)
    for i in range(len(chars) - 2, -1, -1):  # from the end, so that "pa$$word" folds both
        letter = _SYMBOL_LETTERS.get(chars[i])
        if letter and chars[i + 1].isalpha():
            chars[i] = letter
    return "".join(chars)


def _split(folded: str) -> list[str]:
    return _unspell(_words(folded))


def _stream(words: list[str]) -> Stream:
    letters: list[str] = []
    edges = bytearray([1])
    for word in words:
        plain = _plain(word)
        letters.append(plain)
        inner = 1 if len(plain) > LONGEST_WORD else 0
        edges.extend([inner] * (len(plain) - 1))
        edges.append(1)
    return Stream("".join(letters), bytes(edges))


def _words(folded: str) -> list[str]:
    """Runs of letters and digits. A Chinese character is a word by itself: its writing has no spaces to go by."""
    return [word for word, _ in _walk(folded)]


def _clauses(folded: str) -> tuple[int, ...]:
    """Which of the words begin a clause."""
    return tuple(number for number, (_, begins) in enumerate(_walk(folded)) if begins)


def _walk(folded: str) -> Iterator[tuple[str, bool]]:
    """The words, and whether a clause begins with each."""
    run: list[str] = []
    fresh = True
    for char in folded:
        if char.isalnum() and not is_han(char):
            run.append(char)
            continue
        # An apostrophe belongs to its word: "don't" is "dont".
        if char in "'’ʼ`" and run:
            continue
        if run:
            yield "".join(run), fresh
            run, fresh = [], False
        if is_han(char):
            yield char, fresh
            fresh = False
        elif char in _CLAUSE_ENDS:
            fresh = True
    if run:
        yield "".join(run), fresh


def _unspell(words: list[str]) -> list[str]:
    """Folds digits to letters in runs of single characters: ["s","3","n","d"] is spelled, ["1","2","3"] is a number."""
    out = list(words)
    start = 0
    while start < len(out):
        stop = start
        while stop < len(out) and len(out[stop]) == 1 and not is_han(out[stop]):
            stop += 1
        run = out[start:stop]
        if len(run) >= SPELLED_RUN and sum(char.isalpha() for char in run) * 2 > len(run):
            out[start:stop] = [char.translate(_DIGIT_LETTERS) for char in run]
        start = stop + 1
    return out


def _plain(word: str) -> str:
    """Digits become letters, l reads as i (as 1, I and | do), repeated letters collapse. Numbers stay numbers."""
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
    letters = [char for char in _fold(text) if char.isalpha()]
    if not letters:
        return 0.0
    return sum(not (char.isascii() or is_han(char)) for char in letters) / len(letters)


def _enclosed() -> dict[int, str]:
    """Letters in boxes and circles that NFKD leaves alone: negative circled, negative squared, regional indicators."""
    table: dict[int, str] = {}
    for first in (0x1F150, 0x1F170, 0x1F1E6):
        table |= {first + i: chr(ord("a") + i) for i in range(26)}
    return table


_ENCLOSED: Final = _enclosed()
