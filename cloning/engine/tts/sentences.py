"""The text of a request as sentences that the models read."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cloning.engine import text as frontend
from cloning.engine.errors import TextError
from cloning.engine.text import overrides as pronunciations

if TYPE_CHECKING:
    from cloning.engine.text.polyphones import Polyphones

#: Most phones of one sentence, the longest utterance the training recipe admits.
MOST_PHONES = 540
#: Marks after which a prompt counts as finished.
PROMPT_ENDS = frozenset("，。？！,.?!~:：—…")

#: (normalised text, symbols of each character) -> 1024 x symbols.
Prosody = Callable[[str, list[int]], Tensor]
Overrides = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Sentence:
    """`phones` X int64; `bert` bert_dim x X float32, None when the voice or the text has none; `normalised`: as it is
    read. `notes`: what the front end did without (text.frontend)."""

    phones: Tensor
    bert: Tensor | None
    normalised: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads text for one voice.

    `table` "v1" or "v2"; `phonemes`: rows of the voice's tables; `prosody` None when there is no BERT or the voice
    takes none; `polyphones` None when no model for Mandarin readings is mounted.
    """

    table: str
    phonemes: int
    overrides: Overrides
    prosody: Prosody | None
    compat: bool
    polyphones: Polyphones | None = None

    def sentences(self, text: str, mode: str, method: str) -> list[Sentence]:
        """All sentences in order, at least one. Raises TextError; no letter may get lost unless `compat`."""
        pieces = frontend.presegment(text, method, mode, compat=self.compat)
        if not self.compat and letters("".join(pieces)) != letters(text):
            raise TextError("lost_text", "splitting the text would lose a part of it")
        sentences = [self.sentence(piece, mode) for piece in pieces if letters(piece)]
        if not sentences:
            raise TextError("empty_text", "there is nothing to say")
        return sentences

    def prompt(self, text: str, mode: str) -> Sentence:
        """What a reference says; it gets a full stop when it has no mark at its end."""
        text = text.strip("\n")
        if text and text[-1] not in PROMPT_ENDS:
            text += "." if mode == "en" else "。"
        return self.sentence(text, mode)

    def sentence(self, text: str, mode: str) -> Sentence:
        """One piece of text. Raises TextError."""
        spoken = frontend.front(
            text,
            mode,
            version=self.table,
            compat=self.compat,
            overrides=self.overrides,
            bert=self.prosody,
            polyphones=self.polyphones,
        )
        if not spoken.ids:
            raise TextError("unspeakable", "a part of the text has no pronunciation")
        if len(spoken.ids) > MOST_PHONES and not self.compat:
            raise TextError("fragment_too_long", "a sentence is too long; choose a split method that cuts more often")
        if max(spoken.ids) >= self.phonemes:
            raise TextError("unsupported_language", "this voice does not know the sounds of this text")
        return Sentence(torch.tensor(spoken.ids), spoken.bert, spoken.normalised, spoken.notes)


def all_overrides(voice: object, request: object, table: str) -> Overrides:
    """A voice's pronunciations and a request's over them, checked. Raises TextError `bad_override`."""
    return pronunciations.merge(
        pronunciations.parse(voice, version=table), pronunciations.parse(request, version=table)
    )


def letters(text: str) -> str:
    """What must survive splitting: letters and digits, in the composed form that the front end works on."""
    return "".join(character for character in unicodedata.normalize("NFC", text) if character.isalnum())


def joined_bert(prompt: Sentence, target: Sentence) -> Tensor | None:
    """BERT features of prompt and target side by side; zeros for the one that has none, None when neither has."""
    if prompt.bert is None and target.bert is None:
        return None
    parts = [(prompt.bert, prompt.phones), (target.bert, target.phones)]
    width = next(bert.shape[0] for bert, _ in parts if bert is not None)
    return torch.cat([torch.zeros(width, len(ids)) if bert is None else bert for bert, ids in parts], dim=1)
