"""Marks that end nothing: the dots of abbreviations, initials and addresses, where a text must not be cut."""

from __future__ import annotations

import re

#: Stand before a name or a word.
_TITLES = frozenset(str.split("Mr Mrs Ms Dr Prof Mt Capt Gen Lt Sgt Rev Gov Col Sen Rep vs approx cf viz"))
#: Stand before a number.
_COUNTED = frozenset(str.split("no nos fig figs vol vols ch p pp eq sec ed"))
#: May also end a sentence; not where a small letter or a number follows.
_EITHER = frozenset(
    str.split(
        "Jr Sr Inc Ltd Corp Co etc al Dept dept Ave Blvd Rd St Est est ft in oz lb lbs yd yds min mins sec secs hr hrs "
        "Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Mon Tue Tues Wed Thu Thurs Fri Sat Sun"
    )
)
_ADDRESS = re.compile(
    r"https?://|www\.|@|\.(?:com|org|net|io|gov|edu|app|dev|cn|co|uk|ai|info|csv|txt|pdf|py|js|json|html?|zip|mp3|wav|png|"
    r"jpe?g|gif|docx?|xlsx?|exe)(?![A-Za-z])",
    re.I,
)
_MARK = re.compile(r"(?<=[A-Za-z])[.:?]")
_WORD_BEFORE = re.compile(r"(?<![A-Za-z.])((?:[A-Za-z]\.)*)([A-Za-z]+)$")
#: Characters before a mark, and behind it, that are looked at.
_NEAR = 80


def kept(text: str) -> frozenset[int]:
    """Places directly behind the marks of an English text that end no clause. Linear in its length."""
    return frozenset(match.end() for match in _MARK.finditer(text) if _inside(text, match.start()))


def _inside(text: str, at: int) -> bool:
    before, after = text[max(0, at - _NEAR) : at], text[at + 1 : at + 1 + _NEAR]
    if re.match(r"[A-Za-z0-9/]", after) and _ADDRESS.search(before.split()[-1] + text[at] + after.split()[0]):
        return True
    found = _WORD_BEFORE.search(before)
    if text[at] != "." or found is None:
        return False
    letters, word = found.groups()
    small_next = re.match(r"\s+[a-z0-9]|[,;:]", after) is not None
    name_next = re.match(r"\s+[A-Z]", after) is not None
    if len(word) == 1 and (letters or re.match(r"[A-Za-z]\.", after)):
        # Initials: e.g. this, the U.S. Army; but at 5 p.m. Then.
        clock = (letters + word).lower() in ("a.m", "p.m")
        return re.match(r"[A-Za-z]\.", after) is not None or small_next or (name_next and not clock)
    if len(word) == 1 and word.isupper() and word != "I" and name_next:
        # John F. Kennedy; but we asked for plan B. Then.
        earlier = before[: found.start()].split()[-1:]
        return not earlier or earlier[0][0].isupper() or re.match(r"\s+[A-Z]\.", after) is not None
    if word == "St" and name_next:
        # In St. Ives; but on Main St. He.
        earlier = before[: found.start()].split()[-1:]
        return not earlier or earlier[0][0].islower()
    if word in _TITLES:
        return re.match(r"\s+[\w\"'“‘(]", after) is not None
    if word.lower() in _COUNTED and re.match(r"\s*\d", after):
        return True
    return word in _EITHER and small_next
