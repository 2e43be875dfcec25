"""The fixed texts that a voice is judged by. They are never trained on; `held_out` is for whoever makes training text.

matrix: sentences of one form, name verb number adjective noun, ten choices each (Hagerman 1982), for a recogniser that
knows the form. open: ordinary sentences. hard: long words, numbers, names; the list only grows. mandarin: ordinary
sentences.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources

from cloning.engine.text import to_phones

MATRIX: tuple[tuple[str, ...], ...] = (
    ("Peter", "Susan", "Kevin", "Laura", "Brian", "Emma", "Walter", "Alice", "Henry", "Monica"),
    ("bought", "wants", "gave", "sees", "keeps", "lost", "found", "sold", "likes", "made"),
    ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve"),
    ("small", "red", "heavy", "cheap", "old", "green", "pretty", "large", "dark", "thin"),
    ("chairs", "boxes", "houses", "knives", "flowers", "ships", "rings", "stones", "windows", "spoons"),
)
#: Sentences of the matrix list; every word comes as often as every other.
MATRIX_SENTENCES = 40
#: The sets of a language, in the order of the report.
SETS = {"en": ("matrix", "open", "hard"), "zh": ("mandarin",)}
_WORD = re.compile(r"[a-z']+")


@dataclass(frozen=True, slots=True)
class Item:
    """One text. `id`: set and number. `spoken`: the text with everything written out as it must be said."""

    id: str
    set: str
    text: str
    spoken: str

    @property
    def words(self) -> tuple[str, ...]:
        """What must be heard: lower-case English words, or Mandarin syllables with tones as the engine reads them."""
        if self.set not in SETS["zh"]:
            return words(self.spoken)
        read = to_phones(self.spoken, "zh")
        return tuple(
            "".join(read.symbols[word.start : word.start + word.count]) for word in read.words if word.text.isalnum()
        )


def words(text: str) -> tuple[str, ...]:
    """Lower-case English words of a text; apostrophes belong to them."""
    return tuple(word for found in _WORD.findall(text.lower()) if (word := found.strip("'")))


@functools.cache
def items(name: str) -> tuple[Item, ...]:
    """The texts of a set, in fixed order. Raises ValueError for a set that does not exist."""
    if name == "matrix":
        lines = _matrix()
    elif name in ("open", "hard", "mandarin"):
        raw = resources.files(__package__).joinpath(f"data/{name}.txt").read_text("utf-8")
        lines = [line for line in raw.splitlines() if line and not line.startswith("#")]
    else:
        raise ValueError(f"there is no set of texts {name!r}")
    return tuple(_item(name, number, line) for number, line in enumerate(lines, 1))


def held_out() -> frozenset[str]:
    """Every text of every set, lower case and without marks: what training text must not hold."""
    names = {name for row in SETS.values() for name in row}
    return frozenset(plain(one) for name in names for item in items(name) for one in (item.text, item.spoken))


def plain(text: str) -> str:
    """Letters and digits of a text in lower case, one space between words: for comparing texts."""
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower()))


def _item(name: str, number: int, line: str) -> Item:
    text, _, spoken = line.partition(" | ")
    return Item(f"{name}-{number:02d}", name, text, spoken or text)


def _matrix() -> list[str]:
    """Four Latin squares: within a block of ten each word comes once, and no two blocks pair words alike."""
    steps, turns = (1, 3, 7, 9, 1), (0, 3, 4, 7, 4)
    lines = []
    for number in range(MATRIX_SENTENCES):
        block, row = divmod(number, 10)
        picked = [choices[(steps[slot] * row + turns[slot] * block) % 10] for slot, choices in enumerate(MATRIX)]
        lines.append(" ".join(picked) + ".")
    return lines
