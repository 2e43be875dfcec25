"""A loaded voice: the two models ready to speak, and what the voice says about itself."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from cloning.engine.acoustic import dit_fast, fast
from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import AcousticConfig, AudioConfig, SemanticConfig
from cloning.engine.diffusion_config import DiffusionConfig
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

    `version`: "v1", "v2", "v2Pro", "v2ProPlus", "v3", "v4" or "starter"; v3 and v4 have a flow, all others make sound
    themselves. `identity`: digest of the acoustic weights, the key of
    everything that is computed from a reference with them; `semantic_identity`: that of S1's. `kept`: codes, phones and
    style that a voice file keeps of its reference. `runner`: S1 ready to decode, there after `settle`, when
    `semantic` has gone. `mute`: how much each code is like a pause (codes + 1 numbers), None for a starter voice.
    `adapters`: what the voice adds to `runner`, None when that is the voice's own. `kept_mel`: 1 x M x F of the speech
    in `kept`, which a sealed v3 or v4 voice continues.
    """

    version: str
    identity: str
    semantic_identity: str
    semantic: Text2Semantic | None
    semantic_config: SemanticConfig
    acoustic: AcousticModel | DiffusionModel
    manner: Manner = Manner()
    kept: Reference | None = None
    kept_mel: Tensor | None = None
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
    def encoders(self) -> AcousticConfig:
        """What S2's encoders look like, which all versions share."""
        config = self.acoustic.config
        return config.acoustic if isinstance(config, DiffusionConfig) else config

    @property
    def flow(self) -> DiffusionModel | None:
        """S2 of v3 and v4, which makes mels for a vocoder."""
        return self.acoustic if isinstance(self.acoustic, DiffusionModel) else None

    @property
    def direct(self) -> AcousticModel:
        """S2 of every other version, which makes sound."""
        if isinstance(self.acoustic, DiffusionModel):
            raise ValueError(f"a {self.version} voice makes mels")
        return self.acoustic

    @property
    def phonemes(self) -> int:
        """Symbols that both models know."""
        return min(self.semantic_config.phonemes, self.encoders.phonemes)

    def settle(self, shared: Shared) -> frozenset[str]:
        """See `pool.Pooled`. S2 is made ready in place and shared as it is then. The module of S1 goes; in single
        precision the runner keeps its tables, so they are shared before it is made. The matrices are packed anew, and
        the originals go with the module."""
        semantic, self.semantic = self.semantic, None
        if semantic is None:
            raise ValueError("a voice is settled once")
        if self.version != "starter" and self.semantic_config.codes > MUTE_CODE:
            self.mute = mute_similarity(semantic)
        if self.flow is None:
            fast.prepare(self.direct, self.precision.acoustic)
        else:
            ready(self.flow, self.precision)
        own = self.own_parts()
        modules = [part for part in own if isinstance(part, nn.Module)]
        keys = shared.take([*modules, semantic] if self.precision.semantic == "float32" else modules)
        places = shared.addresses(keys)
        self._unshared = elsewhere(own, places)
        key = f"runner {self.precision.semantic} {self.semantic_identity}"
        try:
            self.runner = shared.part(
                key, lambda: prepare(semantic, self.precision.semantic), lambda made: elsewhere(made, places)
            )
        except BaseException:
            shared.release(keys)
            raise
        return shared.keep(keys, memory(self.acoustic, self.runner)) | {key}

    def own_parts(self) -> list[object]:
        """What of S2 is the voice's own: modules, and whatever else holds tensors."""
        return [self.acoustic]

    def unshared_bytes(self) -> int:
        """See `pool.Pooled`: tensors too small to be shared, and views."""
        return self._unshared


@dataclass(frozen=True, slots=True)
class Resident:
    """A settled base that voices stand on, and what it took of the shared memory."""

    voice: LoadedVoice
    keys: frozenset[str]


def ready(model: DiffusionModel, precision: Precision) -> None:
    """Make a v3 or v4 model ready for its precision, in place; twice is once. In single precision it stays as it is,
    so that its mels are upstream's to rounding."""
    model.eval().requires_grad_(False)
    if precision.acoustic == "bfloat16":
        dit_fast.prepare(model.cfm.estimator, "bfloat16")


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
