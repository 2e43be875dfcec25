"""Sentences to read aloud as training speech, written for this project to cover each language's sounds."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from consent.errors import LanguageUnsupported

FOLDER: Final = Path(__file__).parent / "scripts"
LANGUAGES: Final = ("en", "zh")
"""Languages a recording may be in: those the engine speaks and we have sentences for."""


@lru_cache(maxsize=len(LANGUAGES))
def sentences(language: str) -> tuple[str, ...]:
    """The sentences of one language, in reading order. Raises LanguageUnsupported."""
    if language not in LANGUAGES:
        raise LanguageUnsupported(f"Offered are: {', '.join(LANGUAGES)}.")
    return tuple((FOLDER / f"{language}.txt").read_text(encoding="utf-8").split("\n")[:-1])
