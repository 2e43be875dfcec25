"""The base models that a deployment mounts, a folder for each version: voices are trained on them, sealed, and speak.

    Deployed(Path("bases")).train("v4", recordings, …)      # -> bytes, megabytes
    Deployed(Path("bases")).speak("v4", sealed, TtsRequest(…))

A base stays in memory between requests as far as the budget allows; a voice does not: its weights in the clear go with
the request that brought them.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cloning.engine.bases import as_voice
from cloning.engine.diffusion_config import DIFFUSION
from cloning.engine.errors import CheckpointError, EngineError, VoiceFileError
from cloning.engine.flowfile import unpack_flow
from cloning.engine.training.adapters import AdapterRecipe
from cloning.engine.training.base import Base
from cloning.engine.training.diffusion_base import DiffusionBase, diffusion_base
from cloning.engine.training.flow_voice import train_flow_voice
from cloning.engine.training.hearing import OfficialHearing
from cloning.engine.training.loop import CheckpointSink, Progress
from cloning.engine.training.official_base import official_base
from cloning.engine.training.prepare import Recording
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.voice import train_voice
from cloning.engine.tts.adapted import from_adapters, resident_base
from cloning.engine.tts.flow_kept import flow_resident, from_flow
from cloning.engine.tts.join import Wave
from cloning.engine.tts.packets import BY_SENTENCE
from cloning.engine.tts.request import TtsRequest
from cloning.engine.tts.shared import Shared
from cloning.engine.tts.synthesiser import BUDGET, Speech, Synthesiser
from cloning.engine.tts.voice import LoadedVoice, Precision
from cloning.engine.versions import MODELS, MOUNTED, missing
from cloning.engine.voicefile import unpack_adapters


class Deployed:
    """One folder of bases (see `versions`). Thread-safe."""

    def __init__(self, folder: Path, *, precision: Precision | None = None, budget: int = BUDGET) -> None:
        self.folder = folder
        self.engine = Synthesiser(models=folder / MODELS, precision=precision, budget=budget)

    def check(self, version: str) -> None:
        """Raises CheckpointError `unknown_version`, `missing_base` naming every file that is not there."""
        if version not in MOUNTED:
            raise CheckpointError("unknown_version", f"no base of version {version!r:.20} can be mounted")
        lacking = missing(self.folder, version)
        if lacking:
            raise CheckpointError("missing_base", f"version {version} is not mounted whole: {', '.join(lacking)}")

    def train(
        self,
        version: str,
        recordings: Sequence[Recording],
        *,
        language: str,
        recipe: TrainingRecipe,
        seed: int,
        progress: Callable[[Progress], None],
        checkpoint: CheckpointSink | None = None,
        resume: bytes | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> bytes:
        """A voice beside the version's base, as bytes for `speak`. `recipe` as for a starter voice; it is trained as
        adapters, in v3 and v4 lean (docs/engine.md). Raises as `check`, `train_voice` and `train_flow_voice`."""
        self.check(version)
        recipe = dataclasses.replace(
            recipe, adapters=recipe.adapters or AdapterRecipe(), flow=dataclasses.replace(recipe.flow, parts="lean")
        )
        models = self.engine.models
        assert models is not None
        if version in DIFFUSION:
            flow = diffusion_base(self.folder / version, version)
            return train_flow_voice(
                recordings, language=language, recipe=recipe, base=flow, hearing=OfficialHearing(flow.shared, models),
                seed=seed, progress=progress, checkpoint=checkpoint, resume=resume, should_stop=should_stop,
            )  # fmt: skip
        base = self._base(version)
        return train_voice(
            recordings, language=language, recipe=recipe, base=base, hearing=OfficialHearing(base, models),
            seed=seed, progress=progress, checkpoint=checkpoint, resume=resume, should_stop=should_stop,
        )  # fmt: skip

    def speak(
        self, version: str, sealed: bytes, request: TtsRequest, *, progress: Callable[[float], None] | None = None
    ) -> Speech:
        """The request in the voice. Raises as `check` and `Synthesiser.speak`; VoiceFileError `wrong_version`,
        `unknown_base` when the folder holds another base than the voice was made on."""
        self.check(version)
        voice = _Sealed(version, sealed)
        with self.engine.standing(_Mounted(self, version)):
            try:
                return self.engine.speak(voice, request, progress=progress)
            finally:
                self.engine.forget(voice)

    def stream(self, version: str, sealed: bytes, request: TtsRequest) -> Iterator[tuple[Wave, int]]:
        """The same sentence by sentence: float32 samples, each with the pause before it, and their rate in Hz; first no
        samples, when the voice is loaded. Raises as `speak`, when asked for; close the iterator to stop early."""
        self.check(version)
        voice = _Sealed(version, sealed)
        request = dataclasses.replace(request, streaming_mode=BY_SENTENCE)
        with self.engine.standing(_Mounted(self, version)):
            try:
                rate = self.engine.rate(voice)
                yield np.zeros(0, np.float32), rate
                for wave in self.engine.stream(voice, request):
                    yield wave, rate
            finally:
                self.engine.forget(voice)

    def _base(self, version: str) -> Base:
        """A base of v2 or v2Pro. Raises CheckpointError."""
        base = official_base(self.folder / version)
        if base.config.version != version:
            raise CheckpointError("wrong_version", f"the folder {version} holds a {base.config.version} base")
        return base

    def read(self, version: str) -> Base | DiffusionBase:
        """Raises CheckpointError."""
        return diffusion_base(self.folder / version, version) if version in DIFFUSION else self._base(version)


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A voice in memory, opened. It finds its base only where that is resident already."""

    version: str
    data: bytes

    def key(self) -> str:
        return f"sealed {hashlib.sha256(self.data).hexdigest()}"

    def load(self) -> LoadedVoice:
        if self.version in DIFFUSION:
            voice: LoadedVoice = from_flow(unpack_flow(self.data), lambda _: None)
        else:
            voice = from_adapters(unpack_adapters(self.data), lambda _: None)
        if voice.version != self.version:
            raise VoiceFileError("wrong_version", f"this is a {voice.version} voice, not {self.version}")
        return voice


@dataclass(frozen=True, slots=True)
class _Mounted:
    """A base of the folder, as the engine's pool keeps one."""

    deployed: Deployed
    version: str

    def key(self) -> str:
        """Names, sizes and times of its files: a replaced file is another base."""
        folder = self.deployed.folder / self.version
        try:
            stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(folder.iterdir())]
        except OSError as error:
            raise CheckpointError("missing_base", f"the base of {self.version} cannot be read") from error
        return f"mounted {self.version} {stats!r}"

    def load(self) -> StandingBase:
        return StandingBase(self.deployed.read(self.version))


class StandingBase:
    """A base in the pool: nobody's voice, so that the first request of the next voice need not read it again."""

    def __init__(self, base: Base | DiffusionBase) -> None:
        self._base: Base | DiffusionBase | None = base
        self.precision = Precision()

    def settle(self, shared: Shared) -> frozenset[str]:
        """See `pool.Pooled`."""
        base, self._base = self._base, None
        if base is None:
            raise EngineError("wrong_state", "a base is settled once")
        if isinstance(base, DiffusionBase):
            key, _ = flow_resident(base.shared.digest, lambda _: base, self.precision, shared)
        else:
            whole = as_voice(base)
            key, _ = resident_base(whole.digest(), whole, self.precision, shared)
        return frozenset({key})

    def unshared_bytes(self) -> int:
        return 0
