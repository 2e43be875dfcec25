"""Sealed v3 and v4 voices (`flowfile`) beside one resident base, which the pool's voices share as in `adapted`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.lora import OWN_PARTS, Lora, beside
from cloning.engine.diffusion_config import tiny_diffusion
from cloning.engine.errors import VoiceFileError
from cloning.engine.flowfile import FlowVoice
from cloning.engine.semantic.adapters import SemanticAdapters
from cloning.engine.training.diffusion_base import DiffusionBase
from cloning.engine.tts.shared import Shared, memory
from cloning.engine.tts.voice import LoadedVoice, Manner, Precision, Resident, elsewhere, identity
from cloning.engine.weights import bare

FindBase = Callable[[str], DiffusionBase | None]


@dataclass(slots=True, eq=False)
class KeptFlowVoice(LoadedVoice):
    """A voice on a base. Until it is settled its S2 is an outline without meaning, and it has no S1 at all."""

    source: FlowVoice | None = None
    lora: Lora | None = None
    find: FindBase | None = None

    def settle(self, shared: Shared) -> frozenset[str]:
        """See `pool.Pooled`. Raises VoiceFileError `unknown_base`, `wrong_base`, and as `lora.beside`."""
        source, lora, find = self.source, self.lora, self.find
        self.source = self.lora = self.find = None
        if source is None or lora is None or find is None:
            raise ValueError("a voice is settled once")
        key, resident = flow_resident(source.base_digest, find, self.precision, shared)
        try:
            self._stand_on(resident.voice, source, lora)
        except BaseException:
            shared.release({key})
            raise
        return frozenset({key})

    def _stand_on(self, base: LoadedVoice, source: FlowVoice, lora: Lora) -> None:
        if base.flow is None or (base.semantic_config, base.encoders) != (
            source.config.semantic,
            source.config.acoustic,
        ):
            raise VoiceFileError("wrong_base", "this voice was made on another base")
        self.runner, self.mute = base.runner, base.mute
        self.adapters = SemanticAdapters(self.semantic_config, source.semantic, source.scale)
        self.acoustic = beside(base.flow, lora)
        own = [*(getattr(self.acoustic, part[:-1]) for part in OWN_PARTS), self.acoustic.adapters, self.adapters]
        self._unshared = elsewhere(own, memory(base))


def flow_resident(digest: str, find: FindBase, precision: Precision, shared: Shared) -> tuple[str, Resident]:
    """The base of that digest as a part that voices share, and its key. Raises VoiceFileError `unknown_base`."""

    def make() -> Resident:
        base = find(digest)
        if base is None:
            raise VoiceFileError("unknown_base", "the base that this voice was made on is not known here")
        voice = standing_flow(base)
        voice.precision = precision
        return Resident(voice, voice.settle(shared))

    key = f"flow base {precision.semantic} {precision.acoustic} {digest}"
    return key, shared.part(key, make, lambda made: made.voice.unshared_bytes(), lambda made: made.keys)


def standing_flow(base: DiffusionBase) -> LoadedVoice:
    """The base without a reference, not yet settled."""
    return LoadedVoice(
        version=base.config.version,
        identity=f"{base.shared.digest} S2",
        semantic_identity=f"{base.shared.digest} S1",
        semantic=base.shared.build_semantic(0).eval().requires_grad_(False),
        semantic_config=base.shared.config.semantic,
        acoustic=base.build(),
    )


def from_flow(voice: FlowVoice, find: FindBase) -> KeptFlowVoice:
    """A sealed voice, not yet settled; `find` is asked for its base, by digest, when nobody else stands on it. Raises
    CheckpointError, VoiceFileError `wrong_version`."""
    told = hashlib.sha256(f"{voice.base_digest} {voice.scale!r} {identity(voice.semantic)}".encode()).hexdigest()
    return KeptFlowVoice(
        version=voice.version,
        identity=f"{voice.base_digest} {hashlib.sha256(voice.lora).hexdigest()}",
        semantic_identity=told,
        semantic=None,
        semantic_config=voice.config.semantic,
        acoustic=bare(lambda: DiffusionModel(tiny_diffusion(voice.version))),
        manner=Manner(language=voice.language),
        kept=voice.reference,
        kept_mel=voice.mel.float()[None],
        source=voice,
        lora=voice.adapter(),
        find=find,
    )
