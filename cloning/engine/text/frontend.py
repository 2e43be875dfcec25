"""A piece of mixed text to what the semantic model reads: symbols of all its segments, and prosody features beside
them. Upstream: TextPreprocessor.get_phones_and_bert."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloning.engine.errors import TextError
from cloning.engine.text.modes import check_mode, segments
from cloning.engine.text.phones import (
    Phones,
    Word,
    calm,
    check_letters,
    check_size,
    check_text,
    clean,
    joined,
    letter_names,
    numbered,
    read,
    refuse_silence,
)
from cloning.engine.text.segment import Segment

if TYPE_CHECKING:
    import torch

    from cloning.engine.text.polyphones import Polyphones

#: (characters as they are read, symbols of each) to features [1024, symbols].
ProsodyReader = Callable[[str, list[int]], "torch.Tensor"]
PROSODY_WIDTH = 1024
#: Shorter pieces get a full stop in front: very short ones are babbled.
FEWEST_SYMBOLS = 6


@dataclass(frozen=True)
class Spoken:
    """One piece of text, ready to be spoken.

    `ids`, `symbols`, `words`: as in Phones. `normalised`: the text as it is read. `bert`: float32 [1024, symbols],
    zeros outside Mandarin, or None when no reader was given. `languages`: of the segments, in order. `notes`:
    "bert_missing" (Mandarin without prosody features), "polyphones_built_in" (Mandarin without a polyphone model).
    """

    ids: list[int]
    symbols: list[str]
    words: list[Word]
    normalised: str
    bert: torch.Tensor | None
    languages: tuple[str, ...]
    notes: tuple[str, ...]


def front(
    text: str,
    mode: str,
    *,
    version: str = "v2",
    compat: bool = False,
    overrides: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    bert: ProsodyReader | None = None,
    polyphones: Polyphones | None = None,
) -> Spoken:
    """One piece of text in one of the modes of `modes.MODES`.

    `overrides`: language to word to phones, see `overrides.parse`. `bert` is called for Mandarin segments.
    `polyphones`: a mounted model for Mandarin readings.
    By default every letter is read or refused, and only a whole piece that is short gets a comma; with `compat`
    upstream's segments, drops and commas (before each short English segment) are kept.
    Raises TextError: `unsupported_language`, `empty_text`, `text_too_long`, `bad_characters`, `unsupported_characters`.
    """
    check_mode(mode, version)
    check_size(text)
    if not text.strip():
        raise TextError("empty_text", "the text holds nothing to say")
    if not compat:
        text = unicodedata.normalize("NFC", check_text(text))
    reader = _Reader(mode, version, compat, overrides or {}, bert, polyphones)
    spoken = reader.speak(text)
    return spoken if len(spoken.ids) >= FEWEST_SYMBOLS else reader.speak("." + text)


@dataclass(frozen=True)
class _Reader:
    """What stays the same for both readings of a piece."""

    mode: str
    version: str
    compat: bool
    overrides: Mapping[str, Mapping[str, Sequence[str]]]
    bert: ProsodyReader | None
    polyphones: Polyphones | None

    def speak(self, text: str) -> Spoken:
        parts = segments(text, self.mode, version=self.version, compat=self.compat)
        heard = [self.hear(part, alone=len(parts) == 1) for part in parts]
        phones = _together(heard, self.compat)
        if not self.compat:
            refuse_silence([(word.text, phones.symbols[word.start : word.start + word.count]) for word in phones.words])
        languages = tuple(part.language for part in parts)
        notes = []
        if "zh" in languages and self.bert is None:
            notes.append("bert_missing")
        if "zh" in languages and self.polyphones is None and self.version != "v1":
            notes.append("polyphones_built_in")
        features = None if self.bert is None else self.features(parts, heard, self.bert)
        return Spoken(phones.ids, phones.symbols, phones.words, phones.normalised, features, languages, tuple(notes))

    def hear(self, part: Segment, *, alone: bool) -> Phones:
        overrides = self.overrides.get(part.language)
        # Upstream's v1 chooses Mandarin readings without a model.
        polyphones = None if self.version == "v1" else self.polyphones
        if self.compat:
            return clean(
                part.text, part.language, version=self.version, compat=True, overrides=overrides, polyphones=polyphones
            )
        check_letters(part.text, part.language)
        overrides = overrides if alone else letter_names(part, overrides)
        reading = read(part.text, part.language, version=self.version, overrides=overrides, polyphones=polyphones)
        words = calm(reading.words) if alone and part.language == "en" else reading.words
        return numbered(words, reading.normalised, self.version, counted=part.language in ("zh", "yue"))

    def features(self, parts: list[Segment], heard: list[Phones], bert: ProsodyReader) -> torch.Tensor:
        """[1024, symbols]; zeros for whatever is not a Mandarin character or mark."""
        import torch

        out = torch.zeros(PROSODY_WIDTH, sum(len(phones.ids) for phones in heard))
        start = 0
        for part, phones in zip(parts, heard, strict=True):
            characters = [word for word in phones.words if len(word.text) == 1 and word.count]
            if part.language == "zh" and characters:
                found = bert("".join(word.text for word in characters), [word.count for word in characters])
                places = [start + i for word in characters for i in range(word.start, word.start + word.count)]
                if found.shape != (PROSODY_WIDTH, len(places)):
                    raise ValueError(f"prosody features of shape {tuple(found.shape)} for {len(places)} symbols")
                out[:, places] = found.to(out)
            start += len(phones.ids)
        return out


def _together(heard: list[Phones], compat: bool) -> Phones:
    ids: list[int] = []
    symbols: list[str] = []
    words: list[Word] = []
    for phones in heard:
        words += (Word(word.text, word.start + len(ids), word.count) for word in phones.words)
        ids += phones.ids
        symbols += phones.symbols
    texts = [phones.normalised for phones in heard]
    return Phones(ids, symbols, words, "".join(texts) if compat else joined(texts))
