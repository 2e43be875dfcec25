"""What a voice takes from a reference recording, remembered by content.

A key is the SHA-256 of the recording's bytes (or the text itself), the identity of the acoustic weights that made
codes and style of it, and the mode. A file that was replaced is therefore read again, and the same words in another
language are not mixed up (upstream remembers by path and by text alone).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar, cast

import torch
from torch import Tensor

from cloning.engine.features.reference_audio import MOST_BYTES as MOST_REFERENCE_BYTES
from cloning.engine.features.reference_audio import ReferenceRefused, read_reference
from cloning.engine.features.spectrogram import log_mel, to_unit
from cloning.engine.tts.request import Recording
from cloning.engine.tts.sentences import Sentence
from cloning.engine.tts.voice import LoadedVoice

T = TypeVar("T")

#: Most entries remembered, and most bytes of them together.
MOST_ENTRIES = 512
MOST_BYTES = 64 * 2**20


class Listener(Protocol):
    """What hears a recording for an official voice (`features.mounted.Mounted`).

    `content`: wave N at 16 kHz -> content frames 1 x content_dim x F. `speaker`: wave N at 16 kHz -> 1 x speaker_dim.
    Both raise EngineError when the model is not there.
    """

    def content(self, wave: Tensor) -> Tensor: ...

    def speaker(self, wave: Tensor) -> Tensor: ...


class Remembered:
    """A bounded memory, least recently used out. Thread-safe; two who ask at once may both compute."""

    def __init__(self, *, entries: int = MOST_ENTRIES, size: int = MOST_BYTES) -> None:
        self._entries, self._size = entries, size
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """The value of the key, made by `make` if it is not here. What is larger than the memory is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return cast(T, self._kept[key][0])
        value = make()
        needed = size(value)
        with self._lock:
            if needed <= self._size and key not in self._kept:
                self._kept[key] = (value, needed)
                self._bytes += needed
            while self._bytes > self._size or len(self._kept) > self._entries:
                _, (_, freed) = self._kept.popitem(last=False)
                self._bytes -= freed
        return value

    def clear(self) -> None:
        """Forget everything, for instance because a consent ended."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)


class References:
    """Codes, styles and prompts of recordings, for the voices of one engine."""

    def __init__(self, remembered: Remembered | None = None) -> None:
        self.remembered = Remembered() if remembered is None else remembered

    def codes(self, voice: LoadedVoice, recording: bytes, listener: Listener, *, compat: bool) -> Tensor:
        """What the recording says, T int64. Raises ReferenceRefused and what the listener raises."""

        @torch.inference_mode()
        def make() -> Tensor:
            heard = read_reference(recording, audio=voice.audio, compat=compat)
            return voice.acoustic.encode_content(listener.content(heard.content_wave))[0].clone()

        return self.remembered.get(("codes", _sha(recording), voice.identity, compat), make, _tensor_bytes)

    def style(self, voice: LoadedVoice, recordings: Sequence[bytes], listener: Listener, *, compat: bool) -> Tensor:
        """Mean style of the reference, which comes first and has a prompt's length, and of extra ones, 1 x G x 1.

        Raises ReferenceRefused and what the listener raises.
        """
        roles: list[Literal["prompt", "style"]] = ["prompt", *["style"] * (len(recordings) - 1)]  # type: ignore[list-item]
        parts = [self._style(voice, *one, listener, compat) for one in zip(recordings, roles, strict=True)]
        return torch.stack(parts).mean(0)

    def mel(self, voice: LoadedVoice, recording: bytes, *, compat: bool) -> Tensor:
        """The recording as the flow matching of v3 and v4 takes it, 1 x M x F in the unit range. Raises
        ReferenceRefused."""
        flow = voice.flow
        if flow is None:
            raise ValueError("only v3 and v4 continue a mel")
        audio = flow.config.mel

        @torch.inference_mode()
        def make() -> Tensor:
            return to_unit(log_mel(read_reference(recording, audio=audio, compat=compat).spec, audio))

        return self.remembered.get(("mel", _sha(recording), audio, compat), make, _tensor_bytes)

    def _style(
        self, voice: LoadedVoice, recording: bytes, role: Literal["prompt", "style"], listener: Listener, compat: bool
    ) -> Tensor:
        @torch.inference_mode()
        def make() -> Tensor:
            heard = read_reference(recording, audio=voice.audio, role=role, compat=compat)
            speakers = [listener.speaker(heard.speaker_wave)] if voice.encoders.speaker_dim else None
            return voice.acoustic.reference_style([heard.spec], speakers).clone()

        return self.remembered.get(("style", _sha(recording), role, voice.identity, compat), make, _tensor_bytes)

    def prompt(self, key: Hashable, make: Callable[[], Sentence]) -> Sentence:
        """The words of a reference, read once for every text, language, table and set of pronunciations."""
        return self.remembered.get(("prompt", key), make, _sentence_bytes)


def content_of(recording: Recording) -> bytes:
    """A recording's bytes, from wherever it lies. Raises ReferenceRefused `missing_file` or `too_large`."""
    if isinstance(recording, bytes):
        data = recording
    else:
        try:
            with Path(os.fspath(recording)).open("rb") as file:
                data = file.read(MOST_REFERENCE_BYTES + 1)
        except (OSError, ValueError) as error:
            raise ReferenceRefused("missing_file", "the recording could not be opened") from error
    if len(data) > MOST_REFERENCE_BYTES:
        raise ReferenceRefused("too_large", f"a reference has at most {MOST_REFERENCE_BYTES} bytes")
    return data


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _tensor_bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _sentence_bytes(sentence: Sentence) -> int:
    bert = 0 if sentence.bert is None else _tensor_bytes(sentence.bert)
    return bert + _tensor_bytes(sentence.phones) + 4 * len(sentence.normalised)
