"""Upstream's text modes: which segments a text falls into, and in which language each is read."""

from __future__ import annotations

import re
from dataclasses import replace

from cloning.engine.errors import TextError
from cloning.engine.text.segment import Segment, segment

#: Languages with a front end, by symbol table.
LANGUAGES = {"v1": ("en", "zh", "ja"), "v2": ("en", "zh", "ja", "ko", "yue")}
#: `en`: all of it English. `zh`, `ja`, `yue`, `ko`: that language with English in it. `all_…`: the same, but figures
#: among English belong to the language (with `compat`; by default the two are one). `auto`: every piece is judged;
#: `auto_yue`: what is Chinese is read as Cantonese.
MODES = {
    "v1": ("auto", "en", "zh", "ja", "all_zh", "all_ja"),
    "v2": ("auto", "auto_yue", "en", "zh", "ja", "yue", "ko", "all_zh", "all_ja", "all_yue", "all_ko"),
}


def segments(text: str, mode: str, *, version: str = "v2", compat: bool = False) -> list[Segment]:
    """Segments with the language each is read in: en, zh, ja, ko or yue, and x for letters of other scripts.

    `compat` segments as upstream's TextPreprocessor does and gives "punctuation" or "newline" for a text of nothing
    else. Raises TextError `unsupported_language` for a mode the version does not have.
    """
    check_mode(mode, version)
    if compat:
        text = re.sub(" {2,}", " ", text)
    if mode == "en":
        return [Segment("en", text)]
    if mode in ("auto", "auto_yue"):
        found = segment(text, compat=compat)
        return [_cantonese(part) for part in found] if mode == "auto_yue" else found
    language = mode.removeprefix("all_")
    if compat and not mode.startswith("all_"):
        return _forced(segment(text, compat=True), language)
    chinese = "zh" if language == "yue" else language
    found = segment(text, chinese, compat=compat)
    return [_cantonese(part) for part in found] if language == "yue" else found


def check_mode(mode: str, version: str) -> None:
    """Raises TextError `unsupported_language` for a mode the version does not have."""
    offered = MODES.get(version, ())
    if mode not in offered:
        raise TextError(
            "unsupported_language", f"{mode!r} is not one of the languages of {version}: {', '.join(offered)}"
        )


def _cantonese(part: Segment) -> Segment:
    return replace(part, language="yue") if part.language == "zh" else part


def _forced(parts: list[Segment], language: str) -> list[Segment]:
    """Everything that is not English is in `language`."""
    out: list[Segment] = []
    for part in parts:
        named = part.language if part.language == "en" else language
        if out and out[-1].language == named:
            out[-1] = replace(out[-1], text=out[-1].text + part.text)
        else:
            out.append(Segment(named, part.text))
    return out
