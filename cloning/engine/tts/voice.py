"""A loaded voice: the two models ready to speak, and what the voice says about itself."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

from cloning.engine.acoustic import fast
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import AudioConfig, SemanticConfig
from cloning.engine.errors import VoiceFileError
from cloning.engine.reference import Reference
from cloning.engine.semantic.adapters import SemanticAdapters
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.semantic.runner import Runner
from cloning.engine.semantic.sampling import MUTE_CODE, mute_similarity, prepare
from cloning.engine.tts.shared import Shared, memory
from cloning.engine.voicefile import Voice

#: Versions that read the first symbol table; all others read the second.
FIRST_TABLE = frozenset({"v1"})


@dataclass(frozen=True, slots=True)
class Precision:
    """How weights are kept: S1 in "float32", "bfloat16" or "int8" (semantic.sampling.prepare), S2's vocoder in
    "float32" or "bfloat16" (acoustic.fast.prepare)."""

    semantic: Literal["float32", "bfloat16", "int8"] = "float32"
    acoustic: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True, slots=True)
class Manner:
    """What a voice brings along for requests that leave it open.

    `reference`, `extra`: recordings as bytes, None and () when there are none. `prompt_text`: what `reference` says, ""
    to speak without a prompt. `overrides`: language -> word -> phones.
    """

    reference: bytes | None = None
    extra: tuple[bytes, ...] = ()
    prompt_text: str = ""
    prompt_lang: str = ""
    language: str = ""
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class LoadedVoice:
    """Models in evaluation mode. After `settle` nothing in it changes any more, and threads may share it.

    `version`: "v1", "v2", "v2Pro", "v2ProPlus" or "starter". `identity`: digest of the acoustic weights, the key of
    everything that is computed from a reference with them; `semantic_identity`: that of S1's. `kept`: codes, phones and
    style that a voice file keeps of its reference. `runner`: S1 ready to decode, there after `settle`, when
    `semantic` has gone. `mute`: how much each code is like a pause (codes + 1 numbers), None for a starter voice.
    `adapters`: what the voice adds to `runner`, None when that is the voice's own.
    """

    version: str
    identity: str
    semantic_identity: str
    semantic: Text2Semantic | None
    semantic_config: SemanticConfig
    acoustic: AcousticModel
    manner: Manner = Manner()
    kept: Reference | None = None
    precision: Precision = Precision()
    runner: Runner | None = None
    mute: Tensor | None = None
    adapters: SemanticAdapters | None = None
    _unshared: int = 0

    @property
    def table(self) -> str:
        """Which symbol table its phones are rows of."""
        return "v1" if self.version in FIRST_TABLE else "v2"

    @property
    def audio(self) -> AudioConfig:
        return self.acoustic.audio

    @property
    def phonemes(self) -> int:
        """Symbols that both models know."""
        return min(self.semantic_config.phonemes, self.acoustic.config.phonemes)

    def settle(self, shared: Shared) -> frozenset[str]:
        """See `pool.Pooled`. S2 is made ready in place and shared as it is then. The module of S1 goes; in single
        precision the runner keeps its tables, so they are shared before it is made. The matrices are packed anew, and
        the originals go with the module."""
        semantic, self.semantic = self.semantic, None
        if semantic is None:
            raise ValueError("a voice is settled once")
        if self.version != "starter" and self.semantic_config.codes > MUTE_CODE:
            self.mute = mute_similarity(semantic)
        fast.prepare(self.acoustic, self.precision.acoustic)
        keys = shared.take([self.acoustic, semantic] if self.precision.semantic == "float32" else [self.acoustic])
        places = shared.addresses(keys)
        self._unshared = elsewhere(self.acoustic, places)
        key = f"runner {self.precision.semantic} {self.semantic_identity}"
        try:
            self.runner = shared.part(
                key, lambda: prepare(semantic, self.precision.semantic), lambda made: elsewhere(made, places)
            )
        except BaseException:
            shared.release(keys)
            raise
        return shared.keep(keys, memory(self.acoustic, self.runner)) | {key}

    def unshared_bytes(self) -> int:
        """See `pool.Pooled`: tensors too small to be shared, and views."""
        return self._unshared


def elsewhere(thing: object, places: Container[int]) -> int:
    """Bytes that the thing holds outside these addresses."""
    return sum(size for place, size in memory(thing).items() if place not in places)


class VoiceSource(Protocol):
    """Where a voice comes from. `key` changes when the voice does, so that a replaced file is not spoken with old
    weights."""

    def key(self) -> str: ...

    def load(self) -> LoadedVoice: ...


def from_file(voice: Voice) -> LoadedVoice:
    """A voice file's content, not yet settled. Raises VoiceFileError for a base without a reference."""
    if voice.reference is None:
        raise VoiceFileError("no_reference", "this is a base, not a voice: it has no reference to speak like")
    return standing(voice)


def standing(voice: Voice) -> LoadedVoice:
    """The same of a voice or a base, which may have no reference."""
    lean = voice.for_speaking()
    return LoadedVoice(
        version=voice.config.version,
        identity=identity(lean.acoustic),
        semantic_identity=identity(lean.semantic),
        semantic=lean.build_semantic().requires_grad_(False),
        semantic_config=lean.config.semantic,
        acoustic=lean.build_acoustic(),
        manner=Manner(language=voice.language),
        kept=voice.reference,
    )


def identity(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of named weights, in whatever precision they are stored."""
    state = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        state.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        state.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()
