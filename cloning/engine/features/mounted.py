"""The big encoders that a deployment brings itself: a folder laid out like upstream's `pretrained_models`.

Nothing is downloaded. Each model is read when it is first needed, once, and shared by all threads.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import torch
from torch import Tensor

from cloning.engine.errors import CheckpointError
from cloning.engine.features.bert import Prosody, load_prosody
from cloning.engine.features.hubert import Hubert, load_hubert
from cloning.engine.features.pretrained import WEIGHT_NAMES
from cloning.engine.features.speaker import SpeakerEncoder, load_speaker_encoder

if TYPE_CHECKING:
    from cloning.engine.text.polyphones import Polyphones

T = TypeVar("T")
Part = Literal["content", "prosody", "speaker", "polyphones"]

#: Where each part lies, relative to the folder; the names are upstream's.
PLACES: dict[Part, str] = {
    "content": "chinese-hubert-base",
    "prosody": "chinese-roberta-wwm-ext-large",
    "speaker": "sv/pretrained_eres2netv2w24s4ep4.ckpt",
    "polyphones": "G2PWModel",
}
#: Files without which a folder is not that part; weights may have either of their names.
NEEDED: dict[Part, tuple[str, ...]] = {
    "content": ("config.json",),
    "prosody": ("config.json", "vocab.txt"),
    "speaker": (),
    "polyphones": ("g2pW.onnx",),
}


class Mounted:
    """A model folder. May be incomplete: what is missing is missed only when it is asked for.

    `dtype` bfloat16 makes content and prosody about twice as fast where the processor computes in it, and half as
    large; some content codes (one in 25 with synthetic weights) then differ from those of single precision. The speaker
    encoder is always float32.
    """

    def __init__(self, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
        self.folder = folder
        self.dtype = dtype
        self._loaded: dict[Part, Any] = {}
        self._locks: dict[Part, threading.Lock] = {part: threading.Lock() for part in PLACES}

    def path(self, part: Part) -> Path:
        """Where the part lies or would lie."""
        return self.folder / PLACES[part]

    def has(self, part: Part) -> bool:
        """Whether the part's files are there; they are not opened."""
        path = self.path(part)
        if part == "speaker":
            return path.is_file()
        weights = part == "polyphones" or any((path / name).is_file() for name in WEIGHT_NAMES)
        return weights and all((path / name).is_file() for name in NEEDED[part])

    def missing(self) -> list[str]:
        """Relative paths of the parts that are absent or incomplete, in a fixed order; empty when all are there."""
        return [PLACES[part] for part in PLACES if not self.has(part)]

    def hubert(self) -> Hubert:
        """The content encoder. Raises CheckpointError."""
        return self._once("content", lambda: load_hubert(self.path("content"), dtype=self.dtype))

    def bert(self) -> Prosody:
        """The prosody encoder. Raises CheckpointError."""
        return self._once("prosody", lambda: load_prosody(self.path("prosody"), dtype=self.dtype))

    def speaker_encoder(self) -> SpeakerEncoder:
        """The speaker encoder. Raises CheckpointError."""
        return self._once("speaker", lambda: load_speaker_encoder(self.path("speaker")))

    def content(self, wave: Tensor) -> Tensor:
        """N samples at 16 kHz -> content frames 1 x 768 x F, 50 a second. Raises CheckpointError."""
        return cast(Tensor, self.hubert()(wave[None])).transpose(1, 2)

    def speaker(self, wave: Tensor) -> Tensor:
        """N samples at 16 kHz -> speaker vector 1 x 20480. Raises CheckpointError."""
        return self.speaker_encoder().embed(wave[None])

    def prosody(self, text: str, word2ph: Sequence[int]) -> Tensor:
        """Normalised Chinese and the phones of each character -> 1024 x phones. Raises CheckpointError, TextError."""
        return self.bert()(text, word2ph)

    def polyphones(self) -> Polyphones:
        """The model that picks Mandarin readings; its vocabulary is the prosody encoder's. Raises CheckpointError."""
        from cloning.engine.text.polyphones import Polyphones

        return self._once("polyphones", lambda: Polyphones(self.path("polyphones"), self.path("prosody")))

    def release(self) -> None:
        """Forget the loaded models; they are read again when they are needed. Calls under way keep theirs."""
        for part, lock in self._locks.items():
            with lock:
                self._loaded.pop(part, None)
        give_back_memory()

    def _once(self, part: Part, load: Callable[[], T]) -> T:
        with self._locks[part]:
            if part not in self._loaded:
                if not self.has(part):
                    raise CheckpointError("not_mounted", f"{PLACES[part]} is not in the model folder or incomplete")
                self._loaded[part] = load()
                give_back_memory()
            return cast(T, self._loaded[part])


def give_back_memory() -> None:
    """Return to the system what was freed: loading a large model leaves hundreds of megabytes in the C library's
    store. Does nothing where the library has no such call (it is glibc's)."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
