"""What a language's front end gives back: the text as it is read, and the symbols of every word of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """`normalised`: the text with numbers and signs written out. `words`: its chunks in spoken order, each with its
    symbols.

    A chunk is a word or a mark; in Mandarin and Cantonese it is one character, so the symbol counts are what upstream
    calls word2ph.
    """

    normalised: str
    words: list[tuple[str, list[str]]]

    @property
    def symbols(self) -> list[str]:
        """All symbols in spoken order."""
        return [symbol for _, symbols in self.words for symbol in symbols]
