"""Written forms in Mandarin text to the characters that are spoken: dates, times, quantities, arithmetic, telephones.

An ordered list of rules, each a pattern and its reading; a rule sees what earlier ones left. Order and patterns are
upstream's (`zh_normalization`, from PaddleSpeech). Rules marked `UPSTREAM` keep a misreading of upstream and run only
when asked for; rules marked `OURS` repair one and run only otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from cloning.engine.text.mandarin_numbers import cardinal, number, one_by_one

Match = re.Match[str]


class Use(Enum):
    """When a rule runs."""

    ALWAYS = "always"
    UPSTREAM = "upstream"
    OURS = "ours"


@dataclass(frozen=True)
class _Rule:
    pattern: re.Pattern[str]
    reading: Callable[[Match], str]
    use: Use = Use.ALWAYS


#: A whole number or one with a fraction.
_N = r"[0-9]+(?:\.[0-9]+)?"
_HOUR, _MINUTE = r"([01]?[0-9]|2[0-3])", r":([0-5][0-9])"
_CLOCK = rf"{_HOUR}{_MINUTE}(?:{_MINUTE})?"
_POWERS = "⁰¹²³⁴⁵⁶⁷⁸⁹ˣʸⁿ"
_TERM = rf"(?:-?{_N}[{_POWERS}]*|\.[0-9]+[{_POWERS}]*|[A-Za-z][{_POWERS}]*)"
_OPERATORS = {"+": "加", "-": "减", "×": "乘", "÷": "除", "=": "等于"}
_RANGE_UNITS = r"%|°C|℃|度|摄氏度|cm2|cm²|cm3|cm³|cm|db|ds|kg|km|m2|m²|m³|m3|ml|m|mm|s"
#: Measure words: after one of them a bare number is a quantity, and two is 两.
_MEASURES = (
    "[处台架枚趟幅平方堵间床株批项例列篇栋注亩封艘把目套段人所朵匹张座回场尾条个首阙阵网炮顶丘棵只支袭辆挑担颗壳窠"
    "曲墙群腔砣客贯扎捆刀令打手罗坡山岭江溪钟队单双对出口头脚板跳枝件贴针线管名位身堂课本页家户层丝毫厘分钱两斤铢石"
    "钧锱忽寸尺丈里寻常铺程米撮勺合升斗盘碗碟叠桶笼盆盒杯斛锅簋篮罐瓶壶卮盏箩箱煲啖袋钵年月日季刻时周天秒旬纪岁世更"
    "夜春夏秋冬代伏辈丸泡粒幢堆根道面片块元亿万千百吨角毛]|微[克米]|公分|小时|美元|十吨"
)
#: Between a number with one of these and another a tilde is a range: 5岁~10岁.
_COUNTED = "岁元个人天年月日时分秒米克斤吨里次件名"
#: Upstream's units in its order; there `m` is replaced before `mm`, and wherever the letters stand.
_UNITS = {
    "cm2": "平方厘米", "cm²": "平方厘米", "cm3": "立方厘米", "cm³": "立方厘米", "cm": "厘米", "db": "分贝",
    "ds": "毫秒", "kg": "千克", "km": "千米", "m2": "平方米", "m²": "平方米", "m³": "立方米", "m3": "立方米",
    "ml": "毫升", "m": "米", "mm": "毫米", "s": "秒",
}  # fmt: skip
#: Units that are read only directly after a figure, as whole words.
_OUR_UNITS = {
    **_UNITS, "km2": "平方千米", "km²": "平方千米", "mm2": "平方毫米", "mm²": "平方毫米", "m/s": "米每秒",
    "km/h": "千米每小时", "ms": "毫秒", "g": "克", "mg": "毫克", "l": "升", "h": "小时", "gb": "吉字节", "mb": "兆字节",
    "kb": "千字节", "tb": "太字节", "hz": "赫兹", "khz": "千赫", "mhz": "兆赫", "ghz": "吉赫",
}  # fmt: skip
_MONEY = {
    "$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "￥": "元", "₹": "卢比", "₩": "韩元", "₽": "卢布", "฿": "泰铢",
    "₫": "越南盾", "₱": "比索", "US$": "美元", "HK$": "港元", "NT$": "新台币", "A$": "澳元", "C$": "加元",
    "S$": "新加坡元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元", "CNY": "元", "RMB": "元",
    "HKD": "港元",
}  # fmt: skip
_SIGN = rf"(?:(?:US|HK|NT|A|C|S)\$|[{''.join(sign for sign in _MONEY if len(sign) == 1)}])"
_CODE = "|".join(code for code in _MONEY if code.isalpha())
_SCALE = "((?:千万|百万|十万|[十百千万亿])?)"


def _clock(hour: str, minute: str, second: str | None, *, half: bool) -> str:
    out = f"{cardinal(hour)}点"
    if minute != "00":
        out += "半" if half else f"{_two_figures(minute)}分"
    return out + (f"{_two_figures(second)}秒" if second and second != "00" else "")


def _two_figures(figures: str) -> str:
    return ("零" if figures[0] == "0" else "") + cardinal(figures.lstrip("0"))


def _time(m: Match) -> str:
    return _clock(m[1], m[2], m[3], half=m[2] == "30")


def _time_range(m: Match) -> str:
    return f"{_time(m)}至{_clock(m[4], m[5], m[6], half=m[5] == '30')}"


def _upstream_time_range(m: Match) -> str:
    # Upstream looks at the first clock's minutes to say the second clock's half hour.
    return f"{_time(m)}至{_clock(m[4], m[5], m[6], half=m[2] == '30')}"


def _half_day(m: Match) -> str:
    """9am, 12:30 pm: the hour of a clock with twelve hours."""
    hour, minute, afternoon = int(m[1]), m[2], m[3].lower() == "p"
    if hour == 12:
        part, hour = ("中午", 12) if afternoon else ("凌晨", 0)
    else:
        part = "下午" if afternoon else "上午"
    return part + _clock(str(hour), minute or "00", None, half=minute == "30") + ("至" if m[4] else "")


def _decade(m: Match) -> str:
    """1990s."""
    return f"{cardinal(str(int(m[1]) + 1))}世纪{cardinal(m[2] + '0')}年代"


def _date(m: Match) -> str:
    month = f"{cardinal(m[2])}月" if m[2] else ""
    day = f"{cardinal(m[3])}{m[4]}" if m[3] else ""
    return f"{one_by_one(m[1])}年{month}{day}"


def _full_date(m: Match) -> str:
    return f"{one_by_one(m[1])}年{cardinal(m[3])}月{cardinal(m[4])}日"


def _temperature(m: Match) -> str:
    return ("零下" if m[1] else "") + number(m[2]) + ("摄氏度" if m[3] == "摄氏度" else "度")


def _upstream_temperature(m: Match) -> str:
    # Upstream takes the fraction for the unit, so that 摄氏度 is always shortened.
    return ("零下" if m[1] else "") + number(m[2]) + "度"


def _signed(m: Match) -> str:
    return ("负" if m[1] else "") + number(m[2])


def _telephone(m: Match) -> str:
    return "，".join(one_by_one(part, telephone=True) for part in m[0].split("-"))


def _mobile(m: Match) -> str:
    return "，".join(one_by_one(part, telephone=True) for part in m[0].strip("+").split())


def _quantity(m: Match) -> str:
    figure = number(m[1])
    return ("两" if figure == "二" else figure) + ("多" if m[2] == "+" else m[2] or "") + m[3]


def _version(m: Match) -> str:
    return "".join("点" if character == "." else cardinal(character) for character in m[0])


def _power(m: Match) -> str:
    return f"的{m[0].translate(str.maketrans(_POWERS, '0123456789xyn'))}次方"


def _signed_range(m: Match) -> str:
    ends = (("负" if end.startswith("-") else "") + number(end.lstrip("-")) for end in (m[1], m[2]))
    return "到".join(ends)


def _rule(pattern: str, reading: Callable[[Match], str], use: Use = Use.ALWAYS) -> _Rule:
    return _Rule(re.compile(pattern), reading, use)


_WORDS_BEFORE_UNIT = r"(?<=[0-9零一二三四五六七八九十百千万亿半])"
_LONG_UNITS = "|".join(sorted((re.escape(unit) for unit in _OUR_UNITS if len(unit) > 1), key=len, reverse=True))
# One capital is rather a name than a unit: 5G, 4S店.
_OUR_UNIT = rf"(?i:{_LONG_UNITS})|[gmhslL]"
_FRACTION = r"(-?)([0-9]+)/([0-9]+)"

#: Nobody means an amount by so many figures; and the rules below try every figure as a beginning, which takes time.
_ENDLESS = _rule(r"[0-9]{65,}", lambda m: one_by_one(m[0], telephone=True))

_RULES: tuple[_Rule, ...] = (
    _ENDLESS,
    # 2024-2025年, 90年代, 90后, 1990s: upstream subtracts, counts, and takes the s for seconds.
    _rule(
        r"(?<![0-9-])((?:19|20)[0-9]{2})[-~～–—]((?:19|20)[0-9]{2})(?=年|赛季|学年|财年)",
        lambda m: f"{one_by_one(m[1])}至{one_by_one(m[2])}", Use.OURS,
    ),
    _rule(r"(?<![0-9])([1-9]0)年代", lambda m: cardinal(m[1]) + "年代", Use.OURS),
    _rule(r"(?<![0-9:.])([0-9]{2})后(?![来天年悔面续])", lambda m: one_by_one(m[1]) + "后", Use.OURS),
    _rule(r"(?<![0-9])(1[0-9]|20)([1-9])0s(?![A-Za-z])", _decade, Use.OURS),
    _rule(
        r"第([0-9]+)[-~～–]([0-9]+)(?=[章节条页回集季期部卷课册讲段届项级楼层名])",
        lambda m: f"第{cardinal(m[1])}至{cardinal(m[2])}", Use.OURS,
    ),
    _rule(r"(?<![A-Za-z])[Nn]o\. ?(?=[0-9])", lambda m: "第", Use.OURS),
    _rule(r"(?<![0-9/])24/7(?![0-9/])", lambda m: "二十四七", Use.OURS),
    _rule(
        r"(?<![0-9:])(0?[1-9]|1[0-2])(?::([0-5][0-9]))? ?([ap])\.?m(?:\.(?![A-Za-z])|(?![A-Za-z]))([-~～–](?=[0-9]))?",
        _half_day, Use.OURS,
    ),
    _rule(rf"(?<![^\s,，、。;；:：!！?？])[~～≈](?=[0-9]|{_SIGN})", lambda m: "约", Use.OURS),
    _rule(rf"(?<=[{_COUNTED}])[~～](?={_N}[{_COUNTED}])", lambda m: "到", Use.OURS),
    _rule(r"±(?=[0-9.])", lambda m: "正负", Use.OURS),
    _rule(r"([0-9]{4}|[0-9]{2})年(?:(0?[1-9]|1[0-2])月)?(?:(0?[1-9]|[12][0-9]|30|31)([日号]))?", _date),
    _rule(r"([0-9]{4})([- /.])(0[1-9]|1[012])\2(0[1-9]|[12][0-9]|3[01])", _full_date),
    _rule(r"(?<![0-9])([12][0-9]{3})([-/])(1[012]|[1-9])\2([12][0-9]|3[01]|[1-9])(?![0-9])", _full_date, Use.OURS),
    _rule(rf"{_CLOCK}[~-]{_CLOCK}", _upstream_time_range, Use.UPSTREAM),
    _rule(rf"{_CLOCK}[~～-]{_CLOCK}", _time_range, Use.OURS),
    _rule(_CLOCK, _time),
    # A score or a proportion; upstream drops the colons.
    _rule(rf"(?<![0-9:]){_N}(?::{_N})+(?![0-9:])", lambda m: "比".join(map(number, m[0].split(":"))), Use.OURS),
    _rule(
        rf"(?:-?{_N}|\.[0-9]+)(?:{_RANGE_UNITS})~(?:-?{_N}|\.[0-9]+)(?:{_RANGE_UNITS})",
        lambda m: m[0].replace("~", "至"),
    ),
    _rule(rf"(-?)({_N})(°C|℃|度|摄氏度)", _upstream_temperature, Use.UPSTREAM),
    _rule(
        rf"(-?{_N})[~～](-?{_N})(?:°C|℃|(?:摄氏)?度)",
        lambda m: "到".join(("零下" if end[0] == "-" else "") + number(end.lstrip("-")) for end in (m[1], m[2])) + "度",
        Use.OURS,
    ),
    _rule(rf"(-?)({_N})(°C|℃|度|摄氏度)", _temperature, Use.OURS),
    _rule(rf"(-?)({_N})(?:°F|℉)", lambda m: f"华氏{'零下' if m[1] else ''}{number(m[2])}度", Use.OURS),
    _rule(r"℃|°C", lambda m: "摄氏度", Use.OURS),
    _rule(
        rf"({_SIGN})({_N})[-~～–]{_SIGN}?({_N}){_SCALE}元?",
        lambda m: f"{number(m[2])}到{number(m[3])}{m[4]}{_MONEY[m[1]]}", Use.OURS,
    ),
    _rule(rf"({_SIGN})({_N}){_SCALE}元?", lambda m: f"{number(m[2])}{m[3]}{_MONEY[m[1]]}", Use.OURS),
    _rule(
        rf"({_N}){_SCALE} ?({_CODE})(?![A-Za-z])", lambda m: f"{number(m[1])}{m[2]}{_MONEY[m[3]]}", Use.OURS,
    ),
    _rule(
        rf"(?<![A-Za-z])({_CODE}) ?({_N}){_SCALE}", lambda m: f"{number(m[2])}{m[3]}{_MONEY[m[1]]}", Use.OURS,
    ),
    *(_rule(re.escape(unit), lambda m: _UNITS[m[0]], Use.UPSTREAM) for unit in _UNITS),
    _rule(
        rf"{_WORDS_BEFORE_UNIT} ?({_OUR_UNIT})(?![A-Za-z0-9])",
        lambda m: _OUR_UNITS[m[1].lower()], Use.OURS,
    ),
    # 010-60481049: upstream reads the hyphen as a minus.
    _rule(r"(?<![0-9])(?:0(?:10|2[0-9]|[3-9][0-9]{2})-[1-9][0-9]{6,7}|[48]00-[0-9]{3}-?[0-9]{4})(?![0-9-])",
          _telephone, Use.OURS),
    # 14-57岁: upstream subtracts.
    _rule(rf"(?<![0-9A-Za-z+×÷=.-])({_N})[-~～]({_N})(?={_MEASURES})", _signed_range, Use.OURS),
    _rule(
        rf"(?<![0-9A-Za-z+×÷=.-])({_N})%?[-~～]({_N})%",
        lambda m: f"百分之{number(m[1])}到百分之{number(m[2])}", Use.OURS,
    ),
    # Wi-Fi, GPT-4o: upstream subtracts. Two single letters stay a formula.
    _rule(r"(?<=[A-Za-z]{2})-(?=[0-9A-Za-z])|(?<=[A-Za-z])-(?=[A-Za-z]{2})", lambda m: " ", Use.OURS),
    _rule(rf"({_TERM})([-+×÷=])(?={_TERM})", lambda m: m[1] + _OPERATORS[m[2]]),
    _rule(rf"[{_POWERS}]+", _power),
    _ENDLESS,
    _rule(rf"√(?={_N})", lambda m: "根号", Use.OURS),
    _rule(
        _FRACTION, lambda m: f"{'负' if m[1] else ''}{number(m[3])}分之{number(m[2])}",
    ),
    _rule(rf"(-?)({_N})%", lambda m: f"{'负' if m[1] else ''}百分之{number(m[2])}"),
    _rule(r"(?<![0-9])(?:\+?86 ?)?1(?:[38][0-9]|5[0-35-9]|7[678]|9[89])[0-9]{8}(?![0-9])", _mobile),
    # 5000000元 is an amount: upstream takes seven and eight figures for a telephone number.
    _rule(rf"(?<![0-9.-])([1-9][0-9]{{6,7}})([多余几+])?({_MEASURES})", _quantity, Use.OURS),
    _rule(r"(?<![0-9])(?:0(?:10|2[1-3]|[3-9][0-9]{2})-?)?[1-9][0-9]{6,7}(?![0-9])", _telephone),
    _rule(r"400-?[0-9]{3}-?[0-9]{4}", _telephone),
    _rule(rf"(?<![-0-9+×÷=])(-?{_N})[-~](-?{_N})(?![-0-9+×÷=])", _signed_range),
    _rule(r"(-)([0-9]+)", _signed),
    _rule(r"[0-9]+(?:\.[0-9]+){2,}", _version),
    _rule(r"(-?)([0-9]+\.[0-9]+|\.[0-9]+)", _signed),
    _rule(rf"([0-9]+)([多余几+])?({_MEASURES})", _quantity),
    _rule(r"[0-9]{3,}", lambda m: one_by_one(m[0], telephone=True)),
    _rule(rf"(-?)({_N}|\.[0-9]+)", _signed),
)  # fmt: skip


def verbalise(sentence: str, *, compat: bool = False) -> str:
    """One sentence with its figures and signs written out in simplified characters.

    `compat`: with upstream's misreadings. What no rule knows stays as it is. Linear in the length of the sentence.
    """
    skipped = Use.OURS if compat else Use.UPSTREAM
    for rule in _RULES:
        if rule.use is not skipped:
            sentence = rule.pattern.sub(rule.reading, sentence)
    return sentence
