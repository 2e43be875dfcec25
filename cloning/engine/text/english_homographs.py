"""Which way a word with two readings is meant here: part of speech guessed from its neighbours.

A few cues ("to", a modal, a pronoun before it; an article after it), not a tagger: they decide the common cases and
leave the rest a noun, which is what the table's second reading stands for.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloning.engine.text.english_lexicon import homographs

_BASE_AFTER = frozenset(
    str.split(
        "to will would can could shall should may might must cannot don't doesn't didn't won't wouldn't can't couldn't "
        "shouldn't let's please do does did i'll you'll he'll she'll we'll they'll it'll i'd you'd we'd they'd help "
        "let lets never"
    )
)
_PARTICIPLE_AFTER = frozenset(
    str.split(
        "have has had having haven't hasn't hadn't be been being am is are was were isn't aren't wasn't weren't i've "
        "you've we've they've he's she's it's get got gets"
    )
)
_PARTICIPLES = frozenset(str.split("read upset undercut wound"))
_SUBJECTS = frozenset(str.split("i you we they who people"))
_THIRD = frozenset(str.split("he she it nobody everybody everyone someone"))
_NOUN_AFTER = frozenset(
    str.split(
        "a an the this that these those my your his her its our their no some any each every of in for with by from on "
        "at under into about both new old first last"
    )
)
_OBJECTS = frozenset(str.split("a an the this that these those my your his her its our their it them me us him you"))
_ADVERBS = frozenset(str.split("not always often also just really only still ever already usually now then all"))
_PAST = frozenset(str.split("yesterday ago last once earlier already was were had said"))

#: Words outside the table whose two readings are both common: (as a verb, otherwise).
_MORE = {
    "live": ("L IH1 V", "L AY1 V"), "lives": ("L IH1 V Z", "L AY1 V Z"), "lead": ("L IY1 D", "L EH1 D"),
    "wind": ("W AY1 N D", "W IH1 N D"), "winds": ("W AY1 N D Z", "W IH1 N D Z"), "tear": ("T EH1 R", "T IH1 R"),
    "tears": ("T EH1 R Z", "T IH1 R Z"), "wound": ("W AW1 N D", "W UW1 N D"),
}  # fmt: skip
#: Entries of the table with the two readings the wrong way round, and entries whose readings are no real difference.
_SWAPPED = frozenset(str.split("object exploit exploits fragment imprint rebel segment torment counterbalance"))
_ONE_WAY = frozenset(str.split("process processes processing mandate inverse quadruple diagnoses"))
#: Before these a lead is no metal.
_LEADING = frozenset(str.split("in the a role singer actor guitarist author over by of was is at to and time times"))


def reading(words: Sequence[str], place: int) -> list[str] | None:
    """Phones of words[place] (all lower case, marks included) if it has two readings, else None."""
    word = words[place]
    if word in _MORE:
        verb, other = _MORE[word]
        tag = tag_of(words, place)
        if word == "lead" and _leads(words, place):
            return verb.split()
        if word == "wound":
            # "wound up", "wound around": the past of "wind"; the verb "to wound" sounds as the noun does.
            after = words[place + 1] if place + 1 < len(words) else ""
            return (verb if after in ("up", "around", "down", "through") else other).split()
        return (verb if tag.startswith("V") else other).split()
    entry = homographs().get(word)
    if entry is None or word in _ONE_WAY:
        return None
    first, second, tag = entry
    if word in _SWAPPED:
        first, second = second, first
    found = tag_of(words, place)
    if word == "used":
        return second if words[place + 1 : place + 2] == ["to"] and found != "VBN" else first
    if word == "read":
        return first if found in ("VB", "VBP") else second
    if word == "close":
        # An adjective ("close to", "a close friend") unless it has an object.
        return first if found in ("VB", "VBP") and words[place + 1 : place + 2] != ["to"] else second
    if word == "content":
        return second if found.startswith("V") else first
    return first if found.startswith(tag) else second


def _leads(words: Sequence[str], place: int) -> bool:
    """ "The lead singer", "take the lead.", but "a lead pipe", "made of lead"."""
    after = words[place + 1] if place + 1 < len(words) else "."
    return after in _LEADING or (not after[0].isalpha() and place > 0 and words[place - 1] in ("the", "a", "an", "new"))


def tag_of(words: Sequence[str], place: int) -> str:
    """Penn Treebank tag guessed for words[place]: VB, VBP, VBD, VBN, JJ or NN."""
    back = place - 1
    while back >= 0 and words[back] in _ADVERBS:
        back -= 1
    before = words[back] if back >= 0 else "."
    after = words[place + 1] if place + 1 < len(words) else "."
    if before in _BASE_AFTER:
        return "VB"
    if before in _PARTICIPLE_AFTER:
        # "is read", "is upset" and "is used", but "is present".
        return "VBN" if words[place].endswith("ed") or words[place] in _PARTICIPLES else "JJ"
    if before in _SUBJECTS:
        return "VBD" if _PAST.intersection(words) else "VBP"
    if before in _THIRD:
        return "VBD"
    if before in _NOUN_AFTER:
        return "NN"
    if after in _OBJECTS:
        # At the start of a sentence an order, else a finite verb: "Record it." "Students protest the plan."
        return "VB" if not before[0].isalpha() else "VBP"
    return "NN"
