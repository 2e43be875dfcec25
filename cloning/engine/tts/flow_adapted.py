"""LoRA voices of v3 and v4 beside one resident base: a further voice costs what its file costs.

The base is a part that the pool's voices share, as in `adapted`. Voices of one base share its transformer object, so
`acoustic.mels.sampled` may speak them in one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cloning.engine.acoustic.diffusion import DiffusionModel
from cloning.engine.acoustic.lora import OWN_PARTS, Lora, beside
from cloning.engine.checkpoints import LoadedSemantic, read_bounded
from cloning.engine.diffusion_config import tiny_diffusion
from cloning.engine.diffusion_files import MOST_DIFFUSION_BYTES, load_diffusion
from cloning.engine.errors import VoiceFileError
from cloning.engine.tts.shared import Shared, memory
from cloning.engine.tts.voice import LoadedVoice, Manner, Precision, ready
from cloning.engine.weights import bare


@dataclass(slots=True, eq=False)
class FlowAdapterVoice(LoadedVoice):
    """A LoRA voice. Until it is settled its S2 is an outline without meaning."""

    lora: Lora | None = None
    base_path: Path | None = None
    base_key: str = ""

    def settle(self, shared: Shared) -> frozenset[str]:
        """See `pool.Pooled`. Raises CheckpointError: what the base's file is refused for, `wrong_version` and
        `wrong_base` for an adapter that does not belong to it; VoiceFileError for parts that do not go together."""
        lora, path, precision = self.lora, self.base_path, self.precision
        self.lora = self.base_path = None
        if lora is None or path is None:
            raise ValueError("a voice is settled once")
        key = f"flow {precision.acoustic} {self.base_key}"
        base = shared.part(key, lambda: _resident(path, precision), lambda made: sum(memory(made).values()))
        try:
            self.acoustic = beside(base, lora)
            if self.encoders.codes != self.semantic_config.codes:
                raise VoiceFileError("wrong_version", "the S1 file and the base have codebooks of different sizes")
            # Named in full: slots make a new class, which the short form of super() does not know.
            return LoadedVoice.settle(self, shared) | {key}
        except BaseException:
            shared.release({key})
            raise

    def own_parts(self) -> list[object]:
        """What the file brought, without the base's parts."""
        if self.flow is None:
            raise ValueError("the voice was not settled")
        return [*(getattr(self.flow, part[:-1]) for part in OWN_PARTS), self.flow.adapters]


def _resident(path: Path, precision: Precision) -> DiffusionModel:
    """The version is not asked for: an adapter of the other one is told so by `beside`."""
    try:
        data = read_bounded(path, MOST_DIFFUSION_BYTES)
    except OSError as error:
        raise VoiceFileError("no_voice", f"{path.name[:80]} cannot be read") from error
    model = load_diffusion(data).model
    ready(model, precision)
    return model


def on_base(
    lora: Lora, base: Path, base_key: str, semantic: LoadedSemantic, semantic_identity: str, manner: Manner
) -> FlowAdapterVoice:
    """A LoRA voice, not yet settled; `base` is read when nobody else stands on `base_key`."""
    return FlowAdapterVoice(
        version=lora.version,
        identity=lora.identity,
        semantic_identity=semantic_identity,
        semantic=semantic.model.requires_grad_(False),
        semantic_config=semantic.config,
        acoustic=bare(lambda: DiffusionModel(tiny_diffusion(lora.version))),
        manner=manner,
        lora=lora,
        base_path=base,
        base_key=base_key,
    )
