"""A v3 or v4 voice as one bytes object, beside the base that many voices share: format version 3 of `voicefile`.

It holds S1's adapters (see engine/lowrank), S2's part as an official LoRA file, byte for byte, and what the flow
matching continues: phones, codes and mel of a passage that **the voice itself has spoken** when it was made. No
recording and no mel of one is kept: what plays back is synthetic speech, as anything the voice says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from cloning.engine import lowrank
from cloning.engine.acoustic.lora import Lora
from cloning.engine.acoustic.mels import WINDOWS
from cloning.engine.config import EngineConfig
from cloning.engine.container import (
    ENTRIES,
    check_rank,
    check_tensors,
    check_words,
    configuration,
    described,
    packed_reference,
    saved,
    stored,
)
from cloning.engine.diffusion_config import DIFFUSION
from cloning.engine.diffusion_files import MOST_LORA_BYTES, load_lora
from cloning.engine.errors import VoiceFileError
from cloning.engine.reference import Reference

#: The version of a voice of this kind.
FLOW_VERSION = 3
#: Most mel frames of what the voice has spoken.
MOST_FRAMES = 3000
_ENTRIES = {FLOW_VERSION: ENTRIES | {"flow", "adapters"}}
_DTYPES = frozenset({"F16", "F32", "I64", "U8"})
_LORA, _MEL = "lora", "reference.mel"


@dataclass(frozen=True, slots=True)
class FlowVoice:
    """`version` of S2. `config`: S1 and the encoders of the base. `rank`, `alpha`, `semantic`: S1's adapters. `lora`:
    an official LoRA file. `reference`: phones and codes of what the voice has spoken, and its style; `mel` M x F of the
    same speech in the unit range, at least a prompt window long. `base_digest`: of the base's files."""

    version: Literal["v3", "v4"]
    config: EngineConfig
    language: str
    rank: int
    alpha: float
    semantic: Mapping[str, Tensor]
    lora: bytes
    reference: Reference
    mel: Tensor
    base_digest: str
    training: Mapping[str, int | float | str] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        """What a pair of S1 is multiplied with."""
        return self.alpha / self.rank

    def adapter(self) -> Lora:
        """S2's part. Raises CheckpointError for a file that is not one, VoiceFileError `wrong_version`."""
        lora = load_lora(self.lora)
        if lora.version != self.version:
            raise VoiceFileError("wrong_version", f"a {self.version} voice holds a {lora.version} adapter")
        return lora


def pack_flow(voice: FlowVoice) -> bytes:
    """Voice -> bytes; the same voice always gives the same bytes. Raises VoiceFileError."""
    _validate(voice)
    tensors = packed_reference(voice.reference) | {_MEL: stored(voice.mel)}
    tensors |= {f"semantic.{name}": stored(value) for name, value in voice.semantic.items()}
    tensors[_LORA] = torch.frombuffer(bytearray(voice.lora), dtype=torch.uint8)
    adapters = {"rank": voice.rank, "alpha": voice.alpha}
    return saved(tensors, FLOW_VERSION, voice, flow=voice.version, adapters=adapters)


def unpack_flow(data: bytes) -> FlowVoice:
    """Bytes -> checked voice. Raises VoiceFileError: what `voicefile.read` raises for its formats."""
    description, shapes = described(data, _ENTRIES, _DTYPES)
    adapters, version = description["adapters"], description["flow"]
    if version not in DIFFUSION or not isinstance(adapters, dict) or set(adapters) != {"rank", "alpha"}:
        raise VoiceFileError("bad_description", "the voice's flow or adapters are not described")
    check_rank(adapters["rank"], adapters["alpha"])
    config = configuration(description)
    expected = {f"semantic.{name}": s for name, s in lowrank.outline(config, "semantic", adapters["rank"]).items()}
    kept = {_LORA, _MEL, "reference.phones", "reference.codes", "reference.style"}
    wrong = sorted(name for name in shapes.keys() ^ (expected.keys() | kept))
    wrong += sorted(name for name, shape in expected.items() if shapes.get(name, shape) != shape)
    if wrong:
        raise VoiceFileError("wrong_weights", f"{wrong[0][:120]} is not what a voice of this kind holds")
    try:
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise VoiceFileError("damaged", "the file is not a readable voice") from error
    if tensors[_LORA].dtype != torch.uint8 or tensors[_LORA].dim() != 1:
        raise VoiceFileError("wrong_weights", "the adapter of S2 is not a file")
    voice = FlowVoice(
        version=version,
        config=config,
        language=description["language"],
        rank=adapters["rank"],
        alpha=adapters["alpha"],
        semantic={name.removeprefix("semantic."): tensors[name] for name in expected},
        lora=tensors[_LORA].numpy().tobytes(),
        reference=Reference(*(tensors[f"reference.{name}"] for name in ("phones", "codes", "style"))),
        mel=tensors[_MEL],
        base_digest=description["base_digest"],
        training=description["training"],
    )
    _validate(voice)
    return voice


def _validate(voice: FlowVoice) -> None:
    check_words(voice)
    if not voice.base_digest or voice.config.semantic.phone_classes:
        raise VoiceFileError("bad_description", "a voice of adapters names its base and has no phone head")
    check_rank(voice.rank, voice.alpha)
    check_tensors("semantic", voice.semantic, lowrank.outline(voice.config, "semantic", voice.rank))
    voice.reference.check(voice.config)
    window, mel = WINDOWS[voice.version].prompt, voice.mel
    if mel.dim() != 2 or not window <= mel.shape[1] <= MOST_FRAMES or not mel.dtype.is_floating_point:
        raise VoiceFileError("wrong_reference", f"a {voice.version} voice continues {window} to {MOST_FRAMES} frames")
    if not bool(torch.isfinite(mel).all()):
        raise VoiceFileError("not_finite", "the mel holds NaN or infinity")
    if not voice.reference.codes.numel():
        raise VoiceFileError("wrong_reference", "a voice of this kind keeps phones and codes of what it continues")
    if len(voice.lora) > MOST_LORA_BYTES:
        raise VoiceFileError("wrong_size", f"an adapter has at most {MOST_LORA_BYTES} bytes")
