"""What single characters and words fold to: look-alikes, marks, Traditional characters, digits and symbols as letters.

The tables are small and our own; `safety.detectors.normalise` says in which order they are used.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

DIGIT_LETTERS: Final = str.maketrans("01345789", "oieastbg")
_SYMBOL_LETTERS: Final = {"@": "a", "$": "s", "!": "i", "|": "i", "€": "e", "£": "l", "¥": "y"}

_SYMBOLS: Final = re.compile(f"[{re.escape(''.join(_SYMBOL_LETTERS))}]")

# Filler letters that draw nothing yet are letters to Unicode, so category Cf does not catch them.
INVISIBLE: Final = frozenset("\u115f\u1160\u3164\uffa0\u17b4\u17b5")

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

_ALPHABETS: Final = (0x1F150, 0x1F170, 0x1F1E6)
"""Where the letters in boxes and circles begin that NFKD leaves alone: negative circled and squared, regional."""
_ENCLOSED: Final = {first + i: chr(ord("a") + i) for first in _ALPHABETS for i in range(26)}
_BOXED: Final = re.compile("[" + "".join(f"{chr(first)}-{chr(first + 25)}" for first in _ALPHABETS) + "]")


def is_han(char: str) -> bool:
    """Whether ``char`` is one Chinese character (CJK unified ideographs and their extensions)."""
    return len(char) == 1 and ("\u3400" <= char <= "\u9fff" or "\U00020000" <= char <= "\U0003ffff")


def opened(text: str) -> str:
    """The text with letters in boxes and circles as the letters."""
    return text.translate(_ENCLOSED) if _BOXED.search(text) else text


class _Folds(dict[int, str]):
    """What each character folds to, worked out once: `str.translate` asks for it. At most as many as Unicode has."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if unicodedata.category(char) in ("Mn", "Me", "Cf") or char in INVISIBLE:
            folded = ""
        else:
            folded = _TRADITIONAL.get(char) or _LOOKALIKES.get(char, char)
        self[code] = folded
        return folded


_FOLDS: Final = _Folds()


def fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    # casefold may itself decompose (İ), so marks are dropped after it and not before.
    return unicodedata.normalize("NFKD", opened(text)).casefold().translate(_FOLDS)


def with_symbols(folded: str) -> str:
    """Symbols that stand for letters, where a letter follows: "c@sh" yes, "wait!" and "$500" no."""
    if not _SYMBOLS.search(folded):
        return folded
    chars = list(folded)
    for i in range(len(chars) - 2, -1, -1):  # from the end, so that "pa$$word" folds both
        letter = _SYMBOL_LETTERS.get(chars[i])
        if letter and chars[i + 1].isalpha():
            chars[i] = letter
    return "".join(chars)


@lru_cache(maxsize=30_000)
def plain_word(word: str) -> str:
    """Digits become letters, l reads as i (as 1, I and | do), repeated letters collapse. Numbers stay numbers."""
    if len(word) == 1 and is_han(word):
        return word
    if word.isdigit():
        return word
    out: list[str] = []
    for char in word.translate(DIGIT_LETTERS).replace("l", "i"):
        if not out or out[-1] != char:
            out.append(char)
    return "".join(out)
