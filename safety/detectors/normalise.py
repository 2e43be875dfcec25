"""Reads a text the way a listener hears it: tricks of writing are folded away before anything is matched.

A fraudster who may not type "send money" types "s e n d  m0ney" in Cyrillic look-alikes with zero-width spaces. All of
these sound the same once spoken, so they must read the same here. The output is a *stream*: the letters of the text
without any separator, and the places where a word may begin or end. Matching asks for a phrase's letters at such
places; so "mon ey", "mo-ney" and "m o n e y" are all "money", while "harmony" is not.

A second kind of stream is of sounds: Chinese characters in it are written as their pinyin, without tones. In it a word
typed in pinyin, half in pinyin, or with other characters of the same sound is the same word, as it is when spoken.

Steps, in order: NFKD, combining marks and format characters dropped (Unicode UAX 15, general categories Mn, Me, Cf),
case folded, look-alikes folded to Latin (after the idea of UTS 39, a small table of our own), Traditional Chinese
folded for the characters our packs use, digits standing for letters folded inside words, repeated letters collapsed.
The same folding is applied to a pack's phrases, so it need not be reversible; it only must not separate equals.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any, Final

import numpy as np
import re2
from numpy.typing import NDArray

from safety.detectors.folding import DIGIT_LETTERS, INVISIBLE, fold, is_han, opened, plain_word, with_symbols

LONGEST_WORD: Final = 22
"""Longer Latin words than this are read as several words written together: a phrase may begin anywhere in them."""

SPELLED_RUN: Final = 3
"""This many single letters in a row are a word spelled out, in which digits may stand for letters."""

_BLANK: Final = (
    "[\\t-\\r\\x1c-\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}]"
)
"""What `str.split` splits at."""
_SET_APART: Final = re2.compile(f"(?:^|{_BLANK})[A-Za-z](?:{_BLANK}+[A-Za-z]){{{SPELLED_RUN}}}(?:{_BLANK}|$)".encode())

_CLAUSE_ENDS: Final = frozenset(".,;:!?\n()\u3002\u3001\u2014\u2013\u2026")
"""What ends a clause, after NFKD: full-width forms are plain by then."""

_HAN: Final = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]")
# A run of Chinese characters, a run of other letters and digits, or ends of clauses; each character is looked at once.
_TOKEN: Final = re.compile(
    f"{_HAN.pattern}+|[^\\W_{_HAN.pattern[1:-1]}]+|[{re.escape(''.join(sorted(_CLAUSE_ENDS)))}]+"
)
_FOREIGN: Final = re.compile(f"[^\\x00-\\x7f{_HAN.pattern[1:-1]}]")
_APOSTROPHE: Final = re.compile("['\u2019\u02bc`]")

Numbers = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Stream:
    """One reading of a text.

    ``letters``: what remains, without separators. ``edges``: ``len(letters) + 1`` bytes, 1 where a phrase may begin or
    end: between words, and anywhere inside a word too long to be one word. ``sounded``: empty, or in a stream of sounds
    a byte for each letter, 1 where it stands for a Chinese character.
    """

    letters: str
    edges: bytes
    sounded: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """The words as written, for patterns: case, marks and look-alikes folded, one space between, digits kept.

    ``text`` joins them, and word ``i`` begins in its UTF-8 bytes at ``starts[i]`` (the space before a word belongs to
    it). Word ``i`` takes the letters ``begins[i]`` to ``begins[i + 1]`` of the first stream, ``sounds[i]`` to
    ``sounds[i + 1]`` of the stream of sounds. ``clauses``: the words that begin a clause: after a full stop, comma,
    colon and the like, or the very first.
    """

    text: str
    encoded: bytes
    starts: Numbers
    begins: Numbers
    sounds: Numbers
    clauses: Numbers

    def at(self, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """The words that have the bytes at ``offsets`` (0 to ``len(encoded) - 1``)."""
        return np.searchsorted(self.starts, offsets, "right") - 1


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A text ready to be searched. ``sound``: only where it has Chinese characters. ``disguised``: see `disguised`.

    ``other_scripts``: see `share_of_other_scripts`.
    """

    streams: tuple[Stream, ...]
    sound: Stream | None
    words: Words
    disguised: bool
    other_scripts: float


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """A text in runs: one word of letters and digits, or Chinese characters without anything else between them.

    ``plain``: the runs as they are matched (`plain_word`). ``han``: which are Chinese, where every character is a word.
    ``lengths``: how many words each has. ``clauses``: the numbers of the words that begin a clause.
    """

    written: list[str]
    plain: list[str]
    han: NDArray[np.bool_]
    lengths: Numbers
    clauses: list[int]

    def by_word(self, runs: list[str]) -> Numbers:
        """How many characters each word has in ``runs``, which are these in some other writing."""
        whole = np.array(list(map(len, runs)), np.int32)
        return np.repeat(np.where(self.han, 1, whole), self.lengths).astype(np.int32)


def normalise(text: str) -> tuple[Stream, ...]:
    """The readings of ``text``: symbols taken as letters ("c@sh"), and as separators ("send@money"); usually equal.

    Never raises; the cost is linear in the length. The caller bounds the length (NFKD may make it 18 times longer).
    """
    folded = fold(text)
    symbols = with_symbols(folded)
    runs = _walk(symbols)
    first = _stream(runs, _behind(runs.by_word(runs.plain)))
    other = first if symbols == folded else _second(folded)
    return (first,) if other == first else (first, other)


def read(text: str) -> Reading:
    """Everything that can be searched of a text. As `normalise`."""
    folded = fold(text)
    symbols = with_symbols(folded)
    runs = _walk(symbols)
    begins = _behind(runs.by_word(runs.plain))
    first = _stream(runs, begins)
    other = first if symbols == folded else _second(folded)
    sound, sounds = _heard(runs, first, begins) if runs.han.any() else (None, begins)
    shown, starts = _shown(runs)
    return Reading(
        (first,) if other == first else (first, other),
        sound,
        Words(shown, shown.encode(), starts, begins, sounds, np.array(runs.clauses, np.int32)),
        disguised(text),
        _others(folded),
    )


def disguised(text: str) -> bool:
    """Whether the writing hides something: letters of several scripts in one word, characters that draw nothing, or
    three letters and more of one word set apart."""
    plain = opened(text)
    if plain != text or _SET_APART.search(plain.encode(errors="replace")):
        return True
    used = {char for char in set(text) if not char.isascii() and not is_han(char)}
    if any(unicodedata.category(char) == "Cf" or char in INVISIBLE for char in used):
        return True
    # Only a word with a letter of a third script can mix it with Latin or with a fourth; most texts have none.
    foreign = {char for char in used if not _scripts(char) <= {"latin", "han"}}
    return bool(foreign) and any(
        len(_scripts(word) - {"han"}) > 1 for word in plain.split() if not foreign.isdisjoint(word)
    )


def _scripts(word: str) -> set[str]:
    return {_script(char) for char in set(word.casefold()) if char.isalpha()}


def pinyin_of(char: str) -> str:
    """The first reading of a Chinese character without its tone, letters folded as everywhere here; "" if unknown."""
    from pypinyin import Style, pinyin

    found = pinyin(char, style=Style.NORMAL, errors="ignore")
    return plain_word(found[0][0]) if found else ""


@lru_cache(maxsize=30_000)
def _script(char: str) -> str:
    if char.isascii():
        return "latin"
    if is_han(char):
        return "han"
    name = unicodedata.name(char, "")
    return name.split(" ")[0].lower()


class _Sounds(dict[str, str]):
    """What each character sounds like, worked out once; only Chinese ones change. At most as many as Unicode has."""

    def __missing__(self, char: str) -> str:
        sound = (pinyin_of(char) or char) if is_han(char) else char
        self[char] = sound
        return sound


_SOUNDS: Final = _Sounds()


def _heard(runs: _Runs, first: Stream, begins: Numbers) -> tuple[Stream, Numbers]:
    """The stream of sounds, and where its words begin. ``first`` with ``begins``: the same letters unsounded."""
    heard = list(map(_SOUNDS.__getitem__, first.letters))
    lengths = np.array(list(map(len, heard)), np.int32)
    han = np.repeat(runs.han, list(map(len, runs.plain)))
    sounds = _behind(lengths)[begins]
    sounded = np.repeat(han, lengths).astype(np.uint8).tobytes()
    return Stream("".join(heard), _edges(runs, sounds), sounded), sounds


def _shown(runs: _Runs) -> tuple[str, Numbers]:
    """The text of `Words`, and where its words start. Between Chinese characters there is no space."""
    gaps = [0, *(not (one and other) for one, other in pairwise(runs.han.tolist()))][: len(runs.written)]
    text = "".join([" " + run if gap else run for run, gap in zip(runs.written, gaps, strict=True)])
    lengths = runs.by_word(runs.written)
    lengths[_behind(runs.lengths)[:-1]] += np.array(gaps, np.int32)
    starts = _behind(lengths)
    if not text.isascii():
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        sizes = 1 + (codes > 0x7F) + (codes > 0x7FF) + (codes > 0xFFFF)  # bytes of each character in UTF-8
        starts = _behind(sizes)[starts]
    return text, starts[:-1]


def _behind(lengths: NDArray[Any]) -> Numbers:
    """Where each of these begins when they stand one behind the other, and where the last ends."""
    found = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=found[1:])
    return found


def _second(folded: str) -> Stream:
    """The reading in which symbols are no letters."""
    runs = _walk(folded)
    return _stream(runs, _behind(runs.by_word(runs.plain)))


def _stream(runs: _Runs, begins: Numbers) -> Stream:
    return Stream("".join(runs.plain), _edges(runs, begins))


def _edges(runs: _Runs, begins: Numbers) -> bytes:
    """The edges of a stream whose words begin at ``begins``."""
    edges = np.zeros(begins[-1] + 1, np.uint8)
    edges[begins] = 1
    first = _behind(runs.lengths)
    for at in [at for at, run in enumerate(runs.plain) if len(run) > LONGEST_WORD]:
        if not runs.han[at]:
            edges[begins[first[at]] : begins[first[at] + 1]] = 1
    return edges.tobytes()


def _walk(folded: str) -> _Runs:
    """A text's words, in runs.

    A word is a run of letters and digits; a Chinese character is a word by itself: its writing has no spaces to go by.
    An apostrophe belongs to its word: "don't" is "dont".
    """
    runs: list[str] = []
    han: list[bool] = []
    clauses: list[int] = []
    words, fresh = 0, True
    for token in _TOKEN.findall(_APOSTROPHE.sub("", folded)):
        char = token[0]
        if char in _CLAUSE_ENDS:
            fresh = True
            continue
        if fresh:
            clauses.append(words)
            fresh = False
        chinese = is_han(char)
        runs.append(token)
        han.append(chinese)
        words += len(token) if chinese else 1
    runs = _unspell(runs)
    flags = np.array(han, np.bool_)
    plain = [run if one else plain_word(run) for run, one in zip(runs, han, strict=True)]
    lengths = np.where(flags, np.array(list(map(len, runs)), np.int32), 1).astype(np.int32)
    return _Runs(runs, plain, flags, lengths, clauses)


def _unspell(runs: list[str]) -> list[str]:
    """Folds digits to letters in runs of single characters: ["s","3","n","d"] is spelled, ["1","2","3"] is a number."""
    single = [at for at, run in enumerate(runs) if len(run) == 1]
    if len(single) < SPELLED_RUN:
        return runs
    single = [at for at in single if not is_han(runs[at])]
    out = list(runs)
    for _, group in groupby(enumerate(single), lambda pair: pair[1] - pair[0]):  # numbers that follow one another
        run = [at for _, at in group]
        if len(run) >= SPELLED_RUN and sum(out[at].isalpha() for at in run) * 2 > len(run):
            for at in run:
                out[at] = out[at].translate(DIGIT_LETTERS)
    return out


def share_of_other_scripts(text: str) -> float:
    """Share (0..1) of the letters that are neither Latin, nor Chinese, nor drawn like Latin. 0 for no letters.

    A pack made for English and Chinese says nothing about a text in Thai; the policy must know that it is blind.
    """
    return _others(fold(text))


def _others(folded: str) -> float:
    other = sum(map(str.isalpha, _FOREIGN.findall(folded)))
    return other / sum(map(str.isalpha, folded)) if other else 0.0
