"""A voice as one bytes object: safetensors with a JSON description, so that a platform can seal it under one key.

It holds the weights of S1 and S2 (half precision; single where half would overflow), the built-in content encoder if
the voice uses it, and what is kept of the reference speech: its phones, its codes and its style vector. No recording
and no spectrogram is kept, so nothing in the file plays back. Only safetensors is read, never pickle; every size is
bounded and every tensor is checked against the description before a model is built.

Format version 1 is a whole voice. Version 2 is what a voice adds to a base (adapters, see engine/lowrank): megabytes,
and of no use without exactly that base.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from cloning.engine import lowrank
from cloning.engine.acoustic.generator import AcousticModel
from cloning.engine.config import EngineConfig
from cloning.engine.container import (
    ENTRIES,
    MOST_REFERENCE,
    check_rank,
    check_tensors,
    check_words,
    configuration,
    described,
    packed_reference,
    saved,
    stored,
)
from cloning.engine.container import MOST_BYTES as MOST_BYTES
from cloning.engine.errors import VoiceFileError
from cloning.engine.features.content import ContentEncoder
from cloning.engine.reference import Reference
from cloning.engine.semantic.model import Text2Semantic
from cloning.engine.weights import fill, outline

#: Format versions: a whole voice, and one that is adapters. The numbers grow when old readers could misread a new file.
FORMAT_VERSION, ADAPTER_VERSION = 1, 2
_DTYPES = frozenset({"F16", "F32", "I64"})
_ENTRIES = {FORMAT_VERSION: ENTRIES, ADAPTER_VERSION: ENTRIES | {"adapters"}}


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice, or a base without a reference. Weight dictionaries have the models' own names, any float precision.

    `content`: weights of the built-in content encoder, None when it is not part of the voice.
    `base_digest`: SHA-256 of the base's file, "" if there was none. `training`: a few named numbers or words about the
    training.
    """

    config: EngineConfig
    language: str
    semantic: Mapping[str, Tensor]
    acoustic: Mapping[str, Tensor]
    content: Mapping[str, Tensor] | None = None
    reference: Reference | None = None
    base_digest: str = ""
    training: Mapping[str, int | float | str] = field(default_factory=dict)
    _digest: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def digest(self) -> str:
        """What a voice of adapters calls this base (see lowrank.base_digest): read from all weights once, then
        remembered, because nothing in a voice changes."""
        if not self._digest:
            self._digest.append(lowrank.base_digest(self.semantic, self.acoustic))
        return self._digest[0]

    def build_semantic(self) -> Text2Semantic:
        """S1 in float32, evaluation mode."""
        return fill(lambda: Text2Semantic(self.config.semantic), self.semantic)

    def build_acoustic(self) -> AcousticModel:
        """S2 in float32, evaluation mode; with a posterior encoder if the weights hold one."""
        posterior = _has_posterior(self.acoustic)
        return fill(lambda: AcousticModel(self.config.acoustic, self.config.audio, posterior=posterior), self.acoustic)

    def build_content(self) -> ContentEncoder:
        """The built-in content encoder. Raises VoiceFileError when the voice does not carry one."""
        if self.content is None:
            raise VoiceFileError("no_content_encoder", "this voice does not carry a content encoder")
        return fill(lambda: ContentEncoder(self.config.content), self.content)

    def for_speaking(self) -> Voice:
        """The same voice without what only training needs (posterior, phone head, content encoder): about a fifth
        smaller."""
        return replace(
            self,
            config=replace(self.config, semantic=replace(self.config.semantic, phone_classes=0)),
            semantic={k: v for k, v in self.semantic.items() if not k.startswith("phone_head.")},
            acoustic={k: v for k, v in self.acoustic.items() if not k.startswith("enc_q.")},
            content=None,
        )


@dataclass(frozen=True, slots=True)
class AdapterVoice:
    """A voice as what it adds to a base.

    `semantic`, `acoustic`: adapter tensors named and shaped as `lowrank.outline` says, any float precision. `rank`,
    `alpha`: of the adapters. `config`: the base's, for speaking (no phone head). `base_digest`: `lowrank.base_digest`
    of the base.
    """

    config: EngineConfig
    language: str
    rank: int
    alpha: float
    semantic: Mapping[str, Tensor]
    acoustic: Mapping[str, Tensor]
    reference: Reference
    base_digest: str
    training: Mapping[str, int | float | str] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        """What a pair's product is multiplied with."""
        return self.alpha / self.rank

    def check_base(self, base: Voice) -> None:
        """Raises VoiceFileError `wrong_base` unless the voice was made on this base. Reads every weight of a base once,
        the first time it is asked about. How the base is spoken with behind its weights is each voice's own."""
        if _shape(base.for_speaking().config) != _shape(self.config) or base.digest() != self.base_digest:
            raise VoiceFileError("wrong_base", "this voice was made on another base")

    def on(self, base: Voice) -> Voice:
        """The whole voice: the base with the adapters added in, adapted weights in float32. Raises as `check_base`.

        It costs a base's memory; `tts` and `synthesis.ResidentBase` speak without it.
        """
        self.check_base(base)
        lean = base.for_speaking()
        described = lowrank.targets(self.config)
        return replace(
            lean,
            config=self.config,
            language=self.language,
            semantic=lowrank.merged(lean.semantic, self.semantic, described["semantic"], self.scale),
            acoustic=lowrank.merged(lean.acoustic, self.acoustic, described["acoustic"], self.scale),
            reference=self.reference,
            base_digest=self.base_digest,
            training=self.training,
        )


def _shape(config: EngineConfig) -> EngineConfig:
    """The configuration as far as weights know of it."""
    return replace(config, acoustic=replace(config.acoustic, style_gain=1.0, formant_gain=0.0))


#: A base, or what finds one by its digest (None: not known here).
BaseSource = Voice | Callable[[str], Voice | None]


def digest(data: bytes) -> str:
    """SHA-256 of a voice's bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def pack(voice: Voice) -> bytes:
    """Voice -> bytes; the same voice always gives the same bytes. Raises VoiceFileError for a voice that `unpack` would
    refuse."""
    _validate(voice)
    tensors: dict[str, Tensor] = {}
    for prefix, part in (("semantic", voice.semantic), ("acoustic", voice.acoustic), ("content", voice.content or {})):
        for name, value in part.items():
            tensors[f"{prefix}.{name}"] = stored(value)
    if voice.reference is not None:
        tensors |= packed_reference(voice.reference)
    return saved(tensors, FORMAT_VERSION, voice)


def unpack(data: bytes, *, base: BaseSource | None = None) -> Voice:
    """Bytes -> checked voice, weights still in the stored precision.

    A voice of adapters needs its base, and comes back whole (see `AdapterVoice.on`). Raises VoiceFileError, for the
    base: `needs_base` (none given), `unknown_base` (`base` does not find it), `wrong_base`.
    """
    voice = read(data)
    return voice if isinstance(voice, Voice) else voice.on(find_base(voice.base_digest, base))


def read(data: bytes) -> Voice | AdapterVoice:
    """Bytes -> checked voice of either version, weights still in the stored precision. Raises VoiceFileError."""
    description, parts = _read(data)
    if description["format_version"] == ADAPTER_VERSION:
        return _adapter_voice(description, parts)
    kept = parts["reference"]
    voice = Voice(
        config=configuration(description),
        language=description["language"],
        semantic=parts["semantic"],
        acoustic=parts["acoustic"],
        content=parts["content"] or None,
        reference=Reference(**kept) if kept else None,
        base_digest=description["base_digest"],
        training=description["training"],
    )
    _validate(voice)
    return voice


def pack_adapters(voice: AdapterVoice) -> bytes:
    """Adapters -> bytes, in half precision; the same voice always gives the same bytes. Raises VoiceFileError."""
    _validate_adapters(voice)
    tensors = packed_reference(voice.reference)
    for prefix, part in (("semantic", voice.semantic), ("acoustic", voice.acoustic)):
        for name, value in part.items():
            tensors[f"{prefix}.{name}"] = stored(value)
    adapters = {"rank": voice.rank, "alpha": voice.alpha}
    return saved(tensors, ADAPTER_VERSION, voice, adapters=adapters)


def unpack_adapters(data: bytes) -> AdapterVoice:
    """Bytes -> checked adapters, without a base. Raises VoiceFileError, `whole_voice` for a voice of version 1."""
    voice = read(data)
    if isinstance(voice, Voice):
        raise VoiceFileError("whole_voice", "this voice is whole; it does not consist of adapters")
    return voice


def find_base(digest: str, base: BaseSource | None) -> Voice:
    """The base of that digest. Raises VoiceFileError `needs_base` or `unknown_base`."""
    if base is None:
        raise VoiceFileError("needs_base", "this voice is what it adds to a base; the base is needed to speak with it")
    found = base if isinstance(base, Voice) else base(digest)
    if found is None:
        raise VoiceFileError("unknown_base", "the base that this voice was made on is not known here")
    return found


def _adapter_voice(description: dict[str, Any], parts: dict[str, dict[str, Tensor]]) -> AdapterVoice:
    adapters = description["adapters"]
    if parts["content"] or not parts["reference"]:
        raise VoiceFileError("wrong_weights", "a voice of adapters has a reference and no content encoder")
    voice = AdapterVoice(
        config=configuration(description),
        language=description["language"],
        rank=adapters["rank"],
        alpha=adapters["alpha"],
        semantic=parts["semantic"],
        acoustic=parts["acoustic"],
        reference=Reference(**parts["reference"]),
        base_digest=description["base_digest"],
        training=description["training"],
    )
    _validate_adapters(voice)
    return voice


def _read(data: bytes) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """Description, and tensors by part and name. Names and shapes are checked before memory is taken for a tensor."""
    description, shapes = described(data, _ENTRIES, _DTYPES)
    _check_outline(description, shapes)
    try:
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise VoiceFileError("damaged", "the file is not a readable voice") from error
    parts: dict[str, dict[str, Tensor]] = {"semantic": {}, "acoustic": {}, "content": {}, "reference": {}}
    for full, value in tensors.items():
        prefix, _, name = full.partition(".")
        if prefix not in parts:
            raise VoiceFileError("wrong_weights", f"{full[:120]} is not a part of a voice")
        parts[prefix][name] = value
    kept = parts["reference"]
    if kept and set(kept) != {"phones", "codes", "style"}:
        raise VoiceFileError("wrong_reference", "the reference is incomplete")
    return description, parts


def _check_outline(description: dict[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Whether a file of adapters holds exactly the tensors that its configuration and rank ask for."""
    if description["format_version"] != ADAPTER_VERSION:
        return
    adapters, config = description["adapters"], configuration(description)
    if not isinstance(adapters, dict) or set(adapters) != {"rank", "alpha"}:
        raise VoiceFileError("bad_description", "the adapters are not described by rank and alpha")
    check_rank(adapters["rank"], adapters["alpha"])
    found = {name: shape for name, shape in shapes.items() if not name.startswith("reference.")}
    expected = {
        f"{part}.{name}": shape
        for part in ("semantic", "acoustic")
        for name, shape in lowrank.outline(config, part, adapters["rank"]).items()
    }
    wrong = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    if wrong:
        raise VoiceFileError("wrong_weights", f"{wrong[0][:120]} is not what an adapter of this voice should be")
    if any(math.prod(shape) > MOST_REFERENCE for name, shape in shapes.items() if name not in found):
        raise VoiceFileError("wrong_reference", "the reference holds more than any voice keeps")


def _validate(voice: Voice) -> None:
    """One rule for both directions: whatever `pack` writes, `unpack` takes, and the other way round."""
    check_words(voice)
    config = voice.config
    posterior = _has_posterior(voice.acoustic)
    expected = [
        ("semantic", voice.semantic, outline(lambda: Text2Semantic(config.semantic))),
        (
            "acoustic",
            voice.acoustic,
            outline(lambda: AcousticModel(config.acoustic, config.audio, posterior=posterior)),
        ),
    ]
    if voice.content is not None:
        if config.content.kind != "built_in":
            raise VoiceFileError("wrong_weights", "only the built-in content encoder is carried inside a voice")
        expected.append(("content", voice.content, outline(lambda: ContentEncoder(config.content))))
    for part, tensors, names in expected:
        check_tensors(part, tensors, names)
    if voice.reference is not None:
        voice.reference.check(config)


def _validate_adapters(voice: AdapterVoice) -> None:
    check_words(voice)
    if not voice.base_digest or voice.config.semantic.phone_classes:
        raise VoiceFileError("bad_description", "a voice of adapters names its base and has no phone head")
    check_rank(voice.rank, voice.alpha)
    for part, tensors in (("semantic", voice.semantic), ("acoustic", voice.acoustic)):
        check_tensors(part, tensors, lowrank.outline(voice.config, part, voice.rank))
    voice.reference.check(voice.config)


def _has_posterior(acoustic: Mapping[str, Tensor]) -> bool:
    return any(name.startswith("enc_q.") for name in acoustic)
