"""Mandarin: characters to initials and finals with tones, as the official models read them.

Words by jieba, readings and tone sandhi by pypinyin. A syllable is two symbols: its initial (for syllables without one
a doubled capital such as `AA`) and its final with the tone 1..5. Latin words are read as English. Honest limits:
polyphonic characters by dictionary only, no erhua, plain number reading.
"""

from __future__ import annotations

import functools
import re
import warnings

from cloning.engine.errors import TextError
from cloning.engine.text import english
from cloning.engine.text.mandarin_numbers import write_out
from cloning.engine.text.symbols import INDEX, UNKNOWN

_MARKS = str.maketrans(
    {
        "，": ",", "、": ",", "；": ",", ";": ",", "：": ",", ":": ",", "。": ".", "！": "!", "？": "?",
        "～": "…", "~": "…",
        "—": ",", "–": ",", "“": None, "”": None, "‘": None, "《": None, "》": None, "「": None, "」": None,
        '"': None, "（": ",", "）": ",", "(": ",", ")": ",", "【": ",", "】": ",", "·": ",",
        "\n": ".", "\r": ".", "’": "'",
    }
)  # fmt: skip
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f〇"
_TOKEN = re.compile(rf"[{_HAN}]+|[A-Za-z]+(?:'[A-Za-z]+)*|[.,!?…]")
#: A syllable by rule: initial, medial and final letters, tone.
_SYLLABLE = re.compile(r"(zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?([a-zê]+)([1-5])")
#: Finals that sound different after y.
_AFTER_Y = {"u": "v", "uan": "van", "ue": "ve", "un": "vn", "e": "E", "an": "En"}
#: Interjections without a vowel are said as a short "en".
_HUMMED = {"n", "ng", "m", "hm", "hng"}


@functools.lru_cache(maxsize=1)
def _tokenizer() -> object:
    with warnings.catch_warnings():
        # Old escapes in its sources and its use of pkg_resources warn on Python 3.11; neither concerns us.
        warnings.simplefilter("ignore")
        import jieba

    class Tokenizer(jieba.Tokenizer):  # type: ignore[misc]
        """jieba without its cache: that is read from a guessable name in the shared temporary folder."""

        def initialize(self, dictionary: str | None = None) -> None:
            with self.lock:
                if not self.initialized:  # type: ignore[has-type]
                    self.FREQ, self.total = self.gen_pfdict(self.get_dict_file())
                    self.initialized = True

    return Tokenizer()


def read(text: str) -> tuple[str, list[tuple[str, list[str]]]]:
    """Checked text to (text as it is read, [(character, word or mark, symbols)]).

    Raises TextError `unsupported_characters` for letters that are neither Han nor Latin.
    """
    text = write_out(text.replace("嗯", "恩").replace("呣", "母")).translate(_MARKS)
    words: list[tuple[str, list[str]]] = []
    for character in text:
        if character.isalpha() and not re.match(rf"[{_HAN}A-Za-z]", character):
            raise TextError("unsupported_characters", f"{character!r} cannot be read as Mandarin")
    for token in _TOKEN.findall(text.replace("...", "…")):
        if token[0] in ".,!?…":
            if not words or words[-1][0] not in ".,!?…":
                words.append((token, [token]))
        elif token[0].isascii():
            words.append((token, english.pronounce(token)))
        else:
            words += _han(token)
    return "".join(word + " " * word.isascii() * word.isalpha() for word, _ in words).strip(), words


def _han(run: str) -> list[tuple[str, list[str]]]:
    from pypinyin import Style, lazy_pinyin

    pieces = list(_tokenizer().cut(run))  # type: ignore[attr-defined]
    syllables = lazy_pinyin(pieces, style=Style.TONE3, neutral_tone_with_five=True, tone_sandhi=True, v_to_u=False)
    if len(syllables) != len(run):
        # pypinyin returns unknown characters joined; read one by one instead, so that places stay right.
        syllables = [lazy_pinyin(c, style=Style.TONE3, neutral_tone_with_five=True)[0] for c in run]
    return [(character, initial_final(syllable)) for character, syllable in zip(run, syllables, strict=True)]


def initial_final(syllable: str) -> list[str]:
    """Pinyin with a tone digit to two symbols: "zhong1" -> zh ong1, "yuan2" -> y van2, "an4" -> AA an4, "si1" -> s i01.

    A syllable outside the table gives [UNK]: it is kept as a sound nobody knows, not dropped.
    """
    match = _SYLLABLE.fullmatch(syllable.replace("ü", "v"))
    if match is None or match[1] is None:
        if match and match[2] in _HUMMED:
            return ["EE", f"en{match[3]}"]
        return _checked(match[2][0].upper() * 2, match[2].replace("ê", "e"), match[3]) if match else [UNKNOWN]
    initial, final, tone = match.groups()
    if initial + final in _HUMMED:
        return ["EE", f"en{tone}"]
    if initial in ("z", "c", "s") and final == "i":
        final = "i0"
    elif initial in ("zh", "ch", "sh", "r") and final == "i":
        final = "ir"
    elif initial == "y":
        final = _AFTER_Y.get(final, final)
    elif initial in ("j", "q", "x") and final.startswith("u"):
        final = "v" + final[1:]
    elif initial in ("l", "n") and final == "ue":
        final = "ve"
    return _checked(initial, final, tone)


def _checked(initial: str, final: str, tone: str) -> list[str]:
    pair = [initial, final + tone]
    return pair if all(symbol in INDEX for symbol in pair) else [UNKNOWN]
