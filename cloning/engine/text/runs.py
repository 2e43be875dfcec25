"""Cutting mixed text into runs of one language the way upstream's splitter does.

Upstream uses split-lang 2.1 (MIT): runs by script; Chinese and Japanese runs cut into phrases by BudouX; each phrase's
language by fastText; then neighbours are joined by rules of thumb. This module computes the same runs with the small
fastText model. Its rules are reproduced as they are, misjudgements included; `segment` has rules of our own.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from itertools import pairwise

from cloning.engine.text.identify import languages

HAN_KANA, HANGUL, MARK, NEWLINE, DIGIT, OTHER = "zh_ja", "ko", "punctuation", "newline", "digit", "others"
#: No known language.
NOBODY = "x"
_MARKS = frozenset("〜~,.;:!?，。！？；：、·([{<（【《〈「『“‘)]}>）】》〉」』”’\"-_——#$%&……￥'*+<=>?@[\\]^_`{|}~")
#: What fastText calls a language to what the splitter calls it; traditional Chinese counts as unknown.
_OF_HAN_KANA = {"zh": "zh", "yue": "zh", "wuu": "zh", "zh-cn": "zh", "zh-tw": NOBODY, "ja": "ja"}
_OF_OTHER = _OF_HAN_KANA | {"ko": "ko", "en": "en"}


@dataclass
class Run:
    """A piece of text in one language: zh, ja, ko, en, x (unknown), digit, punctuation or newline."""

    language: str
    text: str

    def __len__(self) -> int:
        return len(self.text)


@dataclass
class _Section:
    """Neighbouring characters of one script, and the runs inside."""

    script: str
    text: str
    runs: list[Run] = field(default_factory=list)


def upstream_runs(text: str) -> list[Run]:
    """Runs in order; together they are the text without space around it. Empty for an empty text."""
    sections = _sections(text.strip())
    for section in sections:
        section.runs = _runs_of(section)
    if not sections:
        return []
    sections = _joined_marks(sections)
    sections = _joined_newlines(sections)
    for section in sections:
        if section.script == HAN_KANA:
            section.runs = _settled(section.runs)
    return [run for section in sections for run in section.runs]


def has_kana(text: str) -> bool:
    """Whether the text holds a kana or the repetition sign."""
    return any("\u3040" <= c <= "\u30ff" or c == "々" for c in text)


def _script(character: str) -> str:
    if "\u4e00" <= character <= "\u9fff" or has_kana(character):
        return HAN_KANA
    if "\uac00" <= character <= "\ud7af":
        return HANGUL
    return DIGIT if character.isdigit() else OTHER


def _sections(text: str) -> list[_Section]:
    out: list[_Section] = []
    for place, character in enumerate(text):
        script = _script(character)
        if script != OTHER:
            alone = False
        elif character in _MARKS:
            # An apostrophe belongs to the word before it; every other mark stands alone.
            if character == "'" and place and not text[place - 1].isspace():
                out[-1].text += character
                continue
            script, alone = MARK, True
        elif character.isspace():
            if character not in "\n\r":
                out[-1].text += character
                continue
            script, alone = NEWLINE, True
        else:
            alone = False
        if out and out[-1].script == script and not alone:
            out[-1].text += character
        else:
            out.append(_Section(script, character))
    return out


def _runs_of(section: _Section) -> list[Run]:
    if section.script == HAN_KANA:
        return _merged(
            [Run("ja" if has_kana(p) else _named(p, _OF_HAN_KANA), p) for p in _phrases(section.text)], rules=True
        )
    if section.script == OTHER:
        return _merged([Run(_named(word, _OF_OTHER), word) for word in _words(section.text)], rules=True)
    return [Run(section.script, section.text)]


def _named(text: str, names: dict[str, str]) -> str:
    found = languages(text)
    return names.get(found[0], NOBODY) if found else NOBODY


def _words(text: str) -> list[str]:
    """Words with the space behind them."""
    starts = [0, *(i for i in range(1, len(text)) if text[i - 1].isspace() and not text[i].isspace())]
    return [text[a:b] for a, b in pairwise([*starts, len(text)])]


@functools.cache
def _parsers() -> tuple[object, object]:
    import budoux

    return budoux.load_default_japanese_parser(), budoux.load_default_simplified_chinese_parser()


def _phrases(text: str) -> list[str]:
    """Phrases by the Japanese, then the Chinese model of BudouX, short ones of one script joined again."""
    japanese, chinese = _parsers()
    parts = [p for phrase in japanese.parse(text) for p in chinese.parse(phrase)]  # type: ignore[attr-defined]
    out = parts[:1]
    for part in parts[1:]:
        left, right = has_kana(out[-1]), has_kana(part)
        if left == right and (left or len(part) == 1):
            out[-1] += part
        else:
            out.append(part)
    if len(out) > 1 and len(out[0]) == 1:
        out[:2] = [out[0] + out[1]]
    return out


def _merged(runs: list[Run], *, rules: bool = False) -> list[Run]:
    """Neighbours of one language joined; with `rules` also what the splitter's rules of thumb bring together."""
    if rules:
        for _ in range(2):
            runs = _merged(runs)
            _give_middles(runs)
        runs = _merged(runs)
        _name_unknown(runs)
        _give_ends(runs)
        runs = _merged(runs)
        _give_middles(runs)
    out: list[Run] = []
    for run in runs:
        if out and out[-1].language == run.language:
            out[-1].text += run.text
        else:
            out.append(run)
    return out


def _give_middles(runs: list[Run]) -> None:
    """A run between two of one language takes theirs if it is unknown, short, or may well be in it."""
    for left, middle, right in zip(runs, runs[1:], runs[2:], strict=False):
        if left.language != right.language or left.language in (NOBODY, NEWLINE):
            continue
        han = not has_kana(middle.text)
        short = len(middle) <= 4 and len(left) + len(right) >= 6
        if middle.language == NOBODY or (han and (short or left.language in languages(middle.text.strip()))):
            middle.language = left.language


def _name_unknown(runs: list[Run]) -> None:
    for place, run in enumerate(runs):
        if run.language == NOBODY:
            first, last = place == 0, place == len(runs) - 1
            left = last or (not first and len(runs[place - 1]) >= len(runs[place + 1]))
            run.language = _nearest(runs, place, left=left and not first)


def _give_ends(runs: list[Run]) -> None:
    """The first and the last run take their neighbour's language if unknown, or likely enough in it."""
    for place, near in ((0, 1), (len(runs) - 1, len(runs) - 2)):
        run = runs[place]
        joins = run.language == NOBODY
        if len(runs) > 1:
            other = runs[near]
            may_be = other.language in languages(run.text.strip())
            han = not has_kana(run.text) and not has_kana(other.text)
            long_chinese = len(other) > len(run) and len(other) >= 6 and other.language == "zh"
            joins = joins or (han and (long_chinese or may_be)) or (may_be and len(other) <= 5)
        if joins:
            run.language = _nearest(runs, place, left=place > 0)


def _nearest(runs: list[Run], place: int, *, left: bool) -> str:
    others = reversed(runs[:place]) if left else runs[place + 1 :]
    return next((run.language for run in others if run.language not in (NOBODY, DIGIT)), runs[place].language)


def _joined_marks(sections: list[_Section]) -> list[_Section]:
    """Marks go to the run before them, or, at the head, to the run after them."""
    out = sections[:1]
    for section in sections[1:]:
        last = out[-1]
        if MARK not in (last.script, section.script):
            out.append(section)
            continue
        if last.script == MARK:
            last.script = section.script
            last.runs[-1].language = section.runs[0].language
        last.runs[-1].text += section.runs[0].text
        last.runs += section.runs[1:]
    out = _same_script(out)
    for section in out:
        section.runs = _merged(section.runs)
    return out


def _joined_newlines(sections: list[_Section]) -> list[_Section]:
    out = sections[:1]
    for section in sections[1:]:
        last = out[-1]
        if last.script == NEWLINE:
            last.script = section.script
        elif section.script != NEWLINE:
            out.append(section)
            continue
        last.runs += section.runs
    out = _same_script(out)
    for section in out:
        runs: list[Run] = []
        before = ""
        for run in section.runs:
            if runs and (run.language == NEWLINE or run.language == before):
                runs[-1].text += run.text
            else:
                runs.append(run)
            # The next run starts anew behind a newline, whatever its language.
            before = run.language
        section.runs = runs
    return out


def _same_script(sections: list[_Section]) -> list[_Section]:
    out = sections[:1]
    for section in sections[1:]:
        if out[-1].script == section.script:
            out[-1].runs += section.runs
        else:
            out.append(section)
    return out


def _settled(runs: list[Run]) -> list[Run]:
    """Runs a tenth as long as their neighbours are swallowed; what stays unknown takes the most frequent language."""
    if len(runs) == 1:
        return runs
    lengths = dict.fromkeys(("zh", "ja", NOBODY, DIGIT, MARK, NEWLINE), 0)
    out: list[Run] = []
    place = 0
    while place < len(runs):
        run = runs[place]
        lengths[run.language] = lengths.get(run.language, 0) + len(run)
        after = runs[place + 1] if place + 1 < len(runs) else None
        known = run.language in ("zh", "ja", NOBODY)
        if not out and after is not None:
            swallowed = after.language in ("zh", "ja") and known and len(run) * 10 < len(after)
            out.append(Run(after.language, run.text + after.text) if swallowed else run)
        elif after is None:
            swallowed = out[-1].language in ("zh", "ja") and known and len(run) * 10 < len(out[-1])
            if swallowed:
                out[-1].text += run.text
            else:
                out.append(run)
        else:
            swallowed = (
                out[-1].language == after.language
                and after.language in ("zh", "ja")
                and run.language != "en"
                and len(run) * 10 < len(out[-1]) + len(after)
            )
            if swallowed:
                out[-1].text += run.text + after.text
            else:
                out.append(run)
        place += 2 if swallowed and after is not None else 1
    if lengths[NOBODY]:
        most = max(lengths, key=lambda name: lengths[name])
        for run in out:
            run.language = most if run.language == NOBODY else run.language
    if lengths["ja"] >= lengths["zh"] * 10:
        for run in out:
            run.language = "ja" if run.language == "zh" else run.language
    return _merged(out)
