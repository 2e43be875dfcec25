"""Mandarin tone sandhi: 不, 一, the neutral tone, third tones in a row, and erhua.

Tones are 1..5 (5 = neutral); 0 stands for a mark. The rules and their order are upstream's (`tone_sandhi.py` and
`chinese2.py`, from PaddleSpeech). All functions change the list of tones in place.
"""

from __future__ import annotations

from cloning.engine.text.mandarin_words import Word, parts, word_lists

_PARTICLES = "吧呢哈啊呐噻嘛吖嗨呐哦哒额滴哩哟喽啰耶喔诶" + "的地得"
_ASPECT = {"了", "着", "过"}
_BEFORE_COMING_AND_GOING = "上下进出回过起开"
_BEFORE_GE = "几有两半多各整每做是"
#: After one of these 一 keeps its tone, as at the end of a sentence.
_UPSTREAM_MARKS = "：，；。？！“”‘’':,;.?!"
_OUR_MARKS = _UPSTREAM_MARKS + "…-"


def apply(word: Word, tones: list[int], *, compat: bool = False) -> None:
    """Change the dictionary tones of one word (one for each of its characters) to the spoken ones.

    `compat`: 一 changes its tone before … and - too, and two equal characters that belong to two parts of a word
    (银行行长) count as doubled; both as upstream does.
    """
    _bu(word.text, tones)
    _yi(word.text, tones, _UPSTREAM_MARKS if compat else _OUR_MARKS)
    _neutral(word, tones, compat=compat)
    _third(word.text, tones)


def _bu(word: str, tones: list[int]) -> None:
    if len(word) == 3 and word[1] == "不":
        tones[1] = 5
        return
    for place in range(len(word) - 1):
        if word[place] == "不" and tones[place + 1] == 4:
            tones[place] = 2


def _yi(word: str, tones: list[int], marks: str) -> None:
    if "一" not in word or all(character.isnumeric() for character in word):
        return
    if len(word) == 3 and word[1] == "一" and word[0] == word[2]:
        tones[1] = 5
    elif word.startswith("第一"):
        tones[1] = 1
    else:
        for place in range(len(word) - 1):
            if word[place] != "一":
                continue
            if tones[place + 1] == 4:
                tones[place] = 2
            elif word[place + 1] not in marks:
                tones[place] = 4


def _neutral(word: Word, tones: list[int], *, compat: bool) -> None:
    text, tag, lists = word.text, word.tag, word_lists()
    if tag[0] in "nva" and text not in lists["not_neutral"]:
        for place in range(1, len(text)):
            two_parts = len(text) == 4 and place == 2
            if text[place] == text[place - 1] and (compat or not two_parts):
                tones[place] = 5
    toneless = _neutral_place(text, tag)
    if toneless is not None:
        tones[toneless] = 5
    first, second = parts(text)
    for part, end in ((first, len(first) - 1), (second, len(text) - 1)):
        if part[-2:] in lists["neutral"]:
            tones[end] = 5


def _neutral_place(text: str, tag: str) -> int | None:
    """Which character loses its tone by a rule; the first rule that holds decides."""
    end, lists = len(text) - 1, word_lists()
    if text[-1] in _PARTICLES:
        return end
    if text in _ASPECT and tag in ("ul", "uz", "ug"):
        return end
    if end > 0:
        if text[-1] in "们子" and tag in ("r", "n") and text not in lists["not_neutral"]:
            return end
        if text[-1] in "上下里" and tag in ("s", "l", "f"):
            return end
        if text[-1] in "来去" and text[-2] in _BEFORE_COMING_AND_GOING:
            return end
    ge = text.find("个")
    if text == "个" or (ge >= 1 and (text[ge - 1].isnumeric() or text[ge - 1] in _BEFORE_GE)):
        return ge
    return end if text[-2:] in lists["neutral"] else None


def _third(text: str, tones: list[int]) -> None:
    threes = [tone == 3 for tone in tones]
    if len(text) == 2 and all(threes):
        tones[0] = 2
    elif len(text) == 3:
        _third_of_three(len(parts(text)[0]), tones)
    elif len(text) == 4:
        for start in (0, 2):
            if all(threes[start : start + 2]):
                tones[start] = 2


def _third_of_three(cut: int, tones: list[int]) -> None:
    """Three syllables, the first part `cut` long: 蒙古/包 2-2-3, 纸/老虎 3-2-3, 所有/人 2-3, 好/喜欢 2-3."""
    if all(tone == 3 for tone in tones):
        if cut == 2:
            tones[0] = 2
        if cut in (1, 2):
            tones[1] = 2
        return
    for start, end in ((0, cut), (cut, 3)):
        part = tones[start:end]
        if len(part) == 2 and all(tone == 3 for tone in part):
            tones[start] = 2
        elif start > 0 and part and part[0] == 3 and not all(tone == 3 for tone in part) and tones[cut - 1] == 3:
            tones[cut - 1] = 2


def erhua(word: Word, syllables: list[str], tones: list[int]) -> None:
    """A word's final 儿 takes the tone of the syllable before it, except where it is a syllable of its own.

    `syllables`: pinyin without tones, one for each character.
    """
    text, lists = word.text, word_lists()
    if not text.endswith("儿") or syllables[-1] != "er":
        return
    if tones[-1] == 1:
        tones[-1] = 2
    if text not in lists["erhua"] and (text in lists["no_erhua"] or word.tag in ("a", "j", "nr")):
        return
    if len(text) > 1 and tones[-1] in (2, 5) and text[-2:] not in lists["no_erhua"] and tones[-2] > 0:
        tones[-1] = tones[-2]
