"""The pronouncing dictionaries of English, read from the package's own data files (`data/ENGLISH-SOURCES.txt`)."""

from __future__ import annotations

import functools
import gzip
import importlib.util
from importlib import resources
from pathlib import Path

from cloning.engine.errors import EngineError

#: Entries that upstream takes out, so that the letters are named or the parts are read.
_SPELLED_UPSTREAM = ("ae", "ai", "ar", "ios", "hud", "os")

#: Sounds after which a plural or possessive s is voiceless, and those after which it is a syllable.
VOICELESS = frozenset({"P", "T", "K", "F", "TH"})
HISSING = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})


def _table(name: str) -> dict[str, str]:
    raw = resources.files("cloning.engine.text").joinpath("data", name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("ascii")
    return dict(line.split(" ", 1) for line in text.splitlines())


@functools.lru_cache(maxsize=1)
def upstream() -> dict[str, str]:
    """Lower-case word to its phones in one string, as upstream's dictionaries give it; 126,000 entries, about 20 MB.

    CMUdict 0.7b goes before its faster-speech variant, and only the first pronunciation of a word counts.
    """
    table = _table("cmudict.txt.gz")
    for word in _SPELLED_UPSTREAM:
        del table[word]
    return table


@functools.lru_cache(maxsize=1)
def more() -> dict[str, str]:
    """Words that upstream's dictionaries lack: newer ones of CMUdict and a few of our own."""
    return _table("english_more.txt")


@functools.lru_cache(maxsize=1)
def names() -> dict[str, str]:
    """20,000 first and family names that the dictionary lacks, lower case, to their phones; about 4 MB."""
    return _table("english_names.txt.gz")


@functools.lru_cache(maxsize=1)
def homographs() -> dict[str, tuple[list[str], list[str], str]]:
    """Word -> (phones as that part of speech, phones otherwise, start of the Penn Treebank tag).

    The table of the g2p-en package (Apache 2.0, Kyubyong Park) with upstream's two corrections.
    Raises EngineError `missing_data` without that package.
    """
    spec = importlib.util.find_spec("g2p_en")
    if spec is None or spec.origin is None:
        raise EngineError("missing_data", "the homographs of the g2p-en package are not installed")
    table = {}
    for line in Path(spec.origin).with_name("homographs.en").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            word, first, second, tag = line.strip().split("|")
            table[word.lower()] = (first.split(), second.split(), tag)
    table["read"] = (["R", "IY1", "D"], ["R", "EH1", "D"], "VBP")
    table["complex"] = (
        ["K", "AH0", "M", "P", "L", "EH1", "K", "S"],
        ["K", "AA1", "M", "P", "L", "EH0", "K", "S"],
        "JJ",
    )
    return table


def spell(letters: str) -> list[str]:
    """The names of letters, everything else skipped."""
    # The dictionary's "a" is the article.
    return [s for c in letters.lower() if "a" <= c <= "z" for s in (["EY1"] if c == "a" else upstream()[c].split())]
