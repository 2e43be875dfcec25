"""Voices of adapters, spoken beside one resident base: a further voice costs what its file costs.

The base is a part that the pool's voices share. It is made ready when the first voice that stands on it is loaded,
counted once, and goes with the last such voice.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cloning.engine.acoustic.adapted import adapted
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.errors import VoiceFileError
from cloning.engine.semantic.adapters import SemanticAdapters
from cloning.engine.tts.shared import Shared, memory
from cloning.engine.tts.voice import LoadedVoice, Manner, Precision, Resident, elsewhere, identity, standing
from cloning.engine.voicefile import AdapterVoice, BaseSource, find_base
from cloning.engine.weights import bare


@dataclass(slots=True, eq=False)
class AdaptedVoice(LoadedVoice):
    """A voice on a base. Until it is settled its S2 is an outline without memory, and it has no S1 at all."""

    source: AdapterVoice | None = None
    bases: BaseSource | None = None

    def settle(self, shared: Shared) -> frozenset[str]:
        """See `pool.Pooled`. Raises VoiceFileError `needs_base`, `unknown_base` and `wrong_base`."""
        source, bases = self.source, self.bases
        self.source = self.bases = None
        if source is None:
            raise ValueError("a voice is settled once")
        key, resident = resident_base(source.base_digest, bases, self.precision, shared)
        try:
            self._stand_on(resident.voice, source)
        except BaseException:
            shared.release({key})
            raise
        return frozenset({key})

    def _stand_on(self, base: LoadedVoice, source: AdapterVoice) -> None:
        if (base.semantic_config, base.direct.config) != (source.config.semantic, source.config.acoustic):
            raise VoiceFileError("wrong_base", "this voice was made on another base")
        self.runner, self.mute = base.runner, base.mute
        self.adapters = SemanticAdapters(self.semantic_config, source.semantic, source.scale)
        self.acoustic = adapted(base.direct, source.acoustic, source.scale)
        self._unshared = elsewhere([self.acoustic, self.adapters], memory(base))


def resident_base(digest: str, bases: BaseSource | None, precision: Precision, shared: Shared) -> tuple[str, Resident]:
    """The base of that digest as a part that voices share, and its key. Raises VoiceFileError `needs_base`,
    `unknown_base` and `wrong_base`."""

    def make() -> Resident:
        base = find_base(digest, bases)
        if base.digest() != digest:
            raise VoiceFileError("wrong_base", "this voice was made on another base")
        voice = standing(base)
        voice.precision = precision
        return Resident(voice, voice.settle(shared))

    key = f"base {precision.semantic} {precision.acoustic} {digest}"
    return key, shared.part(key, make, lambda made: made.voice.unshared_bytes(), lambda made: made.keys)


def from_adapters(voice: AdapterVoice, bases: BaseSource | None) -> AdaptedVoice:
    """A voice of adapters, not yet settled; `bases` is asked for its base when nobody else stands on it."""
    config = voice.config
    told = f"{voice.base_digest} {voice.scale!r} "
    return AdaptedVoice(
        version=config.version,
        identity=_told(told + identity(voice.acoustic)),
        semantic_identity=_told(told + identity(voice.semantic)),
        semantic=None,
        semantic_config=config.semantic,
        acoustic=bare(lambda: AcousticModel(config.acoustic, config.audio, posterior=False)),
        manner=Manner(language=voice.language),
        kept=voice.reference,
        source=voice,
        bases=bases,
    )


def _told(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
