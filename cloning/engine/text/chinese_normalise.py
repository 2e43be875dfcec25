"""Chinese text to simplified characters and the marks that models know. Mandarin and Cantonese share it.

The steps are upstream's (`zh_normalization/text_normlization.py`, from PaddleSpeech): drop brackets and spaces, cut at
the marks, simplify, write figures out, name Greek letters and signs.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from importlib import resources

from cloning.engine.text.mandarin_numbers import cardinal, number
from cloning.engine.text.mandarin_rules import verbalise

#: A sentence ends after one of these, with its closing quote.
_END = re.compile("([：、，；。？！,;?!][”’]?)")
_BRACKETS = "《》【】<>{}()（）#&@“”^_|\\"
_UPSTREAM_DROPS = dict.fromkeys(map(ord, _BRACKETS + "— "))
_OUR_DROPS = dict.fromkeys(map(ord, _BRACKETS + " \u3000"))
#: Full-width letters and figures to their ASCII forms.
_NARROW = {ord(c) + 0xFEE0: c for c in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}
_NAMES = str.maketrans(
    {
        **dict(zip("①②③④⑤⑥⑦⑧⑨⑩", "一二三四五六七八九十", strict=True)),
        "/": "每", "+": "加", "-": "减", "×": "乘", "÷": "除", "=": "等",
        "α": "阿尔法", "β": "贝塔", "γ": "伽玛", "Γ": "伽玛", "δ": "德尔塔", "Δ": "德尔塔", "ε": "艾普西龙",
        "ζ": "捷塔", "η": "依塔", "θ": "西塔", "Θ": "西塔", "ι": "艾欧塔", "κ": "喀帕", "λ": "拉姆达", "Λ": "拉姆达",
        "μ": "缪", "ν": "拗", "ξ": "克西", "Ξ": "克西", "ο": "欧米克伦", "π": "派", "Π": "派", "ρ": "肉",
        "ς": "西格玛", "Σ": "西格玛", "σ": "西格玛", "τ": "套", "υ": "宇普西龙", "φ": "服艾", "Φ": "服艾",
        "χ": "器", "ψ": "普赛", "Ψ": "普赛", "ω": "欧米伽", "Ω": "欧米伽",
    }
)  # fmt: skip
_OUR_NAMES = {**_NAMES, ord("="): "等于"}
_OUR_NARROW = {
    **_NARROW, ord("％"): "%", ord("－"): "-", ord("＋"): "+", ord("＝"): "=",
    **{ord(unit): unicodedata.normalize("NFKC", unit) for unit in "㎡㎢㎥㎝㎜㎞㎏㎎㎖㎐㎑㎒㎓"},
}  # fmt: skip
#: Between figures these are comparisons and products, not brackets and stars.
_SIGNS = {"<": "小于", ">": "大于", "≤": "小于等于", "≥": "大于等于", "*": "×"}
_SIGN = re.compile(r"(?<=[0-9]) ?([<>≤≥*]) ?(?=-?[0-9])")
_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9]|,[0-9])")
#: Beside these a number with commas is left in figures, for their own rules.
_MONEY_BEFORE, _FIGURES_AFTER = "$€£¥￥₹₩₽฿₫₱-", "%~～-"
#: Between Latin words a space is kept; it means nothing between characters.
_LATIN_SPACE = re.compile(r"(?<=[A-Za-z'’]) +(?=[0-9A-Za-z])|(?<=[0-9]) +(?=[A-Za-z])")
_KEPT_SPACE = "\x1f"
_SITE = re.compile(
    r"(?<![A-Za-z0-9-])(?:https?://)?((?:[A-Za-z0-9-]{1,63}\.){1,4}(?:com|cn|org|net|io|gov|edu|app|dev)\b(?:/[A-Za-z0-9_./?=&%-]*)?)"
)
#: What would be lost with the brackets and signs that are dropped.
_KEPT_SIGNS = (
    (re.compile(r"(?<=[A-Za-z0-9])@(?=[A-Za-z0-9])"), " at "),
    (re.compile(r"(?<=[A-Za-z]) ?& ?(?=[A-Za-z])"), " and "),
    (re.compile(r"(?<![A-Za-z])([A-G])#(?![A-Za-z0-9])"), r"\1 sharp "),
)
_VULGAR = re.compile("(?:(?<![0-9])([0-9]+) ?)?([¼-¾⅐-⅞])")


@functools.lru_cache(maxsize=1)
def _simplified() -> dict[int, str]:
    text = resources.files("cloning.engine.text").joinpath("data/chinese_traditional.txt").read_text("utf-8")
    traditional, simplified = text.splitlines()
    return dict(zip(map(ord, traditional), simplified, strict=True))


def simplify(text: str) -> str:
    """Traditional characters to simplified ones, one by one (PaddleSpeech's table, as upstream): 鐘 -> 钟."""
    return text.translate(_simplified())


def sentences(text: str, *, compat: bool = False) -> list[str]:
    """Text to its sentences with figures and signs written out. Their marks are those of the text, not yet the models'.

    `compat`: with upstream's misreadings and without spaces; else the spaces between Latin words stay.
    """
    if compat:
        text = text.translate(_UPSTREAM_DROPS)
    else:
        text = _VULGAR.sub(_vulgar, _SITE.sub(_site, text.replace(_KEPT_SPACE, "").translate(_OUR_NARROW)))
        for pattern, reading in _KEPT_SIGNS:
            text = pattern.sub(reading, text)
        text = _SIGN.sub(lambda m: _SIGNS[m[1]], text)
        text = _LATIN_SPACE.sub(_KEPT_SPACE, text).translate(_OUR_DROPS)
        text = _THOUSANDS.sub(_thousands, text.replace(_KEPT_SPACE, " "))
    text = _END.sub("\\1\n", text).strip()
    return [_sentence(sentence.strip(), compat=compat) for sentence in re.split(r"\n+", text)]


def _site(match: re.Match[str]) -> str:
    """A web address as it is said: www点example点com斜杠a."""
    return match[1].rstrip("/.").replace(".", "点").replace("/", "斜杠")


def _vulgar(match: re.Match[str]) -> str:
    """3½ -> 三又二分之一."""
    over, _, under = unicodedata.normalize("NFKC", match[2]).partition("\N{FRACTION SLASH}")
    whole = f"{cardinal(match[1])}又" if match[1] else ""
    return f"{whole}{cardinal(under)}分之{cardinal(over)}"


def _thousands(match: re.Match[str]) -> str:
    """1,000,000 is an amount, where 1000000 may be a telephone number."""
    figures, text = match[0].replace(",", ""), match.string
    before, after = text[: match.start()][-1:], text[match.end() :][:1]
    beside = (before and before in _MONEY_BEFORE) or (after and after in _FIGURES_AFTER)
    return figures if beside else number(figures)


def _sentence(sentence: str, *, compat: bool) -> str:
    sentence = verbalise(simplify(sentence).translate(_NARROW), compat=compat)
    if compat:
        return sentence.translate(_NAMES).translate(_UPSTREAM_DROPS)
    return sentence.translate(_OUR_NAMES)
